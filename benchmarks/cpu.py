"""xprnn on a CPU beside torch.nn, onnxruntime, jax.jit, NumPy as textbooks write it, and the matrix products alone.

    python benchmarks/cpu.py [--quick] [--output benchmarks/results/cpu-DATE] [--parts table streaming]
                             [--threads 1 2] [--cases charlm] [--cells LSTM] [--peers torch] [--rounds 4] [--times 2]

The table: each contestant meets xprnn in processes of its own, with so many threads, where the two take turns
(duel.py); every output is held to float64. When all have met, they meet again: for minutes on end a machine may be
slow, or have other things to do on one of its cores. Then the other parts, each a program beside this one. Writes
FILE.json, .md and .png, by default below results/. Needs the peers and matplotlib: pip install '.[peers,plot]'.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import machine
import report

HERE = Path(__file__).resolve().parent
# Who meets whom: xprnn with the kernel that it chooses, or its loop.
PEERS = {name: "xprnn" for name in ("torch", "onnxruntime", "jax", "numpy", "limit")} | {"handwritten": "loop"}
ONE_THREAD = ("numpy", "handwritten")
PARTS = ("table", "training", "streaming", "epoch", "growth", "starting")
QUICK = ("stream", "charlm")


def options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two cases, three rounds, one thread, and the table alone")
    parser.add_argument("--output", type=Path, default=HERE / "results" / f"cpu-{time.strftime('%Y-%m-%d')}")
    parser.add_argument("--parts", nargs="+", choices=PARTS)
    parser.add_argument("--threads", nargs="+", type=int)
    parser.add_argument("--cases", nargs="+")
    parser.add_argument("--cells", nargs="+")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, help="turns of two who meet")
    parser.add_argument("--times", type=int, help="how often all meet")
    chosen = parser.parse_args()
    chosen.parts = chosen.parts or (("table",) if chosen.quick else PARTS)
    chosen.threads = chosen.threads or ([1] if chosen.quick else [1, 2])
    chosen.rounds = chosen.rounds or (3 if chosen.quick else 4)
    chosen.times = chosen.times or (1 if chosen.quick else 2)
    return chosen


def work_out(folder, cell, case, number):
    """The right answer to one question, into a file."""
    import cases
    import numpy as np

    job = cases.job(cell, case)
    right = cases.answer(job, cases.question(job.sizes, number))
    np.savez(f"{folder}/{cell}-{case}-{number}.npz", **right._asdict())


def program(name, *arguments, threads=1, core=None):
    """What a program beside this one prints, as lines; its own complaints come through."""
    environment = os.environ | machine.threads(threads) | {"PYTHONPATH": str(HERE.parent)}
    if core:
        environment["OPENBLAS_CORETYPE"] = core
    command = [sys.executable, str(HERE / name), *map(str, arguments)]
    found = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if found.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {found.returncode}")
    return found.stdout.splitlines()


def fastest_core():
    """The type of core whose kernels make OpenBLAS's products fastest here, of those that say they run; None: its own.

    Asked in processes of their own: for 256 x 512 times 512 x 2048, the least of many.
    """
    code = (
        "import sys, timeit, numpy as np; sys.path.insert(0, sys.argv[1]); import machine;"
        "a, b = (np.ones(shape, 'f') for shape in ((256, 512), (512, 2048)));"
        "print(min(timeit.repeat(lambda: a @ b, number=3, repeat=30)), machine.blas().get('core'))"
    )
    found = {}
    for core in (None, "SkylakeX", "Zen", "Haswell"):
        environment = os.environ | machine.threads(1) | ({"OPENBLAS_CORETYPE": core} if core else {})
        out = subprocess.run([sys.executable, "-c", code, HERE], env=environment, capture_output=True, text=True)
        if out.returncode == 0:
            seconds, met = out.stdout.split()
            if core is None or met == core:
                found[core] = float(seconds)
    best = min(found, key=found.get)
    return best if found[best] < 0.95 * found[None] else None


def table(chosen):
    """All duels, as often as they are to be fought -> their rows."""
    core, size = fastest_core(), chosen.rounds
    times = (range(number * size, (number + 1) * size) for number in range(chosen.times))
    return joined(row for numbers in times for row in duels(chosen, core, numbers))


def joined(rows):
    """The rows with those of the same duel as one."""
    met = {}
    for row in rows:
        first = met.setdefault(tuple(row[name] for name in ("peer", "threads", "cell", "case", "pass")), row)
        if first is not row:
            for seconds in ("our seconds", "their seconds"):
                first[seconds] += row[seconds]
            first["ratio"] = machine.ratios(first["their seconds"], first["our seconds"])
    return list(met.values())


def duels(chosen, core, numbers):
    """All duels once, with the questions of these numbers -> their rows."""
    import cases

    chosen_cases, cells = chosen.cases or (QUICK if chosen.quick else cases.CASES), chosen.cells or cases.CELLS
    for case in chosen_cases:
        with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor() as pool:
            jobs = [(folder, cell, case, number) for cell in cells for number in numbers]
            list(pool.map(work_out, *zip(*jobs, strict=True)))
            for peer, threads in itertools.product(chosen.peers, chosen.threads):
                if peer in ONE_THREAD and threads > 1:
                    continue  # there it would be BLAS that is measured
                print(f"{case}: {peer}, {threads} thread(s)", file=sys.stderr, flush=True)
                arguments = ["--threads", threads, "--answers", folder, "--rounds", chosen.rounds, "--cases", case]
                lines = program(
                    "duel.py", PEERS[peer], peer, *arguments, "--cells", *cells, threads=threads,
                    core=core if peer == "limit" else None,
                )  # fmt: skip
                yield from map(json.loads, lines)


def main():
    chosen = options()
    started = time.time()
    result = {"machine": machine.describe(), "rounds": chosen.rounds, "times": chosen.times, "load": os.getloadavg()[0]}
    for part in chosen.parts:
        if part == "table":
            result[part] = table(chosen)
        else:
            print(part, file=sys.stderr, flush=True)
            result[part] = json.loads("\n".join(program(f"{part}.py", "--json")))
        result["minutes"] = round((time.time() - started) / 60, 1)
        report.write(result, chosen.output)  # after each part: what is measured is not lost
    print(chosen.output.with_suffix(".md").read_text(), end="")


if __name__ == "__main__":
    # Answers are worked out one to a process: threads of BLAS besides would only get into each other's way.
    os.environ |= machine.threads(1)
    main()
