"""The walk for NumPy: a step is written down once, and done again at every time without a new array.

What NumPy's calls cost beside their arithmetic is most of the time where a batch is small: an array for each result,
views of its gates, the way through the cell. A step does the same at every time. So it is run once, on notes that stand
in for arrays, which leaves lines: what is done, to what, into what. Each line becomes an iterator that does it for one
time after the other, and what a walk keeps is written where it is kept.
"""

import itertools
import operator
from collections import deque
from collections.abc import Iterable, Iterator
from contextvars import copy_context
from typing import Any

import numpy as np

from ..arrays import is_numpy
from ..types import Array, Namespace
from .notes import TURNED, Note, Place, value
from .walk import Step, Walked
from .walk import walk as plain

FEW = 25
"""Fewer steps are sooner done than written down."""

STRETCH = 512
"""For so many steps the views are made at once, which is sooner than one by one; an even number."""

LARGEST_HEEDED = 2**25 - 2**16
"""Bytes of the largest block whose size tells glibc how much to keep, about: 32 MB with what it adds to it."""


def walk(xp: Namespace, step: Step, s: tuple, slabs: tuple, T: int, reverse: bool, kept: int) -> Walked:
    """What ``walk.walk`` does, by which it is done where there are few steps or they cannot be written down."""
    if T < FEW or not {np.ndarray, type(None)}.issuperset(map(type, (*s, *slabs))):
        return plain(xp, step, s, slabs, T, reverse, kept)
    lines: list = []
    old = tuple([Note(lines, _still(a)) for a in s])
    at = tuple([a if a is None else Note(lines, a[0].copy()) for a in slabs])
    written = _write(step, old, at, lines)
    if written is None:
        lines.clear()
        return plain(xp, step, s, slabs, T, reverse, kept)
    (new, outs), ahead, states, ends = written, slice(None, None, -1 if reverse else 1), [], []
    for note, slab in zip(at, slabs, strict=True):
        if note is not None:
            note.place = Place(slab[ahead])
    for n, a in enumerate(s):
        states.append(np.empty((T + 1 if n < kept else 2, *a.shape), a.dtype))
        rows = states[n][ahead]
        rows[0] = a
        # Those that are not kept have two places in turn: a step reads the one and writes the other.
        old[n].place = Place(rows, in_turn=n >= kept)
        ends.append(rows[T if n < kept else T % 2])
    for before, after in zip(old, new, strict=True):
        _keep(lines, after, Place(before.place.rows, before.place.in_turn, late=True))  # type: ignore[union-attr]
    left = []
    for out in outs:
        stays = [slab for note, slab in zip(at, slabs, strict=True) if note is out]
        left.append(stays[0] if stays else np.empty((T, *value(out).shape), value(out).dtype))
        if not stays:
            _keep(lines, out, Place(left[-1][ahead]))
    _keep_in_heap([*slabs, *states, *left])
    program = lines.copy()
    lines.clear()  # notes have the lines and lines the notes: what they hold would wait for the garbage collector
    for start in range(0, T, STRETCH):
        times = range(start, min(start + STRETCH, T))
        deque(zip(times, *_calls(program, times), strict=False), maxlen=0)  # which makes no tuple for each time
    return tuple(a.copy() for a in ends), tuple(states[:kept]), tuple(left)


def _keep_in_heap(arrays: list) -> None:
    """Have the C library keep the memory of these arrays for the next walk, once they are gone.

    glibc gives what is free at the heap's end back to the system where it is more than twice the largest block that was
    ever freed, if that was no larger than 32 MB: the next walk then pays for each page as it touches it, which can take
    half as long as the walk itself. So one block is freed that is large enough; it is never written to, and so takes
    no memory. (mallopt(3), M_MMAP_THRESHOLD)
    """
    np.empty(min(2 * sum(a.nbytes for a in arrays if a is not None), LARGEST_HEEDED), "b")


def _write(step: Step, old: tuple, at: tuple, lines: list) -> tuple[tuple, tuple] | None:
    """The state after the step and what it leaves, as notes; None where it cannot be written down."""
    try:
        new, outs = step(old, at)
        alike = [(a.shape, a.dtype) for a in map(value, old)] == [(a.shape, a.dtype) for a in map(value, new)]
        arrays = all(is_numpy(a) and a.ndim for a in map(value, (*new, *outs)))
    except Exception:  # notes are no arrays: what is wrong in the step itself is raised again by the plain walk
        return None
    # All is done in the context that the walk finds, of which NumPy's errstate is: a step may not have one of its own.
    context = copy_context()
    return (new, outs) if alike and arrays and all(line and line[0] == context for line in lines) else None


def _keep(lines: list, a: Any, place: Place) -> None:
    """Let the step write ``a`` where it is kept: at once, or where it is no array of its own by a copy at the end."""
    if type(a) is Note and a.whole is None and a.place is None:
        a.place = place
        return
    copy = Note(lines, value(a))
    copy.place = place
    lines.append((None, operator.setitem, copy, ..., a))


def _calls(lines: list, times: range) -> list[Iterator]:
    """For each line an iterator that does it for one of the times after the other."""
    views: dict[int, list[Array]] = {}

    def source(a: Any) -> Iterable:
        """What ``a`` is at one time after the other."""
        if type(a) is not Note:
            return itertools.repeat(a)
        place = a.place if a.whole is None else a.whole.place
        if place is None:
            return itertools.repeat(a.value)
        key = id(a if a.path else place.rows)
        if key not in views:
            if place.in_turn:
                views[key] = list(_view(place.rows, a.path)) * (len(times) // 2 + 1)
            else:
                views[key] = list(_view(place.rows[times.start : times.stop + 1], a.path))
        return views[key][1:] if place.late else views[key]

    return [map(function, *map(source, operands)) for _, function, *operands in lines]


def _view(rows: Array, path: tuple) -> Array:
    """What the keys of ``path`` lead to in each of the rows."""
    for key in path:
        rows = rows.swapaxes(-1, -2) if key is TURNED else rows[(slice(None), *key)]
    return rows


def _still(a: Array) -> Array:
    """A view of ``a`` that cannot be written to."""
    view = a.view()
    view.setflags(write=False)
    return view
