"""The CPU benchmark's result as JSON, as Markdown tables, and as a picture of the ratios."""

import json
import math
import re
import statistics

import machine

RIVALS = ("torch", "onnxruntime", "jax")
OTHERS = ("numpy", "limit")
PASSES = ("forward", "forward+backward")
COLOURS = dict(zip(RIVALS, ("#d1495b", "#3d5a80", "#e9a23b"), strict=True))
SECTIONS = ("training", "streaming", "epoch", "growth", "starting")


def write(result, path):
    """Write path.json, path.md and, where a table has xprnn beside others, path.png."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(compact(result) + "\n")
    parts = [head(result)]
    if "table" in result:
        rows = those(result["table"], ours="xprnn")
        if rows:
            parts += [summary(rows), losses(rows), by_case(rows, path.stem)]
            draw(rows, path.with_suffix(".png"))
        parts.append(by_hand(those(result["table"], ours="loop")))
    parts += [section(name, result[name]) for name in SECTIONS if name in result]
    path.with_suffix(".md").write_text("\n\n".join(filter(None, parts)) + "\n")


def compact(result):
    """JSON with a line for each row of a table and each list of numbers, in as many digits as they are good for."""
    rounded = round_all(result)
    text = json.dumps({name: part for name, part in rounded.items() if name != "table"}, indent=1)
    text = re.sub(r"\[\s+([^][{}]+?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    rows = ",\n  ".join(map(json.dumps, rounded.get("table", [])))
    return text[: text.rindex("}")].rstrip() + (f',\n "table": [\n  {rows}\n ]\n' if rows else "\n") + "}"


def round_all(value):
    """All numbers in ``value`` in five digits."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {name: round_all(part) for name, part in value.items()}
    return [round_all(part) for part in value] if isinstance(value, list | tuple) else value


def head(result):
    here, blas, times = result["machine"], result["machine"]["blas"], result["times"]
    versions = ", ".join(f"{name} {version}" for name, version in here["versions"].items())
    return "\n".join([
        f"# xprnn on a CPU, {here['date']}",
        "",
        f"`python benchmarks/cpu.py` on {here['processor']}, {here['cores']} cores, {here['system']}, Python "
        f"{here['python']}; {versions}; NumPy's BLAS is {blas['name']}, core type {blas.get('core', 'not told')}; "
        f"xprnn's kernel runs {here['kernel'] or 'not: it was not built'}.",
        "",
        "Every figure is the other's time divided by xprnn's, above 1 xprnn is faster: medians over "
        f"{result['rounds'] * times} rounds{f', at {times} times,' * (times > 1)} in which the two take turns in one "
        "process, float32. With one thread the process is held to one core. All outputs that were timed, dx and the "
        "gradients of weights among them, were held to float64.",
    ])  # fmt: skip


def those(rows, **wanted):
    """The rows that are as ``wanted``; ``passes`` stands for their "pass"."""
    wanted = {"pass" if name == "passes" else name: value for name, value in wanted.items()}
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def ratio(rows, **wanted):
    """The median ratio of the one row that is ``wanted``; None if there is none."""
    found = those(rows, **wanted)
    return found[0]["ratio"]["median"] if found else None


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def threads_of(rows):
    return sorted({row["threads"] for row in rows})


def distinct(rows, name):
    return list(dict.fromkeys(row[name] for row in rows))


def summary(rows):
    """Geometric means over the cases, and the least ratio with its case."""
    lines = []
    for threads in threads_of(rows):
        for cell, passes in [(c, p) for c in distinct(rows, "cell") for p in PASSES]:
            line = [f"{cell} {passes}, {threads} thread{'s' * (threads > 1)}"]
            for peer in RIVALS + OTHERS:
                here = those(rows, peer=peer, threads=threads, cell=cell, passes=passes)
                if not here:
                    line.append("-")
                    continue
                least = min(here, key=lambda row: row["ratio"]["median"])
                mean = geometric_mean([row["ratio"]["median"] for row in here])
                line.append(f"{mean:.2f} ({least['ratio']['median']:.2f} {least['case']})")
            lines.append(line)
    return "## Geometric means over the cases, in parentheses the least\n\n" + machine.table(
        ["", "torch.nn", "onnxruntime", "jax.jit", "textbook NumPy", "matrix products alone"], lines
    )


