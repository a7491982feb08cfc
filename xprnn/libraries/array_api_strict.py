"""array-api-strict: the array-API standard and nothing beyond it."""

import importlib
from typing import Any

import numpy as np

from ..types import Array, Namespace
from .base import Library, fresh


class Strict(Library):
    """The array-API standard and nothing beyond it, for tests; devices "CPU_DEVICE", "device1", "no_float64", ..."""

    name, title, module = "array_api_strict", "array-api-strict", "array_api_strict"
    install = "pip install array-api-strict"

    def owns(self, x: Any) -> bool:
        return type(x).__module__.partition(".")[0] == self.module

    def handle(self, device: str) -> Any:
        return self.xp().Device(device or "CPU_DEVICE")

    def where(self, x: Array) -> str:
        return str(x.device).split("'")[1]

    def put(self, x: np.ndarray, handle: Any) -> Array:
        return self.xp().asarray(fresh(x), device=handle)

    def get(self, x: Array) -> np.ndarray:
        return np.array(x.to_device(self.handle("CPU_DEVICE")))

    def xp(self) -> Namespace:
        return importlib.import_module(self.module)
