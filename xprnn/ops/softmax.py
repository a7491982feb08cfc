"""Softmax and its logarithm, for logits of any size."""

from ..types import Array, Namespace


def parts(xp: Namespace, x: Array, axis: int = -1) -> tuple[Array, Array, Array]:
    """x − max x, its exponential, and the sum of that (which keeps ``axis``): all that softmax and its logarithm share.

    The largest exponent is 0, so nothing overflows and the sum is at least 1.
    """
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    exponentials = xp.exp(shifted)
    return shifted, exponentials, xp.sum(exponentials, axis=axis, keepdims=True)


def softmax(xp: Namespace, x: Array, axis: int = -1) -> Array:
    """yᵢ = exp xᵢ / Σⱼ exp xⱼ along ``axis``, of x's shape."""
    _, exponentials, total = parts(xp, x, axis)
    return exponentials / total


def log_softmax(xp: Namespace, x: Array, axis: int = -1) -> Array:
    """log yᵢ = xᵢ − log Σⱼ exp xⱼ along ``axis``, of x's shape."""
    shifted, _, total = parts(xp, x, axis)
    return shifted - xp.log(total)


def softmax_vjp(xp: Namespace, y: Array, dy: Array, axis: int = -1) -> Array:
    """The reverse of ``softmax`` from its output: dxᵢ = yᵢ (dyᵢ − Σⱼ yⱼ dyⱼ)."""
    return y * (dy - xp.sum(y * dy, axis=axis, keepdims=True))
