"""The walk for NumPy: a step is written down once, and done again at every time without a new array.

What NumPy's calls cost beside their arithmetic is most of the time where a batch is small: an array for each result,
views of its gates, the way through the cell. A step does the same at every time. So it is run once, on notes that stand
in for arrays, which leaves lines: what is done, to what, into what. Each line becomes an iterator that does it for one
time after the other, and what a walk keeps is written where it is kept.
"""

import itertools
import operator
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..arrays import is_numpy
from ..types import Array, Namespace
from .walk import Step, Walked
from .walk import walk as plain

FEW = 25
"""Fewer steps are sooner done than written down."""

STRETCH = 512
"""For so many steps the views are made at once, which is sooner than one by one; an even number."""

NUMBERS = {int, float}
VIEWS = {int, slice, type(None), type(...)}
REDUCTIONS = (np.mean, np.sum, np.max, np.min)


def _into(function: Callable, *more: Any, **options: Any) -> Callable:
    """``function`` with the array that it writes to as its last argument."""
    return lambda *operands: function(*operands[:-1], *more, **options, out=operands[-1])


BY_NAME = {function: _into(function) for function in (np.maximum, np.minimum)}


def refuse(note: "Note", *arguments: Any, **options: Any) -> Any:
    """End the writing: an answer could hang on numbers, which are others at other times.

    Where the step catches the error and goes on without, the empty line says that it was refused.
    """
    note.lines.append(())
    raise TypeError("a step that is being written down has no numbers, only arithmetic and views")


class Place(NamedTuple):
    """Where an array of the step is: in one of the rows after the other, from the second on where it is ``late``.

    in_turn: there are only two, the one and the other in turn.
    """

    rows: Array
    in_turn: bool = False
    late: bool = False


def _operators(function: Callable) -> tuple[Callable, Callable, Callable]:
    """``function``'s operator on a note: from its left, from its right, in place; by way of NumPy it takes longer."""
    return (
        lambda note, a: note._done(function, note, a),
        lambda note, a: note._done(function, a, note),
        lambda note, a: note._done(function, note, a, out=note),
    )


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
        view.value[...] = _value(a)
        self._line(operator.setitem, view, ..., self._now(a))

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> "Note":
        # The operator ** knows shortcuts that NumPy's function does not.
        if method != "__call__" or options or function.nout > 1 or function is np.power:
            refuse(self)
        return self._done(function, *inputs, out=out and out[0])

    __add__, __radd__, __iadd__ = _operators(np.add)
    __sub__, __rsub__, __isub__ = _operators(np.subtract)
    __mul__, __rmul__, __imul__ = _operators(np.multiply)
    __matmul__, __rmatmul__, __imatmul__ = _operators(np.matmul)

    def _done(self, function: Any, *inputs: Any, out: Any = None) -> "Note":
        """What ``function`` makes of the inputs, in ``out`` where that is given."""
        notes = [a if type(a) is Note else self._given(a, function, inputs) for a in inputs]
        values = [note.value for note in notes]
        if out is None:
            if function is np.matmul and values[0].ndim == values[1].ndim == 2:
                function = np.ndarray.dot  # the same, and sooner begun
            return self._made(function(*values), BY_NAME.get(function, function), *notes)
        if type(out) is not Note:
            refuse(self)
        function(*values, out=out.value)
        self._line(BY_NAME.get(function, function), *notes, out)
        return out

    def _given(self, a: Any, function: Any, inputs: tuple) -> "Note":
        """A note of the input that is none: an array, or a number, which is sooner read as one."""
        if type(a) in NUMBERS:
            a = np.asarray(a, np.result_type(*map(_value, inputs)))
        elif function is not np.matmul:  # whose arrays are parameters, and large
            a = self._now(a)
        elif type(a) is not np.ndarray:
            refuse(self)
        return Note(self.lines, a)

    def __array_function__(self, function: Callable, types: Any, inputs: tuple, options: dict) -> Any:
        first, *rest = inputs or refuse(self)
        if function in (np.zeros_like, np.ones_like) and type(first) is Note:
            return function(first.value, *rest, **options)
        if function is np.concat and not rest and options.keys() == {"axis"} and type(options["axis"]) is int:
            return self._joined(first, options["axis"])
        if function is np.where and len(rest) == 2 and np.asarray(_value(first)).dtype == bool:
            made, (rows, a, b) = Note(self.lines, np.where(*map(_value, inputs))), map(self._now, inputs)
            self._line(operator.setitem, made, ..., b)
            self._line(np.copyto, made, a, "same_kind", rows)
            return made
        if function in REDUCTIONS and type(first) is Note and len(rest) < 2 and options.keys() <= {"axis", "keepdims"}:
            return self._made(function(first.value, *rest, **options), _into(function, *rest, **options), first)
        return refuse(self)

    def _joined(self, parts: Sequence, axis: int) -> "Note":
        """``parts`` one after the other, which is sooner done one by one than by NumPy's function for all."""
        made, end = Note(self.lines, np.concat([_value(a) for a in parts], axis)), 0
        whole = (slice(None),) * (axis % made.ndim)
        for a in parts:
            start, end = end, end + _value(a).shape[axis]
            self._line(operator.setitem, made[*whole, start:end], ..., self._now(a))
        return made

    def _made(self, made: Array, function: Callable, *operands: Any) -> "Note":
        if type(made) is not np.ndarray:  # a number
            refuse(self)
        note = Note(self.lines, made)
        self._line(function, *operands, note)
        return note

    def _line(self, *line: Any) -> None:
        self.lines.append((copy_context(), *line))

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
        left.append(stays[0] if stays else np.empty((T, *_value(out).shape), _value(out).dtype))
        if not stays:
            _keep(lines, out, Place(left[-1][ahead]))
    program = lines.copy()
    lines.clear()  # notes have the lines and lines the notes: what they hold would wait for the garbage collector
    for start in range(0, T, STRETCH):
        times = range(start, min(start + STRETCH, T))
        deque(zip(times, *_calls(program, times), strict=False), maxlen=0)  # which makes no tuple for each time
    return tuple(a.copy() for a in ends), tuple(states[:kept]), tuple(left)


def _write(step: Step, old: tuple, at: tuple, lines: list) -> tuple[tuple, tuple] | None:
    """The state after the step and what it leaves, as notes; None where it cannot be written down."""
    try:
        new, outs = step(old, at)
        alike = [(a.shape, a.dtype) for a in map(_value, old)] == [(a.shape, a.dtype) for a in map(_value, new)]
        arrays = all(is_numpy(a) and a.ndim for a in map(_value, (*new, *outs)))
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
    copy = Note(lines, _value(a))
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
        rows = rows[(slice(None), *key)]
    return rows


def _still(a: Array) -> Array:
    """A view of ``a`` that cannot be written to."""
    view = a.view()
    view.setflags(write=False)
    return view


def _value(a: Any) -> Any:
    return a.value if type(a) is Note else a
