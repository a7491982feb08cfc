"""Clipping on a GPU: the norm of many arrays together, all of them times a number, or held in bounds."""

from collections.abc import Sequence

from .. import tree
from ..gpu import Device, grid, real
from ..types import Array, Params
from .leaves import groups, table

WIDTH = 256
"""The threads of clip.cu's blocks."""
BLOCKS = 512
"""The most that sum one group of leaves."""


def root(device: Device, leaves: Sequence[Array], limit: float = 1.0) -> tuple[Array, Array]:
    """√Σ g² over all elements of all leaves, and min(1, limit / (that + 10⁻⁶)), 0-d arrays; in a fixed order."""
    numbers, dtype = real(leaves[0]), leaves[0].dtype
    some = [(group, min(grid(group.size, WIDTH)[0], BLOCKS)) for group in groups([(leaf,) for leaf in leaves])]
    count = sum(blocks for _, blocks in some)
    parts, squares, first = device.empty((count, 2), dtype), device.kernel("clip.cu", "squares", numbers), 0
    for (size, ends, columns), blocks in some:
        squares(blocks, WIDTH, (size, device.struct(ends), device.struct(table(*columns)), first, parts))
        first += blocks
    length, factor = device.empty((), dtype), device.empty((), dtype)
    device.kernel("clip.cu", "root", numbers)(1, WIDTH, (count, parts, limit, length, factor))
    return length, factor


def scaled(device: Device, grads: Params, factor: Array) -> Params:
    """Each leaf times the 0-d ``factor``."""
    return _each(device, "scale", grads, factor)


def held(device: Device, grads: Params, limit: float) -> Params:
    """Each number of each leaf, held within ±limit."""
    return _each(device, "hold", grads, limit)


def _each(device: Device, name: str, grads: Params, argument: Array | float) -> Params:
    """What a kernel makes of all leaves."""
    flat = tree.flatten(grads)
    results = {path: device.empty(leaf.shape, leaf.dtype) for path, leaf in flat.items()}
    kernel = device.kernel("clip.cu", name, real(next(iter(flat.values()))))
    for size, ends, (old, new) in groups([(flat[path], results[path]) for path in flat]):
        ends, before, after = map(device.struct, (ends, table(old), table(new)))
        kernel(*grid(size), (size, ends, before, argument, after))
    return tree.fill(grads, results)
