"""xprnn on a GPU beside torch.nn, jax.lax.scan, its own loop, and the matrix products alone in a graph.

    python benchmarks/gpu.py [--minutes 8] [--parts table shapes] [--output benchmarks/results/gpu-DATE]
    python benchmarks/gpu.py --tune [--minutes 8] [--output benchmarks/results/gpu-DATE-tilings]
    python benchmarks/gpu.py [--tune] --dry-run --output FILE

All meetings of the plan (gpu_plan.py) take place in one process (gpu_worker.py), where those who meet get the same
questions in turns (gpu_duel.py) and every output that is timed is held to float64 (gpu_judge.py). Each part has its
share of the time, and what was not reached is said to be so. Should that process die, another goes on behind the
meeting in which it died. Writes FILE.json and FILE.md again and again, with all that there is by then; ends with 1 if
xprnn failed or was wrong anywhere.

With --tune it looks for the fastest way of dividing a layer instead (gpu_tune.py).

Needs CuPy, and for the others torch and JAX. A dry run goes the same way on the CPU, with tiny sizes and without times.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import gpu_plan
import gpu_report
import gpu_tune
import machine

HERE = Path(__file__).resolve().parent
RESERVE = 15  # seconds for the last meeting to end, and for the report
STUCK = 150  # seconds in which the worker must say something
EVERY = 10  # seconds between two reports: no more is lost, should this process be killed


def options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--parts", nargs="+", choices=gpu_plan.SHARES, default=list(gpu_plan.SHARES))
    parser.add_argument("--output", type=Path, default=HERE / "results" / f"gpu-{time.strftime('%Y-%m-%d')}")
    parser.add_argument("--dry-run", action="store_true", help="on the CPU: the plan and tiny sizes, no times")
    parser.add_argument("--tune", action="store_true", help="look for the fastest tilings of the walks instead")
    chosen = parser.parse_args()
    if chosen.output == parser.get_default("output"):
        if chosen.dry_run:
            parser.error("a dry run has no results to keep: name an --output for it")
        if chosen.tune:
            chosen.output = chosen.output.with_name(f"{chosen.output.name}-tilings")
    return chosen


def listen(command, environment, last):
    """What a process prints, from JSON, line by line, how it ended, and whether the time was over by then.

    When it is silent for too long, or goes on after ``last``, it is killed.
    """
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    while True:
        watch = threading.Timer(min(STUCK, max(0.0, last - time.time())), process.kill)
        watch.start()
        line = process.stdout.readline()
        watch.cancel()
        if not line:
            break
        yield json.loads(line)
    process.stdout.close()
    yield {"ended": process.wait(), "over": time.time() >= last}


def gather(chosen, began):
    """Let all meetings take place; yields after each of them what is told of the GPU, and what was found by then.

    found: by a meeting's number its rows, or why there are none.
    """
    last, count = began + 60 * chosen.minutes - RESERVE, len(gpu_plan.plan(chosen.parts))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XPRNN_")}
    environment = kept | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # JAX would take most of the GPU's memory
    task = {"parts": chosen.parts, "last": last, "dry": chosen.dry_run}
    about, found, first = [], {}, 0
    while first < count and time.time() < last:
        command = [sys.executable, str(HERE / "gpu_worker.py"), json.dumps(task | {"first": first})]
        for told in listen(command, environment, last + RESERVE / 2):
            if "about" in told:
                about.append(told["about"])
            elif "begins" in told:
                first = told["begins"]
            elif "rows" in told:
                found[first] = told["rows"]
                yield about, found
        if not about:
            raise SystemExit("the benchmark could not begin")
        if told["ended"] == 0 or told["over"]:  # what the clock ends has not failed
            break
        found[first] = f"the process ended with {told['ended']}"
        first += 1
    yield about, found


def report(chosen, here, began, about, found):
    """Write what there is by now -> the result."""
    entries = gpu_plan.plan(chosen.parts)
    result = {"machine": here, "gpu": about[0], "GPU at the end": about[-1].get("now") if about[1:] else None}
    result |= {"minutes": round((time.time() - began) / 60, 1), "dry run": chosen.dry_run}
    result |= gpu_report.sorted_out(entries, found)
    gpu_report.write(result, entries, chosen.output)
    return result


def main():
    chosen, began, written = options(), time.time(), 0.0
    if chosen.tune:
        return gpu_tune.main(chosen.output, chosen.minutes, chosen.dry_run)
    here = machine.describe()  # which imports xprnn: what is missing shows now, not when the time has been spent
    for about, found in gather(chosen, began):
        if time.time() - written >= EVERY:
            report(chosen, here, began, about, found)
            written = time.time()
    result = report(chosen, here, began, about, found)
    print(chosen.output.with_suffix(".md").read_text(), end="")
    sys.exit(1 if gpu_report.ours(result["problems"]) else 0)


if __name__ == "__main__":
    main()
