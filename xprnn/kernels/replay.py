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

from ..arrays import is_numpy
from ..types import Array, Namespace
from .walk import Step, Walked
from .walk import walk as plain

FEW = 25
"""Fewer steps are sooner done than written down."""

NUMBERS = {int, float}
VIEWS = {int, slice, type(None), type(...)}
BY_NAME = (np.maximum, np.minimum)
REDUCTIONS = (np.mean, np.sum, np.max, np.min)


def refuse(note: "Note", *arguments: Any, **options: Any) -> Any:
    """End the writing: an answer could hang on numbers, which are others at other times.

    Where the step catches the error and goes on without, the empty line says that it was refused.
    """
    note.lines.append(())
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
            refuse(self)
        view = self.value[key]
        if view.ndim == 0:  # a number
            refuse(self)
        return Note(self.lines, view, self if self.whole is None else self.whole, (*self.path, key))

    def __setitem__(self, key: Any, a: Any) -> None:
        view = self[key]
        if type(a) is Note and a.whole is view.whole and a.path == view.path:
            return  # of a[key] += b, whose sum is there
        np.copyto(view.value, _value(a))
        self._line(np.copyto, view, self._now(a))

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> "Note":
        # The operator ** knows shortcuts that NumPy's function does not.
        if method != "__call__" or options or function.nout > 1 or function is np.power:
            refuse(self)
        if out is not None and type(out[0]) is not Note:
            refuse(self)
        values = [_value(a) for a in inputs]
        if not NUMBERS.isdisjoint(map(type, inputs)):  # an array is sooner read
            kind = np.result_type(*values)
            inputs = tuple(np.asarray(a, kind) if type(a) in NUMBERS else a for a in inputs)
            values = [_value(a) for a in inputs]
        if function is not np.matmul:  # whose arrays are parameters, and large
            inputs = tuple(map(self._now, inputs))
        if out is not None:
            function(*values, out=out[0].value)
            self._line(_into(function) if function in BY_NAME else function, *inputs, out[0])
            return out[0]
        made = function(*values)
        if function is np.matmul and values[0].ndim == values[1].ndim == 2:
            function = np.dot  # the same, and sooner begun
        return self._made(made, _into(function) if function in BY_NAME else function, *inputs)

    def __array_function__(self, function: Callable, types: Any, inputs: tuple, options: dict) -> Any:
        first, *rest = inputs
        if function in (np.zeros_like, np.ones_like) and type(first) is Note:
            return function(first.value, *rest, **options)
        if function is np.concat and not rest and options.keys() == {"axis"}:
            made = np.concat([_value(a) for a in first], **options)
            return self._made(made, np.concat, tuple(map(self._now, first)), options["axis"])
        if function is np.where and len(rest) == 2 and np.asarray(_value(first)).dtype == bool:
            made, (rows, a, b) = Note(self.lines, np.where(*map(_value, inputs))), map(self._now, inputs)
            self._line(np.copyto, made, b)
            self._line(np.copyto, made, a, "same_kind", rows)
            return made
        if function in REDUCTIONS and type(first) is Note and len(rest) < 2 and options.keys() <= {"axis", "keepdims"}:
            return self._made(function(first.value, *rest, **options), _into(function, *rest, **options), first)
        return refuse(self)

    def _made(self, made: Array, function: Callable, *operands: Any) -> "Note":
        if np.ndim(made) == 0:  # a number
            refuse(self)
        note = Note(self.lines, made)
        self._line(function, *operands, note)
        return note

    def _line(self, *line: Any) -> None:
        self.lines.append((np.geterr(), *line))

    def _now(self, a: Any) -> Any:
        """An operand as it is now: an array that the step made without notes it may change afterwards."""
        if type(a) is np.ndarray:
            return a.copy("K")
        return a if type(a) is Note or isinstance(a, (int, float, np.generic)) else refuse(self)

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    __hash__ = object.__hash__
    __class__ = property(lambda self: np.ndarray)
    __getattr__ = __array__ = __bool__ = __str__ = __reduce_ex__ = __len__ = __float__ = __int__ = __index__ = refuse


def walk(xp: Namespace, step: Step, s: tuple, slabs: tuple, T: int, reverse: bool, kept: int) -> Walked:
    """What ``walk.walk`` does, by which it is done where there are few steps or they cannot be written down."""
    if T < FEW or not all(a is None or is_numpy(a) for a in (*s, *slabs)):
        return plain(xp, step, s, slabs, T, reverse, kept)
    lines: list = []
    old = tuple([Note(lines, np.broadcast_to(a, a.shape)) for a in s])  # which is not to be written to
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


def _write(step: Step, old: tuple, at: tuple, lines: list) -> tuple[tuple, tuple] | None:
    """The state after the step and what it leaves, as notes; None where it cannot be written down."""
    try:
        new, outs = step(old, at)
        alike = [(a.shape, a.dtype) for a in old] == [(_value(a).shape, _value(a).dtype) for a in new]
        arrays = all(is_numpy(_value(a)) and _value(a).ndim for a in (*new, *outs))
    except Exception:  # notes are no arrays: what is wrong in the step itself is raised again by the plain walk
        return None
    # All is done under the errstate that the walk finds: a step may not have one of its own.
    errors = np.geterr()
    return (new, outs) if alike and arrays and all(line and line[0] == errors for line in lines) else None


def _keep(lines: list, a: Any, place: Place) -> None:
    """Let the step write ``a`` where it is kept: at once, or where it is no array of its own by a copy at the end."""
    if type(a) is Note and a.whole is None and a.place is None:
        a.place = place
        return
    copy = Note(lines, _value(a))
    copy.place = place
    lines.append((None, np.copyto, copy, a))


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

    return [map(function, *map(operand, operands)) for _, function, *operands in lines]


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
