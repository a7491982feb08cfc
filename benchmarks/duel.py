"""One contestant against another, taking turns in this process; prints a line of JSON for each job and pass.

    python benchmarks/duel.py xprnn torch --answers FOLDER [--threads 2] [--cases stream charlm] [--cells LSTM]

``benchmarks/cpu.py`` calls it, with the answers that it has worked out. Each round takes a question of its own; the one
who begins changes from round to round. Short jobs are called many times a round, with the next questions, after half as
many calls that do not count: the other one and the pause have left them cold caches and sleeping threads. The answers
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
import numpy as np

ENOUGH = 0.02  # seconds of calls of one contestant in a round
MOST = 60  # calls of a round
PAUSE = 0.05, 0.2  # seconds before each turn, alone and with other threads, which may spin for long after their work


def options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ours")
    parser.add_argument("peer")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--cases", nargs="+")
    parser.add_argument("--cells", nargs="+")
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()


def block(work, questions, places, before=0):
    """Call ``work`` on each question -> the mean seconds of a call; what it answers is copied to ``places``.

    So many calls come before. The clock stands while it is copied. An answer is let go before the next call, so
    that its memory can be taken again, as in a user's loop: of memory that is new, the first touch of each page costs
    more than some jobs.
    """
    seconds = 0.0
    for question in questions[:before]:
        work(question)
    for question, place in zip(questions, places, strict=True):
        start = time.perf_counter()
        met = work(question)
        seconds += time.perf_counter() - start
        for to, a in zip(place, met, strict=True):
            if a is not None:
                to[...] = a
        del met
    return seconds / len(questions)


def duel(sides, judged, exam, fields, rounds, threads):
    """Rounds of blocks -> the seconds a call of each side, round by round; ``judged`` says whose answers count.

    With more than one thread even the longest job is called once before: on a virtual machine a core that has slept may
    be gone for as long as that.
    """
    from cases import Answer, check

    def room():
        return Answer(**{name: np.empty_like(getattr(exam[0][1], name), dtype="f") for name in fields})

    for _ in range(2):  # the first time something may be compiled
        seconds = [block(side, [exam[0][0], exam[-1][0]], [room(), room()]) for side in sides]
    calls = min(MOST, int(ENOUGH / max(seconds)) + 1)
    before, pause = max(calls // 2, threads > 1), PAUSE[threads > 1]
    times, places = [], [room() for _ in range(calls)]
    for number in range(rounds):
        drawn = [exam[(number + more) % len(exam)] for more in range(calls)]
        pair = [0.0, 0.0]
        for side in (0, 1) if number % 2 else (1, 0):
            for a in (a for place in places for a in place if a is not None):
                a[...] = np.nan
            gc.collect()
            time.sleep(pause)
            pair[side] = block(sides[side], [question for question, _ in drawn], places, before)
            for answer, (_, right) in zip(places, drawn, strict=True):
                if judged[side]:
                    check(answer, right)
        times.append(pair)
    return [list(side) for side in zip(*times, strict=True)]


def read_exam(folder, job):
    """The questions that were worked out, each with its right answer."""
    import cases

    exam = []
    for file in sorted(folder.glob(f"{job.cell}-{job.case}-*.npz")):
        with np.load(file) as right:
            exam.append((cases.question(job.sizes, int(file.stem.rpartition("-")[2])), cases.Answer(**right)))
    return exam


def main():
    chosen = options()
    if chosen.threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one thread, and no library is in doubt about it
    import cases
    import contestants

    here, names = machine.describe(), (chosen.ours, chosen.peer)
    for case, cell in itertools.product(chosen.cases or cases.CASES, chosen.cells or cases.CELLS):
        job = cases.job(cell, case)
        exam = read_exam(chosen.answers, job)
        ours, theirs = (contestants.ALL[name](job, chosen.threads) for name in names)
        for passes, one, other in zip(cases.PASSES, ours, theirs, strict=True):
            if other is None:
                continue
            fields = cases.Answer._fields if passes == cases.PASSES[1] else ("y",)
            judged = [name != "limit" for name in names]
            mine, yours = duel([one, other], judged, exam, fields, chosen.rounds, chosen.threads)
            row = {"ours": names[0], "peer": names[1], "threads": chosen.threads, "cell": cell, "case": case}
            row |= {"pass": passes, "our seconds": mine, "their seconds": yours}
            row |= {"ratio": machine.ratios(yours, mine), "blas": here["blas"]}
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
