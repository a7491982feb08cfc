"""Losses on a GPU: a launch for all elements or rows, one for the sum of theirs, one to count what a mask leaves."""

import math

from ..arrays import namespace
from ..gpu import Defines, Device, dense, grid, integer, real
from ..types import Array
from .rows import flat

WIDTH = 256
"""The threads of losses.cu's blocks."""
BLOCKS = 1024
"""The most that go over the elements."""


def elements(
    device: Device, loss: str, y: Array, target: Array, mask: Array | None, delta: float = 0.0
) -> tuple[Array, Array]:
    """The mean of the ``loss`` of losses.cu over y and target (...), as many and of one dtype, and its gradient."""
    defines, count = (("LOSS", loss), *real(y)), math.prod(y.shape)
    blocks = min(grid(count, WIDTH)[0], BLOCKS)
    parts, dy = device.empty((blocks,), y.dtype), device.empty(y.shape, y.dtype)
    inner, *rest = _said(device, defines, y, mask, count)
    arguments = (count, inner, dense(y), dense(target), *rest, delta, parts, dy)
    device.kernel("losses.cu", "elements", defines)(blocks, WIDTH, arguments)
    return _sum(device, defines, parts), dy


def cross_entropy(
    device: Device, y: Array, target: Array, mask: Array | None, smoothing: float
) -> tuple[Array, Array]:
    """The mean cross-entropy of logits y (..., V) and classes (...) or probabilities (..., V), and its gradient."""
    rows, V, classes = math.prod(y.shape[:-1]), y.shape[-1], target.ndim < y.ndim
    target = dense(flat(namespace(target), target) if classes else target)
    losses, dy = device.empty((rows,), y.dtype), device.empty(y.shape, y.dtype)
    defines = (*(integer("CLASS", target) if classes else ()), *real(y))
    pair = (target, 0) if classes else (0, target)
    inner, *rest = _said(device, defines, y, mask, rows)
    arguments = (rows, V, inner, dense(y), *pair, *rest, smoothing, losses, dy)
    device.kernel("losses.cu", "cross_entropy", defines)(*grid(32 * rows), arguments)
    return _sum(device, defines, losses), dy


def _said(device: Device, defines: Defines, y: Array, mask: Array | None, count: int) -> tuple:
    """What a kernel is told of the mask: how many follow each of its values, itself, and each real one's share."""
    if mask is None:
        return count, 0, 0, 1.0 / count
    inner, mask, counted = count // math.prod(mask.shape), dense(mask), device.empty((), y.dtype)
    device.kernel("losses.cu", "share", defines)(1, WIDTH, (math.prod(mask.shape), inner, mask, counted))
    return inner, mask, counted, 0.0


def _sum(device: Device, defines: Defines, parts: Array) -> Array:
    """Σ parts, a 0-d array."""
    value = device.empty((), parts.dtype)
    device.kernel("losses.cu", "sum", defines)(1, WIDTH, (parts.shape[0], parts, value))
    return value
