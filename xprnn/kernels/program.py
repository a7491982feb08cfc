"""A step as it was written down: what is done, to what, into what, for any arrays of the same shapes.

Where the step was given notes of all arrays, nothing in it is a caller's: calls and threads may share it.
"""

import functools
import itertools
import operator
from collections.abc import Callable, Iterable
from contextvars import copy_context
from typing import Any, NamedTuple

import numpy as np

from ..arrays import is_numpy
from ..types import Array, Params
from .notes import Note, Place, value
from .walk import Step

Kind = tuple[tuple[int, ...], Any]  # an array's shape and dtype


class Program(NamedTuple):
    """The lines of a step: each a function, and what takes its operands out of those of all lines.

    An RNN's way there is dot(h, Wh, z), add(z, u, z), tanh(z, h'): z is a room, u the slab at its time, h and h' are
    the state at that time and, late, at the next.

    operands: where each is found, and the keys that lead from there to it; or None, and what it is in all walks.
              What is the same at all times is p's leaves and then the rooms; what moves is slabs, states, and outs.
    rooms: the arrays that the step makes for itself. outs: those that it leaves, or the number of the slab that one is.
    """

    lines: tuple[tuple[Callable, Callable], ...]
    operands: tuple[tuple[Place | None, Any], ...]
    rooms: tuple[Kind, ...]
    outs: tuple[Kind | int, ...]


def written(step: Step, p: Params, s: tuple, slabs: tuple) -> Program | None:
    """The program of ``step`` with this p, whose arrays it holds; None where it cannot be written down."""
    return _written([], step, p, _kinds(s), _kinds_of_rows(slabs))


def remembered(step: Step, p: Params, s: tuple, slabs: tuple) -> Program | None:
    """The program of a step that is equal only to steps that do the same, for any p of the same shapes."""
    if not {np.ndarray}.issuperset(map(type, p.values())):
        return written(step, p, s, slabs)
    return _remembered(step, tuple(p), _kinds(p.values()), _kinds(s), _kinds_of_rows(slabs))


@functools.lru_cache(maxsize=64)
def _remembered(step: Step, names: tuple, p: tuple, s: tuple, at: tuple) -> Program | None:
    """The program of ``step``: it follows from the arguments alone, as notes have shapes to show and no numbers."""
    lines: list = []
    notes = [_note(lines, kind, Place(n, moves=False), fixed=True) for n, kind in enumerate(p)]
    return _written(lines, step, dict(zip(names, notes, strict=True)), s, at)


def _kinds(arrays: Iterable[Array]) -> tuple[Kind, ...]:
    return tuple([(a.shape, a.dtype) for a in arrays])


def _kinds_of_rows(slabs: tuple) -> tuple[Kind | None, ...]:
    return tuple([None if a is None else (a.shape[1:], a.dtype) for a in slabs])


def _note(lines: list, kind: Kind, place: Place, fixed: bool = False) -> Note:
    """A note of an array made up for it, which cannot be written to where it is ``fixed``."""
    a = np.zeros(*kind)
    if fixed:
        a.setflags(write=False)
    note = Note(lines, a)
    note.place = place
    return note


def _written(lines: list, step: Step, p: Params, s: tuple, at: tuple) -> Program | None:
    """Run ``step`` on p, and on notes of the state and of what is there at a time."""
    first = len(at)
    given = tuple([a if a is None else _note(lines, a, Place(n)) for n, a in enumerate(at)])
    old = tuple([_note(lines, kind, Place(first + n), fixed=True) for n, kind in enumerate(s)])
    program, done = None, _run(lines, step, p, old, given)
    if done is not None:
        new, outs = done
        for n, after in enumerate(new):
            _keep(lines, after, Place(first + n, late=True))
        left = _left(lines, given, outs, first + len(s))
        program = _program(lines, len(p), left)
    lines.clear()  # notes have the lines and lines the notes: what they hold would wait for the garbage collector
    return program


def _run(lines: list, step: Step, p: Params, old: tuple, given: tuple) -> tuple[tuple, tuple] | None:
    """The state after the step and what it leaves, as notes; None where it cannot be written down."""
    try:
        with np.errstate(all="ignore"):  # numbers are made up
            new, outs = step(p, old, given)
            context = copy_context()
        alike = [(a.shape, a.dtype) for a in map(value, old)] == [(a.shape, a.dtype) for a in map(value, new)]
        arrays = all(is_numpy(a) and a.ndim for a in map(value, (*new, *outs)))
    except Exception:  # notes are no arrays: what is wrong in the step itself is raised again by the plain walk
        return None
    # All is done in the context that the walk finds, of which errstate is: a step may not have one of its own.
    return (new, outs) if alike and arrays and all(line and line[0] == context for line in lines) else None


def _left(lines: list, given: tuple, outs: tuple, first: int) -> tuple[Kind | int, ...]:
    """What the step leaves, as ``Program`` has it; the first that is no slab has the number ``first``."""
    left: list = []
    for n, out in enumerate(outs):
        stays = [number for number, note in enumerate(given) if note is out]
        left.append(stays[0] if stays else (value(out).shape, value(out).dtype))
        if not stays:
            _keep(lines, out, Place(first + n))
    return tuple(left)


def _keep(lines: list, a: Any, place: Place) -> None:
    """Let the step write ``a`` where it is kept: at once, or where it is no array of its own by a copy at the end."""
    if type(a) is Note and a.whole is None and a.place is None:
        a.place = place
        return
    copy = Note(lines, value(a))
    copy.place = place
    lines.append((None, operator.setitem, copy, ..., a))


def _program(lines: list, first: int, outs: tuple) -> Program:
    """The lines without their notes; the rooms have the numbers from ``first`` on."""
    rooms: list[Kind] = []

    def found(a: Any) -> tuple[Place | None, Any]:
        if type(a) is not Note:
            return None, a
        whole = a if a.whole is None else a.whole
        if whole.place is None:
            whole.place = Place(first + len(rooms), moves=False)
            rooms.append((whole.value.shape, whole.value.dtype))
        return whole.place, a.path

    each = {id(a): a for _, _, *those in lines for a in those}
    number = dict(zip(each, itertools.count(), strict=False))
    done = [(line[1], operator.itemgetter(*[number[id(a)] for a in line[2:]])) for line in lines]
    return Program(tuple(done), tuple(map(found, each.values())), tuple(rooms), outs)
