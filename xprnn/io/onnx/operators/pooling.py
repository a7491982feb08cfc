"""Pooling over windows, one axis after the other, and over all there is.

The largest number of a window is the largest along one axis of the largest along the others; so is the mean.
"""

import functools
from typing import NamedTuple

from ....arrays import device
from ....types import Array, Namespace
from .base import Operator
from .shapes import along, pad


class _Windows(NamedTuple):
    """The windows along an axis: how many, how long, how far apart, how far apart their entries, the padding."""

    number: int
    length: int
    stride: int
    step: int
    before: int
    after: int

    @property
    def reach(self) -> int:
        """Where the last window ends."""
        return (self.number - 1) * self.stride + (self.length - 1) * self.step + 1


def max_pool(
    xp: Namespace, x: Array, *, kernel_shape: tuple[int, ...], strides: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None, dilations: tuple[int, ...] | None = None, ceil_mode: int = 0,
    auto_pad: str = "NOTSET", storage_order: int = 0,
) -> Array:  # fmt: skip
    """The largest of each window of x (B, C, ...)."""
    lowest = -float("inf") if xp.isdtype(x.dtype, "real floating") else int(xp.iinfo(x.dtype).min)
    for axis, windows in enumerate(_all(x, kernel_shape, strides, pads, dilations, ceil_mode, auto_pad), start=2):
        x = functools.reduce(xp.maximum, _entries(xp, x, axis, windows, lowest))
    return x


def average_pool(
    xp: Namespace, x: Array, *, kernel_shape: tuple[int, ...], strides: tuple[int, ...] | None = None,
    pads: tuple[int, ...] | None = None, dilations: tuple[int, ...] | None = None, ceil_mode: int = 0,
    auto_pad: str = "NOTSET", count_include_pad: int = 0,
) -> Array:  # fmt: skip
    """The mean of each window of x (B, C, ...), of what is in x alone, or of the padding's zeros too."""
    for axis, windows in enumerate(_all(x, kernel_shape, strides, pads, dilations, ceil_mode, auto_pad), start=2):
        size, (_, length, stride, step, before, after) = x.shape[axis], windows
        counted = range(before + size + after) if count_include_pad else range(before, before + size)
        starts = range(0, windows.number * stride, stride)
        counts = [float(sum(start + n * step in counted for n in range(length))) for start in starts]
        x = functools.reduce(xp.add, _entries(xp, x, axis, windows, 0.0))
        x = x / xp.reshape(xp.asarray(counts, dtype=x.dtype, device=device(x)), (-1, *(1,) * (x.ndim - axis - 1)))
    return x


def _entries(xp: Namespace, x: Array, axis: int, windows: _Windows, filling: float) -> list[Array]:
    """The first entries of all windows, the second ones, and so on."""
    missing = max(0, windows.reach - windows.before - x.shape[axis])
    x = pad(xp, x, (windows.before, missing), (filling,), (axis,))
    starts = range(0, windows.length * windows.step, windows.step)
    return [
        x[along(axis, start, start + (windows.number - 1) * windows.stride + 1, windows.stride)] for start in starts
    ]


def _all(
    x: Array, lengths: tuple[int, ...], strides: tuple[int, ...] | None, pads: tuple[int, ...] | None,
    dilations: tuple[int, ...] | None, ceil_mode: int, auto_pad: str,
) -> list[_Windows]:  # fmt: skip
    """The windows along each axis behind the batch and the channels."""
    rank = x.ndim - 2
    pads, ones = pads or (0,) * (2 * rank), (1,) * rank
    given = (lengths, strides or ones, dilations or ones, pads[:rank], pads[rank:])
    if any(len(numbers) != rank for numbers in given) or min(map(min, given[:3])) < 1 or min(pads) < 0:
        raise ValueError(f"its windows {given} do not fit an array of shape {tuple(x.shape)}")
    return [_one(size, ceil_mode, auto_pad, *numbers) for size, *numbers in zip(x.shape[2:], *given, strict=True)]


def _one(size: int, ceil: int, auto: str, length: int, stride: int, step: int, before: int, after: int) -> _Windows:
    """The windows along an axis of this size."""
    if auto.startswith("SAME"):
        count = -(-size // stride)
        missing = max(0, (count - 1) * stride + (length - 1) * step + 1 - size)
        before = missing // 2 if auto == "SAME_UPPER" else missing - missing // 2
        return _Windows(count, length, stride, step, before, missing - before)
    free = size + before + after - (length - 1) * step - 1
    count = (-(-free // stride) if ceil else free // stride) + 1
    if ceil and (count - 1) * stride >= size + before:  # none starts in the padding behind
        count -= 1
    if count < 1:
        raise ValueError(f"its windows of {length} do not fit into {size}")
    return _Windows(count, length, stride, step, before, after)


def _over_all(name: str) -> Operator:
    """The operator over all axes behind the batch and the channels."""
    return Operator(lambda xp, x: getattr(xp, name)(x, axis=tuple(range(2, x.ndim)), keepdims=True))


TABLE = {
    "AveragePool": Operator(average_pool), "GlobalAveragePool": _over_all("mean"), "GlobalMaxPool": _over_all("max"),
    "MaxPool": Operator(max_pool),
}  # fmt: skip
