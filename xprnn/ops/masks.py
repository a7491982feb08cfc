"""Masks: True where a step is real, False where it is padding."""

from ..arrays import device
from ..types import Array, Namespace


def clean(xp: Namespace, x: Array, mask: Array | None) -> Array:
    """``x`` with zeros where ``mask`` is False, so that nothing in padding, NaN included, reaches a product.

    x has mask's axes and perhaps more behind them: mask (B, T) serves x (B, T, D).
    """
    if mask is None:
        return x
    wide = xp.reshape(mask, (*mask.shape, *(1,) * (x.ndim - mask.ndim)))
    return xp.where(wide, x, xp.zeros_like(x))


def from_lengths(xp: Namespace, lengths: Array, steps: int) -> Array:
    """The (B, T) mask of right-padded sequences: mask[b, t] = t < lengths[b]."""
    return xp.arange(steps, dtype=lengths.dtype, device=device(lengths))[None, :] < lengths[:, None]
