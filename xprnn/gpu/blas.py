"""A matrix product of row-major arrays in the words of BLAS, which thinks in columns."""

import functools
from typing import NamedTuple

from ..types import Array


class Gemm(NamedTuple):
    """C (m, n) = op(A) (m, k) op(B) (k, n) by columns, each column so many numbers (``ld``) after the one before.

    What lies in rows is by columns its transpose: C is ``out``.T, and so A is b and B is a.
    """

    transpose_a: bool
    transpose_b: bool
    m: int
    n: int
    k: int
    lda: int
    ldb: int
    ldc: int


def gemm(a: Array, b: Array, out: Array) -> Gemm:
    """How BLAS is asked for out = a b; ValueError for matrices that it cannot take."""
    places = ((x.shape, x.strides, x.dtype.itemsize) for x in (a, b, out))
    return _gemm(*places)


@functools.lru_cache(maxsize=1024)  # a step asks for the same one as the step before
def _gemm(a: tuple, b: tuple, out: tuple) -> Gemm:
    ((n, k), *_), ((inner, m), *_) = a, b
    if inner != k or out[0] != (n, m):
        raise ValueError(f"a product of {a[0]} and {b[0]} does not fit {out[0]}")
    (transpose_a, lda), (transpose_b, ldb), (turned, ldc) = (_layout(*x) for x in (b, a, out))
    if turned:
        raise ValueError(f"a product is written to rows, not to a matrix of shape {out[0]} with strides {out[1]}")
    return Gemm(transpose_a, transpose_b, m, n, k, lda, ldb, ldc)


def _layout(shape: tuple, strides: tuple, size: int) -> tuple[bool, int]:
    """Whether the columns of a matrix are dense and not its rows, and the distance of those that are not."""
    (rows, columns), (row, column) = shape, (stride // size for stride in strides)
    if (column == 1 or columns == 1) and (row >= columns or rows == 1):
        return False, row if rows > 1 else columns
    if (row == 1 or rows == 1) and (column >= rows or columns == 1):
        return True, column if columns > 1 else rows
    raise ValueError(f"BLAS takes no matrix of shape {shape} with strides {strides}: copy it first")
