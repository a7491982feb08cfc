"""What the table of operators is made of."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ....arrays import device
from ....types import Array, Namespace


class Operator(NamedTuple):
    """An operator: ``function(xp, *inputs, **attributes)`` -> one array, or a tuple of its outputs.

    The arrays are of the library xp. An optional input that is left out is None; what some version of ONNX has as an
    attribute and another as an input is an argument of that name, and ``outputs`` the number of outputs.
    numbers: which inputs are wanted as tuples of Python numbers, however they are shaped.
    host:    which are wanted as NumPy arrays.
    outputs: how many outputs there can be.
    cost:    of the inputs in these forms, a bound on how many numbers it makes; else the product of their sizes.
    only:    the attributes of which one value alone is known here.
    """

    function: Callable[..., Any]
    numbers: tuple[int, ...] = ()
    host: tuple[int, ...] = ()
    outputs: int = 1
    cost: Callable[..., float] | None = None
    only: dict[str, Any] = {}  # noqa: RUF012 (nobody changes it)


def position(axis: int, rank: int) -> int:
    """The axis counted from the front."""
    if not -rank <= axis < rank:
        raise ValueError(f"there is no axis {axis} among {rank}")
    return axis % rank


def positions(axes: Any, rank: int) -> tuple[int, ...]:
    """Axes counted from the front, each once."""
    found = tuple(position(int(axis), rank) for axis in axes)
    if len(set(found)) != len(found):
        raise ValueError(f"an axis occurs twice in {tuple(axes)}")
    return found


def like(xp: Namespace, value: float, x: Array) -> Array:
    """A number as an array () of x's dtype and device."""
    return xp.asarray(value, dtype=x.dtype, device=device(x))


def is_float(xp: Namespace, x: Array) -> bool:
    """Whether the array holds floating-point numbers."""
    return xp.isdtype(x.dtype, "real floating")
