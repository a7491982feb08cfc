"""CuPy: NVIDIA GPUs."""

import contextlib
import shutil
from typing import Any

import array_api_compat
import numpy as np

from ..types import Array
from . import cuda
from .base import Library

_REMEDIES = {
    "cudaErrorNoDevice": "make a GPU visible to this process (nvidia-smi lists them, CUDA_VISIBLE_DEVICES hides them)",
    "cudaErrorInvalidDevice": "choose one of the GPUs that nvidia-smi lists, counted from 0",
    "cudaErrorInsufficientDriver": "update the NVIDIA driver, or use the other of xprnn[cuda12] and xprnn[cuda13]",
}


class CuPy(Library):
    """NVIDIA GPUs; devices "cuda:0", "cuda:1", ..., or the number alone."""

    name, title, module = "cupy", "CuPy", "cupy"

    def owns(self, x: Any) -> bool:
        return array_api_compat.is_cupy_array(x)

    def handle(self, device: str) -> Any:
        import cupy

        number = device.removeprefix("cuda:") or "0"
        if not number.isdecimal():
            raise ValueError(f"CuPy's devices are numbers, as in 'cupy:0', not {device!r}")
        return cupy.cuda.Device(int(number))

    def where(self, x: Array) -> str:
        return f"cuda:{x.device.id}"

    def put(self, x: np.ndarray, handle: Any) -> Array:
        import cupy

        with handle:
            # Not blocking would be a race with whoever reuses a page-locked x.
            return cupy.array(x, order="C", blocking=True)

    def get(self, x: Array) -> np.ndarray:
        return x.get()

    def active(self, handle: Any) -> contextlib.AbstractContextManager:
        return handle

    def found(self) -> str:
        wheels, (major, minor) = cuda.cupy_wheels(), cuda.driver()
        parts = [f"the NVIDIA driver supports CUDA up to {major}.{minor}" if major else "there is no NVIDIA driver"]
        if wheels:
            parts.append(f"installed: {', '.join(wheels)}")
        if len(wheels) > 1:
            parts.append("which overwrite each other's files")
        return ", ".join(parts)

    def remedy(self, problem: str) -> str:
        # Without a CUDA toolkit on the machine CuPy compiles nothing, unless the toolkit comes along as wheels.
        toolkit = shutil.which("nvcc") and "shared object" not in problem
        install = f"pip install 'xprnn[{cuda.extra()}{'' if toolkit else '-ctk'}]'"
        wheels = cuda.cupy_wheels()
        if not any(cuda.driver()):
            first = "" if wheels else f", {install}"
            return f"on a machine with an NVIDIA GPU and its driver{first}; on this one, use 'numpy'"
        for error, fix in _REMEDIES.items():
            if error in problem:
                return fix
        return f"pip uninstall -y {' '.join(wheels)} && {install}" if len(wheels) > 1 else install
