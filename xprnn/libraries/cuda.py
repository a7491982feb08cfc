"""What this machine and this Python environment offer for CUDA, found out without importing CuPy."""

import contextlib
import ctypes
import sys


def cupy_wheels() -> list[str]:
    """The installed packages that provide ``cupy``: cupy-cuda12x, cupy-cuda13x, ..."""
    import importlib.metadata  # as much to import as a tenth of the whole library

    installed = []
    for name in ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed.append(importlib.metadata.distribution(name).name)
    return installed


def extra() -> str:
    """The newest CUDA extra that the driver can run."""
    return "cuda13" if driver() >= (13, 0) else "cuda12"


def driver() -> tuple[int, int]:
    """The newest CUDA, (major, minor), that the NVIDIA driver supports; (0, 0) without a driver."""
    version = ctypes.c_int(0)
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0, 0
    cuda.cuDriverGetVersion(ctypes.byref(version))
    # CUDA 12.8 is 12080.
    return version.value // 1000, version.value % 1000 // 10
