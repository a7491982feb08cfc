"""The GPU benchmark's result as JSON and as Markdown tables; what was not reached or went wrong stands first."""

import itertools

import epoch
import gpu_predicted
import machine
from cases import CELLS, PASSES
from gpu_plan import FLOAT32
from report import compact, geometric_mean, those

WALKS = ("cluster", "grid", "graph")
OURS = ("xprnn", *WALKS, "16 bit", "loop", "xprnn on 2 streams", "cluster on 2 streams")
REFUSED = "Refused: "
WORDS = {
    "epoch": "An epoch of training", "loop": "Beside the loop on CuPy", "norm": "Layer normalization",
    "jax": "Beside jax.lax.scan",
    "persistent": "Where cuDNN's persistent kernels run", "packed": "Beside torch on a PackedSequence",
    "shapes": "Other shapes", "table": "Sizes",
}  # fmt: skip


def sorted_out(entries, found):
    """The rows of all meetings that took place, those that did not, and what went wrong.

    found: by a meeting's number its rows, or why there are none.
    """
    rows, missed, problems = [], [], []
    for number, entry in enumerate(entries):
        met = found.get(number)
        if met is None:
            missed.append(str(entry))
        elif isinstance(met, str):
            problems.append([str(entry), "all", met])
        else:
            rows += [{"number": number} | row for row in met]
    for row in rows:
        if row["part"] != "epoch":
            what = f"{entries[row['number']]}, {row['pass']}"
            met = {name: one.get("failed") or _wrong(one) for name, one in row["found"].items()}
            problems += [[what, name, problem] for name, problem in met.items() if problem]
    return {"table": rows, "not reached": missed, "problems": problems}


def _wrong(one):
    """Which arrays of a contestant are wrong, and by how much."""
    return ", ".join(f"{name} is wrong by {one['errors'][name]:.1e}" for name in one["wrong"])


def ours(problems):
    """Those problems that are xprnn's own: a missing torch to train beside is not, nor what this GPU cannot run."""
    mine = [each for each in problems if each[1] in (*OURS, "all") and not each[2].startswith(REFUSED)]
    return [each for each in mine if "No module named 'torch'" not in each[2]]


def write(result, entries, path):
    """Write path.json and path.md, in place of older ones as soon as they are whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [head(result), *unfinished(result)]
    if not result["dry run"]:
        parts += [means(result["table"]), losses(result["table"]), gpu_predicted.section(result["table"])]
    parts += [section(part, entries, result) for part in dict.fromkeys(entry.part for entry in entries)]
    for suffix, text in ((".json", compact(result)), (".md", "\n\n".join(filter(None, parts)))):
        made = path.with_suffix(suffix + ".part")
        made.write_text(text + "\n")
        made.replace(path.with_suffix(suffix))


def head(result):
    here, gpu = result["machine"], result["gpu"]
    versions = ", ".join(f"{name} {version}" for name, version in (here["versions"] | gpu["versions"]).items())
    told = [f"{name} {gpu[name]}" for name in ("CUDA runtime", "CUDA of the driver") if name in gpu]
    told += [f"{name} {value}" for part in (gpu.get("card"), gpu["torch"]) for name, value in (part or {}).items()]
    for when, state in (("at the beginning", gpu.get("now")), ("at the end", result["GPU at the end"])):
        told += [f"{when} " + ", ".join(f"{name} {value}" for name, value in state.items())] if state else []
    if result["dry run"]:
        text = "A dry run: all contestants and the judge ran on the CPU, on tiny sizes, and no times were taken."
    else:
        text = (
            "xprnn's cells: milliseconds of a call, the median over rounds in which all take turns, and the quarters. "
            "The others': their time by xprnn's, above × 1 xprnn is faster. Times are those between CUDA events, with "
            "JAX those of the host's clock."
        )
    return "\n\n".join([
        f"# {'Dry run of the benchmark' if result['dry run'] else 'xprnn'} on a GPU, {here['date']}",
        f"`python benchmarks/gpu.py` on {gpu['device']}, {here['processor']}, {here['system']}, Python "
        f"{here['python']}, in {result['minutes']} minutes; {versions}{''.join(f'; {part}' for part in told)}.",
        f"{text} Behind it the largest error of all outputs, as a part of the norm of what float64 gives. The inputs "
        "are three sets in turn. fp32 is exact, tf32 has TF32 operands; in bf16 xprnn has bfloat16 operands and 16 bit "
        "and torch bfloat16 arrays, in fp16 all have float16 arrays. cuDNN's algorithms are those of torch's own rule. "
        "The limit is the matrix products alone.",
    ])  # fmt: skip


def unfinished(result):
    """What went wrong, and what was not reached."""
    parts = []
    if result["problems"]:
        parts.append("## What went wrong\n\n" + machine.table(["", "who", "what"], result["problems"]))
    if result["not reached"]:
        text = "\n".join(f"* {name}" for name in result["not reached"])
        parts.append(f"## Not reached in the time there was: {len(result['not reached'])} meetings\n\n{text}")
    return parts


def ratios_of(rows, name):
    """The ratios of a contestant whose answers and xprnn's are right, each with where it was met."""
    good = [row for row in rows if "ratio" in row["found"].get(name, {}) and not _spoiled(row["found"], name)]
    return [(row["found"][name]["ratio"]["median"], f"{row['case']} {row['mode']}") for row in good]


