"""Operators that are layers: products with weights, norms, softmax, dropout."""

import math

from ....ops.softmax import log_softmax, softmax
from ....types import Array, Namespace
from .base import Operator, position


def matmul(xp: Namespace, a: Array, b: Array) -> Array:
    return a @ b


def gemm(
    xp: Namespace, a: Array, b: Array, c: Array | None = None, *,
    alpha: float = 1.0, beta: float = 1.0, transA: int = 0, transB: int = 0,
) -> Array:  # fmt: skip
    """alpha a b + beta c, a and b turned where it says so."""
    y = (xp.matrix_transpose(a) if transA else a) @ (xp.matrix_transpose(b) if transB else b)
    y = y if alpha == 1 else alpha * y
    if c is None:
        return y
    return y + (c if beta == 1 else beta * c)


def layer_norm(
    xp: Namespace, x: Array, scale: Array, bias: Array | None = None, *,
    axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """x less its mean, over its standard deviation, along all axes from ``axis`` on -> y, the mean, 1 / deviation."""
    axes = tuple(range(position(axis, x.ndim), x.ndim))
    mean = xp.mean(x, axis=axes, keepdims=True)
    centred = x - mean
    inverse = 1 / xp.sqrt(xp.mean(centred * centred, axis=axes, keepdims=True) + epsilon)
    y = centred * inverse * scale
    return y if bias is None else y + bias, mean, inverse


def batch_norm(
    xp: Namespace, x: Array, scale: Array, bias: Array, mean: Array, variance: Array, *,
    epsilon: float = 1e-5, momentum: float = 0.9, training_mode: int = 0, spatial: int = 1,
) -> Array:  # fmt: skip
    """The batch norm of a trained model: the mean and variance are those given, for each channel, which is axis 1."""
    wide = (-1, *(1,) * (x.ndim - 2))
    factor = scale / xp.sqrt(variance + epsilon)
    return x * xp.reshape(factor, wide) + xp.reshape(bias - mean * factor, wide)


def dropout(
    xp: Namespace, x: Array, ratio: object = None, training_mode: tuple[bool] | None = None, *, seed: int = 0
) -> tuple[Array, Array]:
    """x, and the mask of what is kept: everything."""
    if training_mode is not None and training_mode[0]:
        raise ValueError("its training_mode is on; models are run, not trained, here")
    return x, xp.ones_like(x, dtype=xp.bool)


def _softmax(xp: Namespace, x: Array, *, axis: int = -1) -> Array:
    return softmax(xp, x, position(axis, x.ndim))


def _log_softmax(xp: Namespace, x: Array, *, axis: int = -1) -> Array:
    return log_softmax(xp, x, position(axis, x.ndim))


def _flat_softmax(xp: Namespace, x: Array, *, axis: int = 1) -> Array:
    """Softmax before opset 13: over all axes from ``axis`` on together."""
    return xp.reshape(softmax(xp, _matrix(xp, x, axis)), x.shape)


def _flat_log_softmax(xp: Namespace, x: Array, *, axis: int = 1) -> Array:
    """LogSoftmax before opset 13: over all axes from ``axis`` on together."""
    return xp.reshape(log_softmax(xp, _matrix(xp, x, axis)), x.shape)


def _matrix(xp: Namespace, x: Array, axis: int) -> Array:
    at = axis if axis == x.ndim else position(axis, x.ndim)
    return xp.reshape(x, (math.prod(x.shape[:at]), math.prod(x.shape[at:])))


TABLE = {
    "BatchNormalization": Operator(batch_norm, only={"training_mode": 0, "spatial": 1}),
    "Dropout": Operator(dropout, numbers=(1, 2), outputs=2), "Gemm": Operator(gemm),
    "LayerNormalization": Operator(layer_norm, outputs=3), "LogSoftmax": Operator(_log_softmax),
    "MatMul": Operator(matmul), "Softmax": Operator(_softmax),
}  # fmt: skip
BEFORE_13 = {"LogSoftmax": Operator(_flat_log_softmax), "Softmax": Operator(_flat_softmax)}
