"""The process in which the meetings of the GPU benchmark take place; ``gpu.py`` starts it and reads what it prints."""

import functools
import json
import sys
import time

import epoch
import gpu_duel
import gpu_judge
import gpu_place
import gpu_plan
from gpu_peers import allow_tf32


def tell(**what):
    print(json.dumps(what), flush=True)


def attend(parts, last, first, dry):
    """All meetings of these parts from the ``first`` on, but for those whose part has had its share of the time.

    What there is until ``last`` is shared out when the libraries are there, which may take long the first time.
    """
    place = gpu_place.cpu() if dry else gpu_place.gpu()
    tell(about=gpu_place.describe(place))
    entries = gpu_plan.plan(parts)
    until = gpu_plan.ends({entry.part for entry in entries[first:]}, time.time(), last)
    if dry:
        entries = [entry._replace(case=gpu_plan.tiny(entry.case)) for entry in entries]
    meet, train = meetings(entries, place, dry), functools.partial(training, place, dry)
    for number, entry in enumerate(entries[first:], first):
        if time.time() < until[entry.part]:
            tell(begins=number)
            rows, problem = gpu_duel.attempt(place, meet if entry.case else train, entry)
            tell(rows=rows or problem)
    tell(about=gpu_place.describe(place))


def meetings(entries, place, dry):
    """A function from a meeting to its rows. It keeps the last exam; a dry run, where many are the same, all rows."""

    @functools.lru_cache(maxsize=1)
    def exam(case):
        gpu_place.free(place)
        return gpu_judge.exam(case, place.xp)

    @functools.lru_cache(maxsize=1)
    def papers(case, most):
        return list(gpu_judge.papers(exam(case._replace(B=most)), case))

    def meet(entry):
        case, cases = entry.case, [other.case for other in entries if other.case]
        most = max(other.B for other in cases if other._replace(B=case.B) == case)
        questions = papers(case, most)
        return gpu_duel.meet(entry, exam(case._replace(B=most)).weights, questions, place, timed=not dry)

    return functools.cache(meet) if dry else meet


def training(place, dry, entry):
    """The row of a training epoch, in which torch takes no TF32 either."""
    allow_tf32(entry.mode)
    found = epoch.turns(1, 1 if dry else None, place.backend, place.device)
    times = ("seconds of an update", "ratio") if dry else ()
    found = {name: value for name, value in found.items() if name not in times}
    return [{"part": entry.part, "mode": entry.mode, "found": found}]


if __name__ == "__main__":
    attend(**json.loads(sys.argv[1]))