def _spoiled(found, name):
    """Whether the contestant or the one that it is compared with was wrong."""
    return bool(found[name]["wrong"] or found[next(iter(found))]["wrong"])


def means(rows):
    """Geometric means over the sizes of the table, and the least ratio with its case."""
    lines, names, rows = [], (*WALKS, "16 bit", "torch", "limit"), those(rows, part="table")
    if not rows:
        return ""
    for cell, mode, passes in itertools.product(reversed(CELLS), FLOAT32, PASSES):
        here = [row for row in those(rows, mode=mode, passes=passes) if row["size"]["cell"] == cell]
        met = [ratios_of(here, name) for name in names]
        cells = [f"{geometric_mean([r for r, _ in each]):.2f} ({min(each)[0]:.2f} {min(each)[1]})" if each else "-"
                 for each in met]  # fmt: skip
        lines += [[f"{cell} {mode} {passes}, {len(here)} sizes", *cells]] if here else []
    return "## Geometric means over the sizes, in parentheses the least\n\n" + machine.table(["", *names], lines)


def losses(rows):
    """All comparisons with torch and JAX that are not won."""
    met = []
    for row, name in itertools.product([row for row in rows if row["part"] != "epoch"], ("torch", "packed", "jax")):
        met += [(ratio, f"{case} {row['pass']}", name) for ratio, case in ratios_of([row], name)]
    lost = sorted(each for each in met if each[0] < 1)
    text = f"## Not won: {len(lost)} of {len(met)} comparisons with torch and JAX\n\n"
    if not lost:
        return text + "None."
    return text + machine.table(["", "who", "ratio"], [[case, name, f"{ratio:.2f}"] for ratio, case, name in lost])


def section(part, entries, result):
    """A part's table, with a line for each meeting that was planned, and pass."""
    text, rows = f"## {WORDS[part]}\n\n", those(result["table"], part=part)
    if part == "epoch":
        return text + (_epoch(rows[0]["found"]) if rows else "See above.")
    mine = [(number, entry) for number, entry in enumerate(entries) if entry.part == part]
    mine.sort(key=lambda each: (each[1].case.cell, each[1].case.H))
    names, lines = list(dict.fromkeys(name for _, entry in mine for name in entry.names)), []
    for (number, entry), passes in itertools.product(mine, PASSES):
        here = those(rows, number=number, passes=passes)
        gone = "not reached" if str(entry) in result["not reached"] else "failed"
        shown = [_cell(here[0]["found"], name) if here else gone for name in names]
        lines.append([f"{entry.case} {entry.mode} {passes}", *shown])
    return text + machine.table(["", *names], lines)


def _cell(found, name):
    """What a contestant did: its time or ratio, the largest error, and the algorithm."""
    if name not in found:
        return "-"
    one = found[name]
    if "failed" in one:
        return "refused" if one["failed"].startswith(REFUSED) else "failed"
    if one["wrong"]:
        return "wrong"
    parts = []
    if "milliseconds" in one:
        compared = "ratio" in one and name != next(iter(found)) and not _spoiled(found, name)
        parts.append(f"× {machine.shown(one['ratio'])}" if compared else f"{machine.shown(one['milliseconds'], 3)} ms")
    parts += [f"{max(one['errors'].values()):.0e}"] if one["errors"] else []
    return ", ".join([*parts, one["says"]])


def _epoch(found):
    """The epoch's own words."""
    if "ratio" in found:
        return epoch.markdown({"GPU": found}, "")
    same = f"the losses differ by {found['losses differ by']:.0e} of their size"
    return f"Over {found['updates compared']} updates {same}."
