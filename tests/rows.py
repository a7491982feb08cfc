"""The rows that tests run over: an array library, a device, a precision. Each catches mistakes the others let pass."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from xprnn.backend import Backend, BackendError, backend


@dataclass(frozen=True)
class Row:
    """One way to run the library; without ``values`` arrays have shapes only, ``frozen`` makes inputs read-only."""

    name: str
    spec: str
    dtype: str = "float64"
    values: bool = True
    frozen: bool = False

    @property
    def library(self) -> str:
        return self.spec.partition(":")[0]

    @property
    def backend(self) -> Backend:
        return opened(self.spec, self.dtype)

    @property
    def xp(self) -> Any:
        return self.backend.xp

    @property
    def tolerance(self) -> float:
        """A relative error that rounding alone explains in a short computation."""
        return 1e-12 if self.dtype == "float64" else 2e-5

    def put(self, x: Any) -> Any:
        """``x`` as an array of this row: floats in its dtype, integers and bools as they are."""
        array = self.backend.asarray(np.array(x) if self.library == "numpy" else x)
        if self.frozen:
            array.flags.writeable = False
        return array

    def get(self, x: Any) -> np.ndarray:
        """``x``, which must be an array of this row, as a NumPy array."""
        self.backend.check(x, "x")
        return self.backend.to_numpy(x)


ROWS = (
    Row("numpy", "numpy"),
    Row("numpy-f32", "numpy", dtype="float32", frozen=True),
    Row("array_api_strict", "array_api_strict:device1"),
    Row("torch", "torch"),
    Row("torch-meta", "torch:meta", values=False),
    Row("jax", "jax"),
    Row("cupy", "cupy"),
)
# Here any float64 raises, so it is for tests that make none: it finds those that arise between input and result.
NO_FLOAT64 = Row("no-float64", "array_api_strict:no_float64", dtype="float32")
LIBRARIES = tuple(dict.fromkeys(row.library for row in ROWS))


@functools.cache
def opened(spec: str, dtype: str) -> Backend:
    """The backend, tried once in a run of the tests; raises BackendError."""
    chosen = backend(spec, dtype)
    if chosen.name == "array_api_strict":
        chosen.xp.set_array_api_strict_flags(boolean_indexing=False, data_dependent_shapes=False)
    return chosen


def problem(row: Row) -> str:
    """Why the row cannot run here, "" if it can."""
    try:
        return "" if row.backend else "no backend"
    except BackendError as error:
        return str(error).replace("\n", "; ")
