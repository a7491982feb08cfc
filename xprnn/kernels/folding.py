"""What kernels that run any cell share: time into the batch and out of it again, and rows without a step."""

from ..types import Array, Namespace, Params


def fold(xp: Namespace, a: Array) -> Array:
    """(T, B, n) -> (T·B, n)"""
    return xp.reshape(a, (a.shape[0] * a.shape[1], a.shape[2]))


def folds(xp: Namespace, leaves: tuple) -> tuple:
    """``fold`` for each of the leaves."""
    return tuple(fold(xp, a) for a in leaves)


def unfold(xp: Namespace, a: Array, T: int) -> Array:
    """(T·B, n) -> (T, B, n)"""
    return xp.reshape(a, (T, a.shape[0] // T, a.shape[1]))


def over_time(xp: Namespace, p: Params, T: int) -> Params:
    """``p`` for all steps at once: recurrent dropout's multipliers (B, H), if any, repeated T times."""
    return p | {"keep": xp.tile(p["keep"], (T, 1))} if "keep" in p else p


def pick(xp: Namespace, rows: Array, new: tuple, old: tuple) -> tuple:
    """``new`` in the rows (B, 1) that are True, ``old`` in the others."""
    return tuple(xp.where(rows, a, b) for a, b in zip(new, old, strict=True))


def zero_padding(xp: Namespace, mask: Array | None, a: Array) -> Array:
    """``a`` (T, B, n), and 0 where mask (T, B, 1) is False."""
    return a if mask is None else xp.where(mask, a, xp.zeros_like(a))
