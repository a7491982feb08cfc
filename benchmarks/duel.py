"""One contestant against xprnn, taking turns in this process; prints a line of JSON for each job and pass.

    python benchmarks/duel.py torch --threads 1 --answers FOLDER [--cases stream charlm] [--cells LSTM] [--rounds 7]

``benchmarks/cpu.py`` calls it, with the answers that it has worked out. Each round takes a question of its own; the one
who begins changes from round to round. Short jobs are called many times a round, with the next questions. The answers
of all calls that are timed are looked at after the round.
"""

import argparse
import gc
import itertools
import json
import os
import time
from pathlib import Path

import machine

ENOUGH = 0.02  # seconds of calls of one contestant in a round
MOST = 60  # calls of a round


def options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("contestant")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--cases", nargs="+")
    parser.add_argument("--cells", nargs="+")
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def block(work, questions):
    """Call ``work`` on each question -> seconds a call, and the answers."""
    start = time.perf_counter()
    met = [work(question) for question in questions]
    return (time.perf_counter() - start) / len(questions), met


def duel(ours, theirs, exam, rounds, what):
    """Rounds of blocks -> the seconds a call of each, ours and theirs, round by round."""
    from cases import check

    sides = [ours, theirs]
    first = max(block(side, [exam[number][0] for number in (0, 1)])[0] for side in sides)  # it warms up, too
    calls = min(MOST, int(ENOUGH / first) + 1)
    times = []
    for number in range(rounds):
        drawn = [exam[(number + more) % len(exam)] for more in range(calls)]
        pair = [0.0, 0.0]
        for side in (0, 1) if number % 2 else (1, 0):
            gc.collect()
            pair[side], met = block(sides[side], [question for question, _ in drawn])
            for answer, (_, right) in zip(met, drawn, strict=True):
                if answer.y is not None:
                    check(answer, right, what)
            del met
        times.append(pair)
    return [list(side) for side in zip(*times, strict=True)]


def main():
    chosen = options()
    if chosen.threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one thread, and no library is in doubt about it
    import cases
    import contestants
    import numpy as np

    here = machine.describe()
    for case, cell in itertools.product(chosen.cases or cases.CASES, chosen.cells or cases.CELLS):
        job = cases.job(cell, case)
        exam = []
        for file in sorted(chosen.answers.glob(f"{cell}-{case}-*.npz")):
            question = cases.question(job.sizes, int(file.stem.rpartition("-")[2]))
            with np.load(file) as right:
                exam.append((question, cases.Answer(**right)))
        ours, theirs = (make(job, chosen.threads) for make in (contestants.xprnn, contestants.ALL[chosen.contestant]))
        for passes, one, other in zip(cases.PASSES, ours, theirs, strict=True):
            if other is None:
                continue
            what = f"{chosen.contestant} or xprnn, {cell} {case} {passes}"
            mine, yours = duel(one, other, exam, chosen.rounds, what)
            row = {"peer": chosen.contestant, "threads": chosen.threads, "cell": cell, "case": case, "pass": passes}
            row |= {"xprnn": mine, "seconds": yours, "ratio": machine.ratios(yours, mine), "blas": here["blas"]}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
