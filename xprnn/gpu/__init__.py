"""CUDA for whatever computes: the devices there are, and what is asked of them.

A device launches kernels of the sources in ``source/`` and multiplies matrices, both in place. All else is done with
the array library that its arrays belong to.
"""

import os
from collections.abc import Callable
from typing import TypeVar

from ..types import Array
from .cupy import CUPY
from .device import PRECISIONS, REALS, Defines, Device, Launch, Mark, Product, dense, grid, integer, real

__all__ = [
    "CUPY", "DEVICES", "PRECISIONS", "REALS", "STREAMS", "Defines", "Device", "Launch", "Mark", "Product", "both",
    "dense", "device_for", "device_of", "grid", "integer", "real",
]  # fmt: skip

A = TypeVar("A")
B = TypeVar("B")
DEVICES: tuple[Device, ...] = (CUPY,)


def _streams(asked: str) -> int:
    if asked not in ("1", "2"):
        raise ValueError(f"XPRNN_STREAMS={asked} in the environment, but there are 1 or 2")
    return int(asked)


STREAMS = _streams(os.environ.get("XPRNN_STREAMS", "1"))
"""On how many streams of a GPU there is work at a time, where two parts of it have nothing to do with each other."""


def device_of(x: Array) -> Device | None:
    """What launches kernels on x; None where x is not on a GPU that there are kernels for."""
    return next((device for device in DEVICES if device.owns(x)), None)


def both(x: Array, first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """What the two give, of which neither needs the other; on two streams where x is on a GPU and ``STREAMS`` is 2."""
    device = device_of(x) if STREAMS > 1 else None
    if device is None:
        return first(), second()
    found, end = device.beside(second)
    try:
        return first(), found
    finally:
        end.wait()


def device_for(*arrays: Array) -> Device | None:
    """What launches kernels on all of these; None too unless all have one dtype, float32 or float64."""
    if not arrays:
        return None
    device, dtype = device_of(arrays[0]), arrays[0].dtype
    if device is None or dtype.char not in REALS:
        return None
    return device if all(device.owns(a) and a.dtype == dtype for a in arrays) else None
