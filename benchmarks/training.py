"""Training beside torch.nn as of a first layer: forward, and the gradients of the weights but not of the input.

    python benchmarks/training.py [--threads 1 2] [--rounds 6] [--cases charlm] [--quick] [--json]

The table of cpu.py asks all for dx too; data want no gradient, and who can then does without. The two take turns in one
process, one for each number of threads (duel.py), and all outputs and gradients are held to float64. A ratio above 1
says that xprnn is faster. Needs torch (pip install '.[peers]').
"""

import argparse
import itertools
import json
import os

import machine
import report

QUESTIONS = 3  # with answers of their own, asked in turn
FIELDS = ("y", "dWx", "dWh")


def measure(chosen, rounds, threads):
    """The rows of all cells and cases with so many threads."""
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    import cases
    import contestants
    import duel

    rows = []
    for cell, case in itertools.product(cases.CELLS, chosen):
        job = cases.job(cell, case)
        questions = [cases.question(job.sizes, number) for number in range(QUESTIONS)]
        exam = [(question, cases.answer(job, question)._replace(dx=None)) for question in questions]
        sides = [side(job, threads, inputs=False).train for side in (contestants.xprnn, contestants.torch)]
        met = duel.duel(sides, (True, True), exam, FIELDS, rounds, threads)
        row = {"threads": threads, "cell": cell, "case": case, "ratio": machine.ratios(met[1], met[0])}
        rows.append(row | {"our seconds": met[0], "their seconds": met[1]})
    return rows


def markdown(rows):
    """A line for each cell and number of threads."""
    lines = []
    for cell, threads in itertools.product(report.distinct(rows, "cell"), report.threads_of(rows)):
        met = [row["ratio"]["median"] for row in report.those(rows, cell=cell, threads=threads)]
        name = f"{cell}, {threads} thread{'s' * (threads > 1)}"
        lines.append([name, *(f"{r:.2f}" for r in met), f"**{report.geometric_mean(met):.2f}**"])
    return (
        "Forward, and backward to the weights alone, as in the first layer of a model: torch.nn's time by xprnn's.\n\n"
        + machine.table(["", *report.distinct(rows, "case"), "geometric mean"], lines)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=6, help="turns of the two")
    parser.add_argument("--cases", nargs="+")
    parser.add_argument("--quick", action="store_true", help="two cases, two rounds, one thread")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    import cases

    chosen = options.cases or (["stream", "charlm"] if options.quick else list(cases.CASES))
    rounds, threads = (2, [1]) if options.quick else (options.rounds, options.threads)
    if options.child:
        print(json.dumps(measure(chosen, rounds, threads[0])))
        return
    arguments = ["--child", "--rounds", rounds, "--cases", *chosen, "--threads"]
    rows = [row for count in threads for row in machine.child(__file__, [*arguments, count], count)]
    machine.tell(rows, markdown(rows), options.json)


if __name__ == "__main__":
    main()
