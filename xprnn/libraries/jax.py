"""JAX."""

import importlib
from typing import Any

import array_api_compat
import numpy as np

from ..types import Array, Namespace
from . import cuda
from .base import BackendError, Library, fresh

_X64 = "set JAX_ENABLE_X64=1 in the environment, or call jax.config.update('jax_enable_x64', True) before using JAX"


class Jax(Library):
    """JAX; devices "cpu:0", "gpu:0", ... with the number or the platform left out at will."""

    name, title, module, install = "jax", "JAX", "jax", "pip install jax"

    def owns(self, x: Any) -> bool:
        return array_api_compat.is_jax_array(x)

    def handle(self, device: str) -> Any:
        import jax

        platform, _, number = (f":{device}" if device.isdecimal() else device).partition(":")
        devices = jax.local_devices(backend=platform or None)
        chosen = [one for one in devices if not number or str(one.id) == number]
        if not chosen:
            raise ValueError(f"JAX has no device {device!r}, only {', '.join(map(_full_name, devices))}")
        return chosen[0]

    def where(self, x: Array) -> str:
        import jax

        if isinstance(x, jax.core.Tracer):
            return ""
        return " and ".join(sorted(map(_full_name, x.devices())))

    def put(self, x: np.ndarray, handle: Any) -> Array:
        import jax

        x = fresh(x)
        self.check_dtype(x.dtype.name)
        if x.dtype.itemsize == 8 and not jax.config.jax_enable_x64:
            narrow = x.astype(f"{x.dtype.kind}4")
            if not np.array_equal(x, narrow):
                raise BackendError(f"JAX keeps {x.dtype} in 32 bits here, too few for the values given", _X64)
            x = narrow
        return jax.device_put(x, handle)

    def get(self, x: Array) -> np.ndarray:
        return np.array(x.astype("float32") if x.dtype.name == "bfloat16" else x)

    def check_dtype(self, dtype: str) -> None:
        import jax

        if dtype == "float64" and not jax.config.jax_enable_x64:
            raise BackendError("JAX has no float64 until it is switched on", f"{_X64}; or use dtype='float32'")

    def remedy(self, problem: str) -> str:
        return f"pip install 'jax[{cuda.extra()}]' for an NVIDIA GPU, or use 'jax:cpu'" if problem else self.install

    def xp(self) -> Namespace:
        return importlib.import_module("jax.numpy")


def _full_name(device: Any) -> str:
    return f"{device.platform}:{device.id}"
