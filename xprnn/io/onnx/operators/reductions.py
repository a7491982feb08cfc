"""Operators over whole axes: sums, means, extremes, where they are, running sums."""

from collections.abc import Callable
from typing import Any

from ....types import Array, Namespace
from .base import Operator, position, positions


def _sum(xp: Namespace, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    return xp.sum(x, axis=axes, keepdims=keep, dtype=x.dtype)


def _product(xp: Namespace, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    return xp.prod(x, axis=axes, keepdims=keep, dtype=x.dtype)


def _mean(xp: Namespace, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    return xp.mean(x, axis=axes, keepdims=keep)


def _largest(xp: Namespace, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    return xp.max(x, axis=axes, keepdims=keep)


def _smallest(xp: Namespace, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    return xp.min(x, axis=axes, keepdims=keep)


def _length(xp: Namespace, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    return xp.sqrt(_sum(xp, x * x, axes, keep))


def _log_sum_exp(xp: Namespace, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
    largest = xp.max(x, axis=axes, keepdims=True)
    total = xp.log(_sum(xp, xp.exp(x - largest), axes, True)) + largest
    return total if keep else xp.squeeze(total, axis=axes)


def _over(function: Callable[..., Array]) -> Operator:
    """The operator that reduces by ``function``: over all axes where none are named, unless it says otherwise."""

    def reduce(xp: Namespace, x: Array, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Array:
        chosen = positions(axes or (), max(1, x.ndim))
        if x.ndim == 0 or (not chosen and noop_with_empty_axes):
            return xp.squeeze(function(xp, x[None, ...], (0,), True), axis=0)
        return function(xp, x, chosen or tuple(range(x.ndim)), bool(keepdims))

    return Operator(reduce, numbers=(1,))


def _where(name: str) -> Operator:
    """The operator for the place of an extreme, the first one or the last one."""

    def find(xp: Namespace, x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
        axis = position(axis, x.ndim)
        if not select_last_index:
            return getattr(xp, name)(x, axis=axis, keepdims=bool(keepdims))
        return x.shape[axis] - 1 - getattr(xp, name)(xp.flip(x, axis=axis), axis=axis, keepdims=bool(keepdims))

    return Operator(find)


def running_sum(xp: Namespace, x: Array, axis: tuple[int], *, exclusive: int = 0, reverse: int = 0) -> Array:
    """The sums of all up to each place, or up to the one before it; from the end where ``reverse``."""
    at = position(int(axis[0]), x.ndim)
    x = xp.flip(x, axis=at) if reverse else x
    total = xp.cumulative_sum(x, axis=at, dtype=x.dtype)
    total = total - x if exclusive else total
    return xp.flip(total, axis=at) if reverse else total


TABLE = {
    "ArgMax": _where("argmax"), "ArgMin": _where("argmin"), "CumSum": Operator(running_sum, numbers=(1,)),
    "ReduceL2": _over(_length), "ReduceLogSumExp": _over(_log_sum_exp), "ReduceMax": _over(_largest),
    "ReduceMean": _over(_mean), "ReduceMin": _over(_smallest), "ReduceProd": _over(_product), "ReduceSum": _over(_sum),
    "ReduceSumSquare": _over(lambda xp, x, axes, keep: _sum(xp, x * x, axes, keep)),
}  # fmt: skip
