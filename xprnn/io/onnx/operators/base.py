"""What the table of operators is made of."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ....arrays import device
from ....types import Array, Namespace

MOST = 2**27


class Operator(NamedTuple):
    """An operator: ``function(xp, *inputs, **attributes)`` -> one array, or a tuple of its outputs.

    The arrays are of the library xp. An optional input that is left out is None; what some version of ONNX has as an
    attribute and another as an input is an argument of that name, and ``outputs`` the number of outputs.
    numbers: which inputs are wanted as tuples of Python numbers, however they are shaped.
    host:    which are wanted as NumPy arrays.
    outputs: how many outputs there can be.
    only:    the attributes of which one value alone is known here.
    """

    function: Callable[..., Any]
    numbers: tuple[int, ...] = ()
    host: tuple[int, ...] = ()
    outputs: int = 1
    only: dict[str, Any] = {}  # noqa: RUF012 (nobody changes it)


def room(*shape: int) -> tuple[int, ...]:
    """The shape, which comes out of numbers in the file. ValueError where it is larger than one can mean."""
    if any(size < 0 for size in shape) or math.prod(shape) > MOST:
        raise ValueError(f"it would make an array of shape {shape}; sizes are 0 or more, and at most {MOST} together")
    return shape


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