def losses(rows):
    """All comparisons with rivals that are not won."""
    lost = [row for row in rows if row["peer"] in RIVALS and row["ratio"]["median"] < 1]
    count = sum(row["peer"] in RIVALS for row in rows)
    text = f"## Not won: {len(lost)} of {count} comparisons with torch, onnxruntime and JAX\n\n"
    if not lost:
        return text + "None."
    return text + machine.table(
        ["", "ratio", "quarters"],
        [
            [
                f"{r['case']} {r['cell']} {r['pass']}, {r['threads']} thread(s), {r['peer']}",
                f"{r['ratio']['median']:.2f}",
                "{:.2f} to {:.2f}".format(*r["ratio"]["quarters"]),
            ]
            for r in sorted(lost, key=lambda row: row["ratio"]["median"])
        ],
    )


def by_case(rows, name):
    """A table of all ratios."""
    texts = [f"## Case by case\n\n![ratios]({name}.png)"]
    for threads in threads_of(rows):
        lines = []
        for cell, passes, case in [
            (c, p, k) for c in distinct(rows, "cell") for p in PASSES for k in distinct(rows, "case")
        ]:
            here = those(rows, threads=threads, cell=cell, passes=passes, case=case)
            if not here:  # onnxruntime alone has no way back
                continue
            met = [ratio(here, peer=peer) for peer in RIVALS + OTHERS]
            best = min((r for r in met[: len(RIVALS)] if r is not None), default=None)
            times = [statistics.median(row["our seconds"]) for row in here]
            line = [f"{case} {cell} {passes}", f"{1e3 * statistics.median(times):.3g}"]
            lines.append(line + ["-" if r is None else f"{r:.2f}" for r in (best, *met)])
        header = ["", "xprnn, ms", "best of three", "torch.nn", "onnxruntime", "jax.jit", "textbook", "products alone"]
        texts.append(f"### {threads} thread{'s' * (threads > 1)}\n\n" + machine.table(header, lines))
    return "\n\n".join(texts)


def by_hand(rows):
    """The loop kernel's table."""
    if not rows:
        return ""
    lines = []
    for cell, passes in [(cell, passes) for cell in distinct(rows, "cell") for passes in PASSES]:
        met = [row["ratio"]["median"] for row in those(rows, cell=cell, passes=passes)]
        lines.append([f"{cell} {passes}", *(f"{r:.2f}" for r in met), f"**{geometric_mean(met):.2f}**"])
    header = ["", *distinct(rows, "case"), "geometric mean"]
    return (
        "## The loop, where nothing was compiled, beside NumPy written by hand with `out=` everywhere\n\n"
        "One thread; the hand-written one's time by the loop's.\n\n" + machine.table(header, lines)
    )


def section(name, part):
    """Another part's own words."""
    return f"## {name.capitalize()}\n\n{part['markdown']}"


def draw(rows, path):
    """A picture: for each cell and pass a panel, for each case its ratios, one mark for each rival and its threads."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    cells, cases = distinct(rows, "cell"), distinct(rows, "case")
    size = (11, 2.9 * len(cells) + 0.6)
    figure, axes = pyplot.subplots(
        len(cells), len(PASSES), figsize=size, sharex=True, squeeze=False, layout="constrained"
    )
    for down, cell in enumerate(cells):
        for across, passes in enumerate(PASSES):
            panel = axes[down][across]
            panel.set_title(f"{cell}, {passes}", fontsize=10)
            panel.set_yscale("log", base=2)
            panel.axhline(1, color="black", linewidth=0.8)
            panel.grid(axis="y", alpha=0.3)
            mark(panel, those(rows, cell=cell, passes=passes), cases)
            panel.yaxis.set_major_formatter("{x:g}")
            panel.set_xticks(range(len(cases)), cases, rotation=30, ha="right", fontsize=8)
        axes[down][0].set_ylabel("their time / xprnn's")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(RIVALS), fontsize=8, frameon=False)
    figure.suptitle("Above the line xprnn is faster", fontsize=11)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def mark(panel, rows, cases):
    """Put the ratios of each rival into a panel, cases from left to right, threads beside each other."""
    threads = threads_of(rows)
    for peer, place in [(peer, place) for peer in RIVALS for place in range(len(threads))]:
        here = those(rows, peer=peer, threads=threads[place])
        where = [cases.index(row["case"]) + 0.16 * (place - (len(threads) - 1) / 2) for row in here]
        panel.plot(
            where, [row["ratio"]["median"] for row in here], linestyle="", color=COLOURS[peer],
            marker="os^"[place % 3], markerfacecolor="none" if place else COLOURS[peer],
            label=f"{peer}, {threads[place]} thread{'s' * (threads[place] > 1)}",
        )  # fmt: skip
