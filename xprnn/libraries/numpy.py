"""NumPy: the host."""

from typing import Any

import numpy as np

from ..types import Array, Namespace
from .base import Library


class NumPy(Library):
    """Host memory."""

    name, title, module, install = "numpy", "NumPy", "numpy", "pip install numpy"

    def owns(self, x: Any) -> bool:
        if not isinstance(x, np.ndarray) or (x.dtype.kind == "V" and x.dtype == "bfloat16"):  # not NumPy's own
            return False
        # Not the subclasses in which * or sum mean something else; np.ma takes its time to import, so the type first.
        return type(x) is np.ndarray or not isinstance(x, np.ma.MaskedArray | np.matrix)

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
