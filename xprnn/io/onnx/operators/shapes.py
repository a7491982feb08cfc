"""Operators that move numbers about and leave them as they are."""

import itertools
import math
import sys
from typing import Any

import numpy as np

from ....arrays import device
from ....types import Array, Namespace
from .base import Operator, position, positions


def shape(xp: Namespace, x: Array, *, start: int = 0, end: int | None = None) -> np.ndarray:
    return np.asarray(tuple(x.shape)[start:end], np.int64)


def size(xp: Namespace, x: Array) -> np.ndarray:
    return np.asarray(math.prod(x.shape), np.int64)


def reshape(xp: Namespace, x: Array, shape: tuple[int, ...], *, allowzero: int = 0) -> Array:
    """x in another shape: -1 is what is left over, 0 the axis of x in that place unless ``allowzero``."""
    wanted = [x.shape[n] if not (allowzero or size) and n < x.ndim else int(size) for n, size in enumerate(shape)]
    if wanted.count(-1) == 1:
        others = math.prod(size for size in wanted if size != -1)
        wanted[wanted.index(-1)] = math.prod(x.shape) // others if others else 0
    return xp.reshape(x, tuple(wanted))


def squeeze(xp: Namespace, x: Array, axes: Any = None) -> Array:
    chosen = [n for n, size in enumerate(x.shape) if size == 1] if axes is None else axes
    return xp.squeeze(x, axis=positions(chosen, x.ndim))


def unsqueeze(xp: Namespace, x: Array, axes: Any) -> Array:
    for axis in sorted(positions(axes, x.ndim + len(axes))):
        x = xp.expand_dims(x, axis=axis)
    return x


def flatten(xp: Namespace, x: Array, *, axis: int = 1) -> Array:
    """x as a matrix, its first ``axis`` axes being the rows."""
    axis = axis + x.ndim if axis < 0 else axis
    return xp.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def transpose(xp: Namespace, x: Array, *, perm: tuple[int, ...] | None = None) -> Array:
    return xp.permute_dims(x, tuple(range(x.ndim))[::-1] if perm is None else perm)


def expand(xp: Namespace, x: Array, shape: tuple[int, ...]) -> Array:
    """x repeated along its axes of 1, as in broadcasting with an array of this shape."""
    return xp.broadcast_to(x, np.broadcast_shapes(tuple(x.shape), shape))


def tile(xp: Namespace, x: Array, repeats: tuple[int, ...]) -> Array:
    if len(repeats) != x.ndim:
        raise ValueError(f"there are {len(repeats)} repeats for {x.ndim} axes")
    return xp.tile(x, repeats)


def concat(xp: Namespace, *x: Array, axis: int) -> Array:
    return xp.concat(x, axis=position(axis, x[0].ndim))


def split(
    xp: Namespace, x: Array, split: Any = None, *, axis: int = 0, num_outputs: int | None = None, outputs: int
) -> tuple[Array, ...]:
    """x in parts along an axis, equal ones unless their sizes are given; the last may be smaller."""
    axis = position(axis, x.ndim)
    if split is None:
        part = -(-x.shape[axis] // outputs)
        split = [max(0, min(part, x.shape[axis] - n * part)) for n in range(outputs)]
    if sum(split) != x.shape[axis] or len(split) != outputs or min(split) < 0:
        raise ValueError(f"{x.shape[axis]} are not cut into {outputs} parts of {tuple(split)}")
    ends = list(itertools.accumulate(map(int, split)))
    return tuple(x[along(axis, end - int(part), end)] for end, part in zip(ends, split, strict=True))


def slice_(xp: Namespace, x: Array, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Array:
    """Every step-th entry from start up to, and without, end; bounds beyond the array are the array's."""
    chosen = positions(range(len(starts)) if axes is None else axes, x.ndim)
    for axis, start, end, step in zip(chosen, starts, ends, steps or (1,) * len(starts), strict=True):
        start, end, step, length = int(start), int(end), int(step), x.shape[axis]
        there = range(length)[start:end:step]
        if not there:
            x = x[along(axis, 0, 0)]
        elif step > 0:
            x = x[along(axis, there[0], there[-1] + 1, step)]
        else:  # not every library has negative steps
            x = xp.flip(x[along(axis, there[-1], there[0] + 1, -step)], axis=axis)
    return x


def pad(
    xp: Namespace, x: Array, pads: Any, constant_value: Any = None, axes: Any = None, *,
    mode: str = "constant", value: float = 0.0,
) -> Array:  # fmt: skip
    """x with a constant before and behind it along axes; negative pads cut off."""
    filling = constant_value[0] if constant_value else value
    chosen = positions(range(x.ndim) if axes is None else axes, x.ndim)
    for axis, before, after in zip(chosen, pads[: len(chosen)], pads[len(chosen) :], strict=True):
        x = x[along(axis, max(0, -before), max(0, x.shape[axis] + min(0, after)))]
        parts = [x]
        for place, count in ((0, before), (len(parts) + 1, after)):
            if count > 0:
                shape = tuple(count if n == axis else size for n, size in enumerate(x.shape))
                parts.insert(place, xp.full(shape, filling, dtype=x.dtype, device=device(x)))
        x = xp.concat(parts, axis=axis)
    return x


def along(axis: int, start: int, end: int, step: int = 1) -> tuple:
    """The index that cuts one axis."""
    return (*(slice(None),) * axis, slice(start, end, step), ...)


def _times(x: Array, numbers: tuple[int, ...], *_: Any) -> float:
    """More than there is in x repeated, or lengthened, by these."""
    return math.prod(x.shape) * math.prod(1 + abs(number) for number in numbers)


TABLE = {
    "Concat": Operator(concat, cost=lambda *x: sum(math.prod(a.shape) for a in x)),
    "Expand": Operator(expand, numbers=(1,), cost=_times), "Flatten": Operator(flatten),
    "Pad": Operator(pad, numbers=(1, 2, 3), only={"mode": "constant"}, cost=_times),
    "Reshape": Operator(reshape, numbers=(1,)), "Shape": Operator(shape), "Size": Operator(size),
    "Slice": Operator(slice_, numbers=(1, 2, 3, 4)), "Split": Operator(split, numbers=(1,), outputs=sys.maxsize),
    "Squeeze": Operator(squeeze, numbers=(1,)), "Tile": Operator(tile, numbers=(1,), cost=_times),
    "Transpose": Operator(transpose), "Unsqueeze": Operator(unsqueeze, numbers=(1,)),
}  # fmt: skip
