"""How many threads NumPy's matrix products take.

The products of one recurrent step are too small to gain much from a second thread, and as all threads wait for the
slowest in each of them, they lose by a factor of ten and more where another process has one of the cores.
"""

import contextlib
import os
from collections.abc import Iterator

from .blas import openblas
from .problem import Problem

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextlib.contextmanager
def limited(count: int | None) -> Iterator[None]:
    """A context in which products take ``count`` threads; None is one, unless the environment says how many.

    It reaches the OpenBLAS in NumPy's wheels. With any other BLAS None does nothing and a count raises Problem.
    """
    library = openblas()
    if library is None and count is not None:
        raise Problem(f"--threads is for the OpenBLAS of NumPy's wheels; for this one set {VARIABLES[0]}={count}")
    if library is None or (count is None and any(name in os.environ for name in VARIABLES)):
        yield
        return
    before = library.scipy_openblas_get_num_threads64_()
    library.scipy_openblas_set_num_threads64_(count or 1)
    try:
        yield
    finally:
        library.scipy_openblas_set_num_threads64_(before)
