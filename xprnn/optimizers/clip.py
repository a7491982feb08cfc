"""Clipping of gradients, wholly on their device."""

import math

from .. import tree
from ..arrays import namespace
from ..gpu import device_for
from ..types import Array, Params
from . import clipped


def clip_by_value(grads: Params, limit: float) -> Params:
    """Each element of each leaf, held within ±limit; a NaN stays one. ValueError unless limit is above 0."""
    bound = _limit("clip_by_value", limit)
    device = device_for(*tree.leaves(grads))
    if device is not None:
        return clipped.held(device, grads, bound)
    return tree.map(lambda g: namespace(g).clip(g, -bound, bound), grads)


def clip_by_norm(grads: Params, limit: float) -> Params:
    """g · min(1, limit / (‖g‖ + 10⁻⁶)) with the norm over all leaves together (Pascanu et al. 2013), as PyTorch clips.

    A NaN anywhere makes every leaf NaN. ValueError unless limit is above 0.
    """
    bound = _limit("clip_by_norm", limit)
    full = _full(grads)
    if not full:
        return grads
    device = device_for(*full)
    if device is not None:
        return clipped.scaled(device, grads, clipped.root(device, full, bound)[1])
    norm = global_norm(grads)
    xp = namespace(norm)
    factor = bound / (norm + 1e-6)
    factor = xp.where(factor > 1.0, xp.ones_like(factor), factor)
    return tree.map(lambda g: g * factor, grads)


def global_norm(grads: Params) -> Array | float:
    """√Σ g² over all elements of all leaves, which share one dtype: a 0-d array, or 0.0 where there is no element.

    The largest element is divided out first, for the squares of an exploding float32 gradient are infinite.
    """
    full = _full(grads)
    if not full:
        return 0.0
    device = device_for(*full)
    if device is not None:
        return clipped.root(device, full)[0]
    xp = namespace(*full)
    together = xp.concat([xp.reshape(leaf, (-1,)) for leaf in full])
    largest = xp.max(xp.abs(together))
    unit = xp.where(xp.logical_and(largest > 0, largest < math.inf), largest, xp.ones_like(largest))
    scaled = together / unit
    return unit * xp.sqrt(xp.sum(scaled * scaled))


def _full(grads: Params) -> list[Array]:
    """The leaves that have elements."""
    return [leaf for leaf in tree.leaves(grads) if math.prod(leaf.shape)]


def _limit(name: str, limit: float) -> float:
    """``limit`` as a Python float; ValueError unless it is above 0."""
    if not limit > 0.0:
        raise ValueError(f"{name}: limit={limit!r}; wanted a number above 0")
    return float(limit)
