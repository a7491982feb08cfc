"""Operators that make numbers, and that change their type."""

import math
from typing import Any

import numpy as np

from ....types import Array, Namespace
from .base import Operator


def constant(xp: Namespace, *, value: np.ndarray) -> np.ndarray:
    """The array that the node holds; numbers that it holds otherwise have been made one."""
    return value


def constant_of_shape(xp: Namespace, shape: tuple[int, ...], *, value: np.ndarray) -> np.ndarray:
    return np.full(shape, value.reshape(-1)[0], value.dtype)


def range_(xp: Namespace, start: np.ndarray, limit: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """start, start + delta, ... before limit."""
    return (start + np.arange(_count(start, limit, delta), dtype=start.dtype) * delta).astype(start.dtype)


def _count(start: np.ndarray, limit: np.ndarray, delta: np.ndarray) -> int:
    """How many numbers a Range has."""
    if not delta.item():
        raise ValueError("its delta is 0")
    return max(0, math.ceil((limit.item() - start.item()) / delta.item()))


def cast(xp: Namespace, x: Array, *, to: Any, saturate: int = 1, round_mode: str = "up") -> Array:
    """x in another dtype; the attributes beside it are about float8 alone."""
    return xp.astype(x, to)


def cast_like(xp: Namespace, x: Array, other: Array, *, saturate: int = 1, round_mode: str = "up") -> Array:
    return xp.astype(x, other.dtype)


TABLE = {
    "Cast": Operator(cast), "CastLike": Operator(cast_like), "Constant": Operator(constant),
    "ConstantOfShape": Operator(constant_of_shape, numbers=(0,), cost=math.prod),
    "Range": Operator(range_, host=(0, 1, 2), cost=_count),
}  # fmt: skip
