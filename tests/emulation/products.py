"""Products as BLAS makes them: of what it finds by columns at the places in memory that it is told."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xprnn.gpu import blas

LOST_BITS = {"highest": 0, "high": 13, "medium": 16}


@dataclass(frozen=True)
class Products:
    """A ``Product`` of matrices of NumPy, which can be recorded where it is told so."""

    precision: str
    device: Any = None
    recordable: bool = False

    def __call__(self, a, b, out, accumulate=False):
        self.each(a[None], b, out, accumulate)(0)

    def each(self, a, b, out, accumulate=False):
        def ask(n):
            given = multiply, self.precision, a[n], b, out, accumulate
            if self.device is None:
                return multiply(*given[1:])
            if not self.recordable:
                self.device.recorder.refuse("a product by CuPy")
            return self.device.recorder.do(self.device.order.do, "a product", (a, b, out), *given)

        return ask


def multiply(precision, a, b, out, accumulate=False):
    """out = a b or out += a b, asked for as it is on a GPU."""
    call = blas.gemm(a, b, out)
    A = by_columns(b, (call.k, call.m) if call.transpose_a else (call.m, call.k), call.lda)
    B = by_columns(a, (call.n, call.k) if call.transpose_b else (call.k, call.n), call.ldb)
    C = by_columns(out, (call.m, call.n), call.ldc)
    A, B = (numbers(x, LOST_BITS[precision]) for x in (A, B))
    exact = (A.T if call.transpose_a else A) @ (B.T if call.transpose_b else B)
    C[...] = narrowed(exact + numbers(C, 0) if accumulate else exact, C.dtype)


def by_columns(x, shape, distance):
    """The matrix that BLAS reads where x begins; its columns are so many numbers apart."""
    if distance < max(shape[0], 1):
        raise ValueError(f"columns of {shape[0]} numbers cannot be {distance} apart")
    return np.lib.stride_tricks.as_strided(x, shape, (x.itemsize, distance * x.itemsize))


def numbers(x, lost):
    """x as what a product is made of: 16 bits (uint16 is bfloat16) as float32, and float32 without its last bits."""
    if x.dtype == np.uint16:
        return (x.astype(np.uint32) << 16).view(np.float32)
    if x.dtype == np.float16:
        return x.astype(np.float32)
    return x if x.dtype == np.float64 or not lost else rounded(x, lost)


def rounded(x, lost):
    """float32 without so many of its last bits: the nearest number, the even one of two."""
    raw = np.ascontiguousarray(x).view(np.uint32).astype(np.uint64)
    near = ((raw + (1 << (lost - 1)) - 1 + ((raw >> lost) & 1)) >> lost) << lost
    return np.where(np.isfinite(x), near.astype(np.uint32).view(np.float32), x)


def narrowed(x, dtype):
    """x as an array of the dtype holds it."""
    if dtype == np.uint16:
        return (rounded(x.astype(np.float32), 16).view(np.uint32) >> 16).astype(np.uint16)
    return x.astype(dtype)
