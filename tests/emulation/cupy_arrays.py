"""Arrays of CuPy's own that lie in this machine's memory, and a device that runs kernels on them.

CuPy makes such arrays, and views of them, without a GPU; whatever moves numbers needs one.
"""

import importlib
import warnings

import array_api_compat
import numpy as np
import pytest

from .elsewhere import Elsewhere


def cupy_without_gpu(name="cupy"):
    """A module of CuPy, which can be imported without a GPU; skips the test where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of what it does not find
        pytest.importorskip("cupy")
        return importlib.import_module(name)


def wrap(x):
    """A NumPy array as an array of CuPy in the same memory."""
    import cupy

    x = np.ascontiguousarray(x)
    memory = cupy.cuda.UnownedMemory(x.ctypes.data, x.nbytes, x, device_id=0)
    return cupy.ndarray(x.shape, x.dtype, cupy.cuda.MemoryPointer(memory, 0))


def unwrap(x):
    """The view of NumPy's on what an array of CuPy shows."""
    owner = x.data.mem._owner
    return np.ndarray(x.shape, x.dtype, owner, x.data.ptr - owner.ctypes.data, x.strides)


def OnCuPy(emulated):
    """``Emulated`` over such arrays."""
    return Elsewhere(emulated, array_api_compat.is_cupy_array, wrap, unwrap)
