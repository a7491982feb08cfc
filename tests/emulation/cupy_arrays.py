"""Arrays of CuPy's own that lie in this machine's memory, and a device that runs kernels on them.

CuPy makes such arrays, and views of them, without a GPU; whatever moves numbers needs one.
"""

import importlib
import warnings
from dataclasses import dataclass

import array_api_compat
import numpy as np
import pytest

from . import Emulated
from .products import Products


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


@dataclass(frozen=True)
class ProductsOnCuPy:
    """``Products`` of such arrays."""

    products: Products

    def __call__(self, a, b, out, accumulate=False):
        self.products(unwrap(a), unwrap(b), unwrap(out), accumulate)

    def each(self, a, b, out, accumulate=False):
        return self.products.each(unwrap(a), unwrap(b), unwrap(out), accumulate)


@dataclass(frozen=True)
class OnCuPy:
    """``Emulated`` over such arrays."""

    emulated: Emulated

    def owns(self, x):
        return array_api_compat.is_cupy_array(x)

    def empty(self, shape, dtype):
        return wrap(self.emulated.empty(shape, dtype))

    def kernel(self, file, name, defines=()):
        launch = self.emulated.kernel(file, name, defines)
        return lambda blocks, threads, arguments: launch(blocks, threads, tuple(map(self._unwrap, arguments)))

    def product(self, precision="highest"):
        return ProductsOnCuPy(self.emulated.product(precision))

    def _unwrap(self, a):
        return unwrap(a) if self.owns(a) else a
