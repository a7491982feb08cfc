"""The walk for NumPy: a step is written down once, and done again at every time without a new array.

What NumPy's calls cost beside their arithmetic is most of the time where a batch is small: an array for each result,
views of its gates, the way through the cell. A step does the same at every time. So it is run once, on notes that stand
in for arrays, which leaves lines: what is done, to what, into what. Each line becomes an iterator that does it for one
time after the other, and what a walk keeps is written where it is kept. Lines hold no arrays of a walk: those of the
library's own cells serve all walks over arrays of the same shapes.
"""

from collections import deque
from collections.abc import Iterable
from itertools import repeat

import numpy as np

from ..types import Array, Namespace, Params
from .notes import TURNED
from .program import Program, remembered, written
from .walk import Step, Walked
from .walk import walk as plain

ALL = (slice(None),)
"""What leaves the axis of time alone."""

FEW = 25
"""Fewer steps are sooner done than written down."""

FEW_REMEMBERED = 6
"""Fewer steps are sooner done than what was written down of them is made ready."""

STRETCH = 512
"""For so many steps the views are made at once, which is sooner than one by one; an even number."""

LARGEST_HEEDED = 2**25 - 2**16
"""Bytes of the largest block whose size tells glibc how much to keep, about: 32 MB with what it adds to it."""


def walk(
    xp: Namespace, step: Step, p: Params, s: tuple, slabs: tuple, T: int, reverse: bool, kept: int, lasts: bool = False
) -> Walked:
    """What ``walk.walk`` does, by which it is done where there are few steps or they cannot be written down.

    lasts: steps equal to this one do the same at every call, so that what one of them has written down serves all.
    """
    few, find = (FEW_REMEMBERED, remembered) if lasts else (FEW, written)
    arrays = {np.ndarray, type(None)}.issuperset(map(type, (*s, *slabs)))
    program = find(step, p, s, slabs) if arrays and few <= T else None
    if program is None:
        return plain(xp, step, p, s, slabs, T, reverse, kept)
    # States that are not kept have two places in turn: a step reads the one and writes the other.
    states = [np.empty((T + 1 if n < kept else 2, *a.shape), a.dtype) for n, a in enumerate(s)]
    left = [slabs[out] if isinstance(out, int) else np.empty((T, *out[0]), out[1]) for out in program.outs]
    _keep_in_heap([*slabs, *states, *left])
    rows: list = [a if a is None else a[:: -1 if reverse else 1] for a in (*slabs, *states, *left)]
    ends = []
    for a, of_state in zip(s, rows[len(slabs) :], strict=False):
        of_state[0] = a
        ends.append(of_state[T % len(of_state)])
    still = [*p.values(), *[np.empty(shape, dtype) for shape, dtype in program.rooms]]
    in_turn = range(len(slabs) + kept, len(slabs) + len(s))
    for start in range(0, T, STRETCH):
        times = range(start, min(start + STRETCH, T))
        operands = _operands(program, still, rows, in_turn, times)
        calls = [map(function, *take(operands)) for function, take in program.lines]
        deque(zip(times, *calls, strict=False), maxlen=0)  # which makes no tuple for each time
    return tuple([a.copy() for a in ends]), tuple(states[:kept]), tuple(left)


def _operands(program: Program, still: list, rows: list, in_turn: range, times: range) -> list[Iterable]:
    """For each operand what it is at one time after the other; the rows with numbers in ``in_turn`` are two in turn."""
    operands: list[Iterable] = []
    whole: dict[int, list[Array]] = {}
    seen = slice(times.start, times.stop + 1)  # states have one more
    for place, keys in program.operands:
        if place is None:
            operands.append(repeat(keys))
            continue
        number, moves, late = place
        if not moves:
            operands.append(repeat(_part(still[number], (), keys)))
            continue
        views = None if keys else whole.get(number)
        if views is None:
            cut, often = (rows[number], len(times) // 2 + 1) if number in in_turn else (rows[number][seen], 1)
            views = list(_part(cut, ALL, keys)) * often
            if not keys:
                whole[number] = views
        operands.append(views[1:] if late else views)
    return operands


def _part(a: Array, lead: tuple, keys: tuple) -> Array:
    """What the keys lead to, in ``lead`` of the axes before theirs."""
    for key in keys:
        a = a.swapaxes(-1, -2) if key is TURNED else a[(*lead, *key)]
    return a


def _keep_in_heap(arrays: list) -> None:
    """Have the C library keep the memory of these arrays for the next walk, once they are gone.

    glibc gives what is free at the heap's end back to the system where it is more than twice the largest block that was
    ever freed, if that was no larger than 32 MB: the next walk then pays for each page as it touches it, which can take
    half as long as the walk itself. So one block is freed that is large enough; it is never written to, and so takes
    no memory. (mallopt(3), M_MMAP_THRESHOLD)
    """
    np.empty(min(2 * sum(a.nbytes for a in arrays if a is not None), LARGEST_HEEDED), "b")
