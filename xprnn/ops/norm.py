"""Layer normalization of the last axis, and its reverse."""

from ..types import Array, Namespace

HUGE = 1e15
"""Squares of float32 overflow at 1.8e19, so rows whose largest element is beyond this are divided by it."""


def normalize(xp: Namespace, x: Array, epsilon: float) -> tuple[Array, Array]:
    """n = rate · (x - μ) and the rate 1 / √(σ² + ε), (..., 1), with mean and variance over the last axis.

    It overflows where squares of x do. Source: Ba, Kiros and Hinton, Layer normalization (2016).
    """
    return _scaled(xp, x - xp.mean(x, axis=-1, keepdims=True), epsilon)


def normalize_huge(xp: Namespace, x: Array, epsilon: float) -> tuple[Array, Array]:
    """``normalize`` for x of any size."""
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    largest = xp.max(xp.abs(centred), axis=-1, keepdims=True)
    unit = xp.where(largest > HUGE, largest, xp.ones_like(largest))
    n, rate = _scaled(xp, centred / unit, epsilon / unit / unit)
    return n, rate / unit


def normalize_vjp(xp: Namespace, n: Array, dn: Array) -> Array:
    """The cotangent of x divided by the rate, from that of n: linear in ``dn``."""
    return dn - xp.mean(dn, axis=-1, keepdims=True) - n * xp.mean(dn * n, axis=-1, keepdims=True)


def _scaled(xp: Namespace, centred: Array, epsilon: Array | float) -> tuple[Array, Array]:
    rate = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + epsilon)
    return centred * rate, rate
