"""CUDA for whatever computes: the devices there are, and what is asked of them.

A device launches kernels of the sources in ``source/`` and multiplies matrices, both in place. All else is done with
the array library that its arrays belong to.
"""

from ..types import Array
from .cupy import CUPY
from .device import PRECISIONS, Device, Launch, Product, grid

__all__ = ["CUPY", "DEVICES", "PRECISIONS", "Device", "Launch", "Product", "device_of", "grid"]

DEVICES: tuple[Device, ...] = (CUPY,)


def device_of(x: Array) -> Device | None:
    """What launches kernels on x; None where x is not on a GPU that there are kernels for."""
    return next((device for device in DEVICES if device.owns(x)), None)
