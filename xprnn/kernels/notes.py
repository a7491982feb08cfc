"""What stands in for NumPy's arrays while a step is written down: it leaves lines of what is done with it.

A line is the context that it was written in, a function, and its operands: notes, and what is the same at all times.
"""

import operator
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..types import Array

NUMBERS = {int, float}
VIEWS = {int, slice, type(None), type(...)}
REDUCTIONS = (np.mean, np.sum, np.max, np.min)
TURNED = "T"
"""Among the keys that lead to a view: its last two axes changed places."""


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
    """Where an array that is not the step's own is found in a walk, as a number.

    That is one among those that are the same at all times, or where it ``moves`` among those with another at each
    time, from the second on where it is ``late``.
    """

    number: int
    moves: bool = True
    late: bool = False


def _operators(function: Callable) -> tuple[Callable, Callable, Callable]:
    """``function``'s operator on a note: from its left, from its right, in place; by way of NumPy it takes longer."""
    return (
        lambda note, a: note._done(function, (note, a)),
        lambda note, a: note._done(function, (a, note)),
        lambda note, a: note._done(function, (note, a), note),
    )


class Note(NDArrayOperatorsMixin):
    """Stands in for an array of the step that is being written down: what is done with it becomes lines.

    value: an array like those it stands for.
    whole: the note that it is a view of, None where it is none; path: the keys that lead from there to it.
    place: of what is no view: where it is, None for what a line makes.
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

    @property
    def T(self) -> "Note":
        if self.ndim != 2:
            refuse(self)
        return Note(self.lines, self.value.T, self if self.whole is None else self.whole, (*self.path, TURNED))

    def __setitem__(self, key: Any, a: Any) -> None:
        view = self[key]
        if type(a) is Note and a.whole is view.whole and a.path == view.path:
            return  # of a[key] += b, whose sum is there
        view.value[...] = value(a)
        self._line(operator.setitem, view, ..., self._now(a))

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> "Note":
        # The operator ** knows shortcuts that NumPy's function does not.
        if method != "__call__" or options or function.nout > 1 or function is np.power:
            refuse(self)
        return self._done(function, inputs, out and out[0])

    __add__, __radd__, __iadd__ = _operators(np.add)
    __sub__, __rsub__, __isub__ = _operators(np.subtract)
    __mul__, __rmul__, __imul__ = _operators(np.multiply)
    __matmul__, __rmatmul__, __imatmul__ = _operators(np.matmul)

    def _done(self, function: Any, inputs: tuple, out: Any = None) -> "Note":
        """What ``function`` makes of the inputs, in ``out`` where that is given."""
        operands = [a if type(a) is Note else self._given(a, function, inputs) for a in inputs]
        values = [value(a) for a in operands]
        if out is None:
            if function is np.matmul and values[0].ndim == values[1].ndim == 2:
                function = np.ndarray.dot  # the same, and sooner begun
            return self._made(function(*values), BY_NAME.get(function, function), *operands)
        if type(out) is not Note:
            refuse(self)
        function(*values, out=out.value)
        self._line(BY_NAME.get(function, function), *operands, out)
        return out

    def _given(self, a: Any, function: Any, inputs: tuple) -> Any:
        """An input that is no note: an array, or a number, which is sooner read as one."""
        if type(a) in NUMBERS:
            return np.asarray(a, np.result_type(*map(value, inputs)))
        if function is not np.matmul:  # whose arrays are parameters, and large
            return self._now(a)
        return a if type(a) is np.ndarray else refuse(self)

    def __array_function__(self, function: Callable, types: Any, inputs: tuple, options: dict) -> Any:
        first, *rest = inputs or refuse(self)
        if function in (np.zeros_like, np.ones_like) and type(first) is Note:
            return function(first.value, *rest, **options)
        if function is np.concat and not rest and options.keys() == {"axis"} and type(options["axis"]) is int:
            return self._joined(first, options["axis"])
        if function is np.where and len(rest) == 2 and np.asarray(value(first)).dtype == bool:
            made, (rows, a, b) = Note(self.lines, np.where(*map(value, inputs))), map(self._now, inputs)
            self._line(operator.setitem, made, ..., b)
            self._line(np.copyto, made, a, "same_kind", rows)
            return made
        if function in REDUCTIONS and type(first) is Note and len(rest) < 2 and options.keys() <= {"axis", "keepdims"}:
            return self._made(function(first.value, *rest, **options), _into(function, *rest, **options), first)
        return refuse(self)

    def _joined(self, parts: Sequence, axis: int) -> "Note":
        """``parts`` one after the other, which is sooner done one by one than by NumPy's function for all."""
        made, end = Note(self.lines, np.concat([value(a) for a in parts], axis)), 0
        whole = (slice(None),) * (axis % made.ndim)
        for a in parts:
            start, end = end, end + value(a).shape[axis]
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


def value(a: Any) -> Any:
    """The array that ``a`` stands for, or ``a`` itself where it is no note."""
    return a.value if type(a) is Note else a
