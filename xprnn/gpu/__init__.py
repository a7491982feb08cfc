"""CUDA for whatever computes: the devices there are, and what is asked of them.

A device launches kernels of the sources in ``source/`` and multiplies matrices, both in place. All else is done with
the array library that its arrays belong to.
"""

from ..types import Array
from .cupy import CUPY
from .device import PRECISIONS, REALS, Defines, Device, Launch, Mark, Product, dense, grid, integer, real

__all__ = [
    "CUPY", "DEVICES", "PRECISIONS", "REALS", "Defines", "Device", "Launch", "Mark", "Product", "dense", "device_for",
    "device_of", "grid", "integer", "real",
]  # fmt: skip

DEVICES: tuple[Device, ...] = (CUPY,)


def device_of(x: Array) -> Device | None:
    """What launches kernels on x; None where x is not on a GPU that there are kernels for."""
    return next((device for device in DEVICES if device.owns(x)), None)


def device_for(*arrays: Array) -> Device | None:
    """What launches kernels on all of these; None too unless all have one dtype, float32 or float64."""
    if not arrays:
        return None
    device, dtype = device_of(arrays[0]), arrays[0].dtype
    if device is None or dtype.char not in REALS:
        return None
    return device if all(device.owns(a) and a.dtype == dtype for a in arrays) else None
