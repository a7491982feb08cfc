"""The process in which the meetings of the GPU benchmark take place; ``gpu.py`` starts it and reads what it prints."""

import functools
import json
import os
import sys
import time

import epoch
import gpu_duel
import gpu_judge
import gpu_place
import gpu_plan
from gpu_peers import allow_tf32


def attend(parts, last, first, dry):
    """What there is to tell, piece by piece, of all meetings of these parts from the ``first`` on.

    Those whose part has had its share of the time are left out. What there is until ``last`` is shared out when the
    libraries are there, which may take long the first time.
    """
    place = gpu_place.cpu() if dry else gpu_place.gpu()
    yield {"about": gpu_place.describe(place)}
    entries = gpu_plan.plan(parts)
    until = gpu_plan.ends({entry.part for entry in entries[first:]}, time.time(), last)
    if dry:
        entries = [entry._replace(case=gpu_plan.tiny(entry.case)) for entry in entries]
    meet, train = meetings(entries, place, dry), functools.partial(training, place, dry)
    for number, entry in enumerate(entries[first:], first):
        if time.time() < until[entry.part]:
            yield {"begins": number}
            rows, problem = gpu_duel.attempt(place, meet if entry.case else train, entry)
            yield {"rows": rows or problem}
    yield {"about": gpu_place.describe(place)}


def meetings(entries, place, dry):
    """A function from a meeting to its rows. It keeps the last exam; a dry run, where many are the same, all rows."""

    @latest
    def exam(case):
        gpu_place.free(place)
        return gpu_judge.exam(case, place.xp)

    @latest
    def papers(case, most):
        return list(gpu_judge.papers(exam(case._replace(B=most)), case))

    def meet(entry):
        case, cases = entry.case, [other.case for other in entries if other.case]
        most = max(other.B for other in cases if other._replace(B=case.B) == case)
        questions = papers(case, most)
        gpu_place.free(place)  # the exam's own memory, before the contestants' libraries ask for theirs
        return gpu_duel.meet(entry, exam(case._replace(B=most)).weights, questions, place, timed=not dry)

    return functools.cache(meet) if dry else meet


def latest(make):
    """``make``, but what it made last is kept until it is asked for another: that is dropped before this is made."""
    kept = {}

    def found(*key):
        if key not in kept:
            kept.clear()
            kept[key] = make(*key)
        return kept[key]

    return found


def training(place, dry, entry):
    """The row of a training epoch, in which torch takes no TF32 either."""
    allow_tf32(entry.mode)
    found = epoch.turns(1, 1 if dry else None, place.backend, place.device)
    times = ("seconds of an update", "ratio") if dry else ()
    found = {name: value for name, value in found.items() if name not in times}
    return [{"part": entry.part, "mode": entry.mode, "found": found}]


def main(task):
    """Print what there is to tell, a line each; what any library prints, from C too, goes to stderr."""
    with os.fdopen(os.dup(1), "w") as lines:
        os.dup2(2, 1)
        for told in attend(**json.loads(task)):
            print(json.dumps(told), file=lines, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
