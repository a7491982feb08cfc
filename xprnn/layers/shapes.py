"""The doors of simple layers: whether shapes and sizes fit, which costs no look at the data."""

import math
import numbers

from ..types import Array, Namespace, Shape

WORDS = {1: "(features,)", 2: "(time, features)"}


def features(layer: object, shape: Shape, ranks: tuple[int, ...] = (1, 2)) -> int:
    """The width of samples of ``shape``, which has one of ``ranks``: 1 is (features,), 2 is (time, features).

    Raises ValueError if the rank is another or the width is not known.
    """
    if len(shape) not in ranks or shape[-1] is None or shape[-1] < 1:
        wanted = " or ".join(WORDS[rank] for rank in ranks)
        hint = "; token ids need an Embedding before" if tuple(shape) == (None,) else ""
        raise ValueError(f"{name(layer)} takes samples of shape {wanted} with the features known, not {shape}{hint}.")
    return shape[-1]


def check_width(layer: object, x: Array, width: int) -> None:
    """Raise ValueError unless x is (B, width) or (B, T, width)."""
    if x.ndim not in (2, 3) or x.shape[-1] != width:
        raise ValueError(
            f"{name(layer)} met x of shape {tuple(x.shape)}; its parameters want (batch, {width}) "
            f"or (batch, time, {width})."
        )


def check_positive(layer: object, what: str, value: int) -> None:
    """Raise ValueError unless ``value`` is an integer above 0."""
    if not is_count(value):
        raise ValueError(f"{name(layer)}: {what} must be an integer above 0, not {value!r}.")


def is_count(value: object) -> bool:
    """Whether ``value`` is an integer above 0, and no bool."""
    if isinstance(value, int):  # most are, and to ask for more takes its time
        return not isinstance(value, bool) and value > 0
    return isinstance(value, numbers.Integral) and int(value) > 0


def check_rate(what: str, rate: float) -> None:
    """Raise ValueError unless ``rate`` is a number from 0 to below 1."""
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate < 1:
        raise ValueError(f"{what} must be a number from 0 to below 1, not {rate!r}")


def fold(xp: Namespace, x: Array) -> Array:
    """x (..., D) as rows (N, D)."""
    return xp.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def name(layer: object) -> str:
    """What errors call ``layer``: the name of its class."""
    return type(layer).__name__
