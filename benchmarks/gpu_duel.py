"""A meeting in the GPU benchmark: all who take part get the same questions, in turns, and all answers are judged."""

import gpu_judge
import machine
import numpy as np
from cases import PASSES
from gpu_contestants import enter

ENOUGH = 0.01  # seconds of calls of one contestant in a round
MOST = 20  # calls of a round
ROUNDS = 5


def meet(entry, weights, papers, place, timed):
    """A row for each pass, with what each contestant did, or why it failed: the others then go on without it."""
    sides, failed = {}, {}
    for name in entry.names:
        sides[name], failed[name] = attempt(place, _ready, name, entry, weights, papers, place)
    about = {"part": entry.part, "case": str(entry.case), "size": entry.case._asdict(), "mode": entry.mode}
    rows = []
    for number, passes in enumerate(PASSES):
        found = _duel(sides, dict(failed), papers, place, number, timed)
        rows.append(about | {"pass": passes, "found": found})
    return rows


def _ready(name, entry, weights, papers, place):
    """A contestant with the questions as it takes them."""
    contestant = enter(name, entry.case, weights, entry.mode, place)
    return contestant, [contestant.prepare(paper) for paper in papers]


def attempt(place, work, *arguments):
    """What ``work`` gives, and None; or None, and what it raised. A GPU that answers no more raises here again."""
    try:
        return work(*arguments), None
    except (Exception, SystemExit) as error:  # any problem of any library is told, and is that contestant's alone
        problem = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    place.wait()
    return None, problem


def _duel(sides, failed, papers, place, number, timed):
    """All rounds of one pass, or one if not timed -> what each contestant did; ``failed`` says why one is out."""
    calls, seconds, errors = {}, {name: [] for name in sides}, {name: {} for name in sides}
    for name in sides:
        calls[name] = len(papers)
        if timed and not failed[name]:
            calls[name], failed[name] = attempt(place, _calls, sides[name], place, number)
    for turn in range(ROUNDS if timed else 1):
        for name in list(sides) if turn % 2 else reversed(sides):
            if failed[name]:
                continue
            met, failed[name] = attempt(place, _turn, sides[name], papers, place, number, calls[name], turn)
            if met:
                seconds[name].append(met[0])
                errors[name] = worst(errors[name], met[1])
    ours = next(iter(sides))
    found = {}
    for name in sides:
        if failed[name]:
            found[name] = {"failed": failed[name]}
            continue
        found[name] = _told(sides[name][0], errors[name], number)
        if timed:
            milliseconds = machine.spread([1e3 * value for value in seconds[name]])
            found[name] |= {"calls of a round": calls[name], "milliseconds": milliseconds}
            if not failed[ours]:
                found[name]["ratio"] = machine.ratios(seconds[name], seconds[ours])
    return found


def _told(contestant, errors, number):
    """What there is to say of a contestant but for its times."""
    about = {"says": contestant.says[number], "arithmetic": contestant.arithmetic, "errors": errors}
    return about | {"wrong": gpu_judge.wrong(errors, contestant.arithmetic) if errors else []}


def _work(contestant, number):
    return (contestant.infer, contestant.train)[number]


def _calls(side, place, number):
    """How often a contestant is called in a round; the first call may compile, and the last ones fill its memory."""
    contestant, questions = side
    work = _work(contestant, number)
    work(questions[0])
    place.wait()
    seconds, _ = contestant.clock(lambda: [work(question) for question in questions])
    count = min(MOST, int(ENOUGH * len(questions) / seconds) + 1)
    contestant.clock(lambda: [work(questions[0]) for _ in range(count)])
    return count


def _turn(side, papers, place, number, calls, first):
    """A contestant's turn -> the seconds of a call, and the largest errors of all answers that were timed.

    Half as many calls come before that do not count. An answer is overwritten when it has been judged: it must not be
    found where the next one should be written. Of JAX's answers, and of torch's in 16 bits, only copies are.
    """
    contestant, questions = side
    work, drawn = _work(contestant, number), [(first + n) % len(papers) for n in range(calls)]
    for n in drawn[: calls // 2]:
        work(questions[n])
    place.wait()
    seconds, outputs = contestant.clock(lambda: [work(questions[n]) for n in drawn])
    found = {}
    for n, output in zip(drawn, outputs, strict=True):
        met = contestant.named(output)
        found = worst(found, gpu_judge.errors(met, papers[n].right))
        for a in met.values():
            a[...] = float("nan")
    return seconds / calls, found


def worst(some, others):
    """The larger of two errors of each array; NaN is larger than all."""
    names = dict.fromkeys((*some, *others))
    return {name: float(np.maximum(some.get(name, 0.0), others.get(name, 0.0))) for name in names}
