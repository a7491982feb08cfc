"""The walk for NumPy: a step is written down once, and done again at every time without a new array.

What NumPy's calls cost beside their arithmetic is most of the time where a batch is small: an array for each result,
views of its gates, the way through the cell. A step does the same at every time. So it is run once, on notes that stand
in for arrays, which leaves a list: what is done, from where, to where. Each of its lines becomes an iterator that does
it for one time after the other; the last to write what a walk keeps writes it where it is kept.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..types import Array, Namespace
from .walk import Step, Walked
from .walk import walk as plain

FEW = 2
NUMBERS = {int, float}
VIEWS = {int, slice, type(None), type(...)}
REDUCTIONS = (np.mean, np.sum, np.max, np.min)


def refuse(*arguments: Any, **options: Any) -> Any:
    """Raise what ends the writing: what is asked may hang on numbers that other times have other ones of."""
    raise TypeError("a step that is being written down has no numbers yet, only arithmetic and views")


class Place(NamedTuple):
    """Where an array of a step is: in one of the rows after the other, or from the second on where it is ``late``."""

    rows: Array
    through: Callable = iter
    late: bool = False


class Note(NDArrayOperatorsMixin):
    """Stands in for an array of the step that is being written down: what is asked of it becomes lines.

    value: the array that it stands for, at the time when it is written down.
    root:  the note that it is a view of, or itself; path: the keys that lead from there to it.
    place: of a root: where it is at each time; None where it is the same array at all times.
    """

    __slots__ = ("lines", "path", "place", "root", "value")

    def __init__(self, lines: list, value: Array, root: "Note | None" = None, path: tuple = ()) -> None:
        self.lines, self.value, self.path = lines, value, path
        self.place: Place | None = None
        self.root = self if root is None else root

    def __getitem__(self, key: Any) -> "Note":
        key = key if type(key) is tuple else (key,)
        if not VIEWS.issuperset(map(type, key)):
            refuse()
        key = key if ... in key else (*key, ...)
        return Note(self.lines, self.value[key], self.root, (*self.path, key))

    def __array_ufunc__(self, function: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> "Note":
        # The operator ** knows shortcuts that NumPy's function does not.
        if method != "__call__" or options or function.nout > 1 or function is np.power:
            refuse()
        values = [a.value if type(a) is Note else a for a in inputs]
        if not NUMBERS.isdisjoint(map(type, inputs)):  # an array is sooner read
            kind = np.result_type(*values)
            inputs = tuple(np.asarray(a, kind) if type(a) in NUMBERS else a for a in inputs)
            values = [_value(a) for a in inputs]
        if out is not None:
            function(*values, out[0].value)
            self.lines.append((function, *inputs, out[0]))
            return out[0]
        made = Note(self.lines, np.asarray(function(*values)))
        if function is np.matmul and values[0].ndim == values[1].ndim == 2:
            function = np.dot  # the same, and sooner begun
        if function in (np.maximum, np.minimum):
            function = _into(function)  # they alone want ``out`` by its name
        self.lines.append((function, *inputs, made))
        return made

    def __array_function__(self, function: Callable, types: Any, inputs: tuple, options: dict) -> Any:
        first, *rest = inputs
        if function in (np.zeros_like, np.ones_like):
            return function(first.value, *rest, **options)
        if function is np.concat and not rest and options.keys() == {"axis"}:
            made = Note(self.lines, np.concat([_value(a) for a in first], **options))
            self.lines.append((np.concat, tuple(first), options["axis"], made))
            return made
        if function is np.where and len(rest) == 2:
            made = Note(self.lines, np.where(*map(_value, inputs)))
            self.lines += [(np.copyto, made, rest[1]), (np.copyto, made, rest[0], "same_kind", first)]
            return made
        if function in REDUCTIONS:
            made = Note(self.lines, np.asarray(function(first.value, *rest, **options)))
            self.lines.append((_into(function, *rest, **options), first, made))
            return made
        return refuse()

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    __hash__ = object.__hash__
    __getattr__ = __setitem__ = __iter__ = __len__ = __contains__ = __str__ = __reduce_ex__ = refuse
    __array__ = __bool__ = __int__ = __float__ = __index__ = __complex__ = refuse


def _into(function: Callable, *more: Any, **options: Any) -> Callable:
    """``function`` with its output as its last argument."""
    return lambda *operands: function(*operands[:-1], *more, **options, out=operands[-1])


def _value(a: Any) -> Any:
    return a.value if type(a) is Note else a


def walk(xp: Namespace, step: Step, s: tuple, slabs: tuple, T: int, reverse: bool, kept: int) -> Walked:
    """What ``walk.walk`` does, which does it where there are few steps, or where they cannot be written down."""
    if T < FEW:
        return plain(xp, step, s, slabs, T, reverse, kept)
    lines: list = []
    old = [Note(lines, a) for a in s]
    at = [a if a is None else Note(lines, a[0].copy()) for a in slabs]
    try:
        new, outs = step(tuple(old), tuple(at))
    except Exception:  # notes are no arrays: what is wrong with the step itself is raised below once more
        return plain(xp, step, s, slabs, T, reverse, kept)
    ahead, states, ends = slice(None, None, -1 if reverse else 1), [], []
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
        _keep(lines, after, before.place._replace(late=True))
    written = []
    for note in outs:
        stays = [slab for one, slab in zip(at, slabs, strict=True) if one is note]
        written.append(stays[0] if stays else np.empty((T, *_value(note).shape), _value(note).dtype))
        if not stays:
            _keep(lines, note, Place(written[-1][ahead]))
    for _ in zip(range(T), *_calls(lines), strict=False):
        pass
    return tuple(a.copy() for a in ends), tuple(states[:kept]), tuple(written)


def _keep(lines: list, a: Any, place: Place) -> None:
    """Let a step write ``a`` where it is kept: at once, or where ``a`` is no array of its own by a copy at the end."""
    if type(a) is Note and a.root is a and a.place is None:
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
            return zip(*map(source, a), strict=False) if type(a) is tuple else itertools.repeat(a)
        place = a.root.place
        if place is None:
            return itertools.repeat(a.value)
        key = id(a if a.path else place.rows)
        stream = streams[key] if key in streams else place.through(_view(place.rows, a.path))
        streams[key], mine = itertools.tee(stream)
        if place.late:
            next(mine)
        return mine

    return [map(function, *map(source, operands)) for function, *operands in lines]


def _view(rows: Array, path: tuple) -> Array:
    for key in path:
        rows = rows[(slice(None), *key)]
    return rows
