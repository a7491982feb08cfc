"""The walk for NumPy: a step is written down once, and done again at every time without a new array.

What NumPy's calls cost beside their arithmetic is most of the time where a batch is small: an array for each result,
views of its gates, the way through the cell. A step does the same at every time. So it is run once, on notes that stand
in for arrays, which leaves lines: what is done, to what, into what. Each line becomes an iterator that does it for one
time after the other, and what a walk keeps is written where it is kept.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..types import Array, Namespace
from .walk import Step, Walked
from .walk import walk as plain

FEW = 20
"""Fewer steps are sooner done than written down."""

NUMBERS = {int, float}
VIEWS = {int, slice, type(None), type(...)}
BY_NAME = (np.maximum, np.minimum)
REDUCTIONS = (np.mean, np.sum, np.max, np.min)


def refuse(*arguments: Any, **options: Any) -> Any:
    """Raise what ends the writing: an answer could hang on numbers, which are others at other times."""
    raise TypeError("a step that is being written down has no numbers, only arithmetic and views")


class Place(NamedTuple):
    """Where an array of the step is: in one of the rows after the other, from the second on where it is ``late``."""

    rows: Array
    through: Callable[[Array], Iterator] = iter
    late: bool = False


class Note(NDArrayOperatorsMixin):
    """Stands in for an array of the step that is being written down: what is done with it becomes lines.

    value: the array it stands for; where a line makes it, the room for what the line makes at other times.
    whole: the note that it is a view of, None where it is none; path: the keys that lead from there to it.
    place: of what is no view: where it is, None for one array at all times.
    """

    __slots__ = ("lines", "path", "place", "value", "whole")

    def __init__(self, lines: list, value: Array, whole: "Note | None" = None, path: tuple = ()) -> None:
        self.lines, self.value, self.whole, self.path = lines, value, whole, path
        self.place: Place | None = None

    def __getitem__(self, key: Any) -> "Note":
        key = key if type(key) is tuple else (key,)
        if not VIEWS.issuperset(map(type, key)):
            refuse()
        view = self.value[key]
        if view.ndim == 0:  # a number
            refuse()
        return Note(self.lines, view, self if self.whole is None else self.whole, (*self.path, key))

    def __setitem__(self, key: Any, a: Any) -> None:
        view = self[key]
        if type(a) is Note and a.whole is view.whole and a.path == view.path:
            return  # of a[key] += b, whose sum is there
        np.copyto(view.value, _value(a))
        self.lines.append((np.copyto, view, a))

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> "Note":
        # The operator ** knows shortcuts that NumPy's function does not.
        if method != "__call__" or options or function.nout > 1 or function is np.power:
            refuse()
        values = [_value(a) for a in inputs]
        if not NUMBERS.isdisjoint(map(type, inputs)):  # an array is sooner read
            kind = np.result_type(*values)
            inputs = tuple(np.asarray(a, kind) if type(a) in NUMBERS else a for a in inputs)
            values = [_value(a) for a in inputs]
        if out is not None:
            function(*values, out=out[0].value)
            self.lines.append((_into(function) if function in BY_NAME else function, *inputs, out[0]))
            return out[0]
        made = function(*values)
        if function is np.matmul and values[0].ndim == values[1].ndim == 2:
            function = np.dot  # the same, and sooner begun
        return self._made(made, _into(function) if function in BY_NAME else function, *inputs)

    def __array_function__(self, function: Callable, types: Any, inputs: tuple, options: dict) -> Any:
        first, *rest = inputs
        if function in (np.zeros_like, np.ones_like):
            return function(first.value, *rest, **options)
        if function is np.concat and not rest and options.keys() == {"axis"}:
            made = np.concat([_value(a) for a in first], **options)
            return self._made(made, np.concat, tuple(first), options["axis"])
        if function is np.where and len(rest) == 2:
            made = Note(self.lines, np.where(*map(_value, inputs)))
            self.lines += [(np.copyto, made, rest[1]), (np.copyto, made, rest[0], "same_kind", first)]
            return made
        if function in REDUCTIONS:
            return self._made(function(first.value, *rest, **options), _into(function, *rest, **options), first)
        return refuse()

    def _made(self, made: Array, function: Callable, *operands: Any) -> "Note":
        note = Note(self.lines, np.asarray(made))
        self.lines.append((function, *operands, note))
        return note

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    __hash__ = object.__hash__
    __getattr__ = __array__ = __bool__ = __str__ = __reduce_ex__ = refuse


def walk(xp: Namespace, step: Step, s: tuple, slabs: tuple, T: int, reverse: bool, kept: int) -> Walked:
    """What ``walk.walk`` does, by which it is done where there are few steps or they cannot be written down."""
    lines: list = []
    old = tuple([Note(lines, a) for a in s])
    at = tuple([a if a is None else Note(lines, a[0].copy()) for a in slabs])
    written = None if T < FEW else _write(step, old, at)
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
        old[n].place = Place(rows, iter if n < kept else itertools.cycle)
        ends.append(rows[T if n < kept else T % 2])
    for before, after in zip(old, new, strict=True):
        _keep(lines, after, before.place._replace(late=True))  # type: ignore[union-attr]
    left = []
    for out in outs:
        stays = [slab for note, slab in zip(at, slabs, strict=True) if note is out]
        left.append(stays[0] if stays else np.empty((T, *_value(out).shape), _value(out).dtype))
        if not stays:
            _keep(lines, out, Place(left[-1][ahead]))
    calls = _calls(lines)
    lines.clear()  # notes have the lines and lines the notes: what they hold would wait for the garbage collector
    for _ in zip(range(T), *calls, strict=False):
        pass
    return tuple(a.copy() for a in ends), tuple(states[:kept]), tuple(left)


def _write(step: Step, old: tuple, at: tuple) -> tuple[tuple, tuple] | None:
    """The state after the step and what it leaves, as notes; None where it cannot be written down."""
    try:
        new, outs = step(old, at)
    except Exception:  # notes are no arrays: what is wrong in the step itself is raised again by the plain walk
        return None
    alike = [(a.shape, a.dtype) for a in old] == [(_value(a).shape, _value(a).dtype) for a in new]
    return (new, outs) if alike and all(np.ndim(_value(a)) for a in outs) else None


def _keep(lines: list, a: Any, place: Place) -> None:
    """Let the step write ``a`` where it is kept: at once, or where it is no array of its own by a copy at the end."""
    if type(a) is Note and a.whole is None and a.place is None:
        a.place = place
        return
    copy = Note(lines, _value(a))
    copy.place = place
    lines.append((np.copyto, copy, a))


def _calls(lines: list) -> list[Iterator]:
    """For each line an iterator that does it for one time after the other."""
    streams: dict[int, Iterator] = {}

    def source(a: Any) -> Iterator:
        """What ``a`` is at one time after the other."""
        if type(a) is not Note:
            return itertools.repeat(a)
        place = a.place if a.whole is None else a.whole.place
        if place is None:
            return itertools.repeat(a.value)
        key = id(a if a.path else place.rows)
        stream = streams[key] if key in streams else place.through(_view(place.rows, a.path))
        streams[key], mine = itertools.tee(stream)
        if place.late:
            next(mine)
        return mine

    def operand(a: Any) -> Iterator:
        return zip(*map(source, a), strict=False) if type(a) is tuple else source(a)

    return [map(function, *map(operand, operands)) for function, *operands in lines]


def _view(rows: Array, path: tuple) -> Array:
    """What the keys of ``path`` lead to in each of the rows."""
    for key in path:
        rows = rows[(slice(None), *key)]
    return rows


def _into(function: Callable, *more: Any, **options: Any) -> Callable:
    """``function`` with the array that it writes to as its last argument."""
    return lambda *operands: function(*operands[:-1], *more, **options, out=operands[-1])


def _value(a: Any) -> Any:
    return a.value if type(a) is Note else a
