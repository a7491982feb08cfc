"""The door: arrays and options looked at once, and PyTorch's axes turned into the layers' and back."""

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..arrays import namespace
from ..backend import Backend
from ..types import Array


def check(backend: Backend, x: Any, what: str, shape: tuple[int, ...] | None = None) -> None:
    """Raise unless ``x`` is an array of the backend's library, device and dtype, and of ``shape`` if one is given."""
    backend.check(x, what)
    if not namespace(x).isdtype(x.dtype, "real floating"):
        fix = f"use backend.asarray({what}, {backend.dtype!r})"
        raise TypeError(f"`{what}` is of dtype {x.dtype}, the model computes in {backend.dtype}: {fix}")
    if shape is not None and tuple(x.shape) != shape:
        raise ValueError(f"`{what}` has the shape {tuple(x.shape)}, expected {shape}")


def leaves(backend: Backend, given: Any, names: tuple[str, ...], shapes: Sequence[tuple]) -> tuple[Array, ...]:
    """A state as its caller has it, an array or a pair, as a tuple of arrays of ``shapes``; None in it means zeros."""
    if len(names) == 1 and isinstance(given, tuple | list):
        raise TypeError(f"expected one array, {names[0]}, not a {type(given).__name__}")
    if len(names) > 1 and (not isinstance(given, tuple | list) or len(given) != len(names)):
        met = f"{len(given)} of them" if isinstance(given, tuple | list) else f"a {type(given).__name__}"
        raise TypeError(f"expected a tuple of {len(names)} arrays, ({', '.join(names)}), not {met}")
    found = []
    for name, shape, a in zip(names, shapes, (given,) if len(names) == 1 else given, strict=True):
        if a is None:
            a = backend.asarray(backend.xp.zeros(shape))
        check(backend, a, name, shape)
        found.append(a)
    return tuple(found)


def whole(state: tuple[Array, ...]) -> Any:
    """A state's leaves as PyTorch hands them over: one alone, or a tuple."""
    return state[0] if len(state) == 1 else state


def size(what: str, value: Any) -> int:
    """``value`` as an int; raise unless it is an integer above 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{what} is an integer above 0, not {value!r}")
    if value < 1:
        raise ValueError(f"{what} is an integer above 0, not {value}")
    return int(value)


def projection(value: Any, hidden_size: int) -> int:
    """``value`` as an int; raise unless it is 0 or a number of units below ``hidden_size``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"proj_size is an integer, 0 for no projection, not {value!r}")
    units = int(value)
    if not 0 <= units < hidden_size:
        raise ValueError(f"proj_size is 0, for no projection, or below hidden_size={hidden_size}, not {units}")
    return units


def check_flag(what: str, value: Any) -> None:
    """Raise TypeError unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{what} is True or False, not {value!r}; the order of the arguments is PyTorch's")


def check_nonlinearity(value: Any) -> None:
    """Raise ValueError unless ``value`` is one of the two that PyTorch has."""
    if value not in ("tanh", "relu"):
        raise ValueError(f"nonlinearity is 'tanh' or 'relu', not {value!r}; the order of the arguments is PyTorch's")


def own(x: Array) -> Array:
    """A copy, for whoever may write into it."""
    return namespace(x).asarray(x, copy=True)


@dataclass(frozen=True)
class Axes:
    """The axes of one call: whether there is one for the batch, and whether it comes first."""

    batched: bool
    batch_first: bool

    def enter(self, x: Array) -> Array:
        """x in PyTorch's axes -> (B, T, n)"""
        if not self.batched:
            return x[None, :, :]
        return x if self.batch_first else namespace(x).permute_dims(x, (1, 0, 2))

    def leave(self, y: Array) -> Array:
        """y (B, T, n) -> PyTorch's axes"""
        if not self.batched:
            return y[0, :, :]
        return y if self.batch_first else namespace(y).permute_dims(y, (1, 0, 2))
