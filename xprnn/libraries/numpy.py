"""NumPy: the host."""

from typing import Any

import numpy as np

from ..types import Array, Namespace
from .base import Library


class NumPy(Library):
    """Host memory."""

    name, title, module, install = "numpy", "NumPy", "numpy", "pip install numpy"

    def owns(self, x: Any) -> bool:
        # Not the subclasses in which * or sum mean something else, nor a dtype that NumPy itself does not know.
        strange = isinstance(x, np.ma.MaskedArray | np.matrix) or getattr(x, "dtype", None) == "bfloat16"
        return isinstance(x, np.ndarray) and not strange

    def handle(self, device: str) -> str:
        if device not in ("", "cpu"):
            raise ValueError(f"NumPy computes on the cpu only, not on {device!r}")
        return "cpu"

    def where(self, x: Array) -> str:
        return "cpu"

    def put(self, x: np.ndarray, handle: Any) -> Array:
        return x

    def get(self, x: Array) -> np.ndarray:
        return x

    def xp(self) -> Namespace:
        return np
