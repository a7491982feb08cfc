"""Lengths of right-padded sequences, checked at the door and made into a mask."""

import operator
from typing import Any

import array_api_compat

from .backend import Backend
from .ops.masks import from_lengths
from .types import Array

__all__ = ["lengths_to_mask"]


def lengths_to_mask(backend: Backend, lengths: Any, batch: int, steps: int) -> Array:
    """The (batch, steps) bool mask on ``backend`` that is True where t < lengths[b].

    lengths: one whole number from 0 to ``steps`` for each of ``batch`` sequences, in any order: a list, tuple or range,
    or an integer array (batch,) of any library on any device. They are looked at on the host, so an array that lives
    on a GPU is waited for.
    Raises TypeError if they are no whole numbers, ValueError if their count or range does not fit.
    """
    values = _whole_numbers(backend, lengths)
    if len(values) != batch:
        raise ValueError(f"lengths wants one number for each of the {batch} sequences in the batch, not {len(values)}")
    for row, length in enumerate(values):
        if not 0 <= length <= steps:
            raise ValueError(f"lengths[{row}] is {length}; x has {steps} steps, so each is a number from 0 to {steps}")
    with backend.active():
        return from_lengths(backend.xp, backend.asarray(values, "int32"), steps)


def _whole_numbers(backend: Backend, lengths: Any) -> list[int]:
    """``lengths`` as Python integers."""
    if isinstance(lengths, list | tuple | range):
        return [_whole_number(length, row) for row, length in enumerate(lengths)]
    if not array_api_compat.is_array_api_obj(lengths):
        raise TypeError(f"lengths is a list of integers or an integer array, not a {type(lengths).__name__}")
    host = backend.to_numpy(lengths)
    if host.ndim != 1:
        raise ValueError(f"lengths has one axis, with a number for each sequence; its shape is {host.shape}")
    if host.dtype.kind not in "iu":
        raise TypeError(f"lengths counts steps, so it holds integers, not {host.dtype}")
    return host.tolist()


def _whole_number(length: Any, row: int) -> int:
    """One entry of a list; True is an integer to Python, and a mask given for lengths would pass as ones and zeros."""
    try:
        if not isinstance(length, bool):
            return operator.index(length)
    except TypeError:
        pass
    raise TypeError(f"lengths counts steps, so it holds integers; lengths[{row}] is {length!r}")
