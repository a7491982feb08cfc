"""The one door to array_api_compat: which library an array belongs to, and where it lives."""

from typing import Any

import array_api_compat
import numpy as np

from .types import Array, Namespace


def namespace(*arrays: Array) -> Namespace:
    """The array-API namespace that all ``arrays`` belong to; ``None`` and Python scalars are passed over.

    NumPy's is NumPy itself: it speaks the standard, and the wrapper imports all there is in NumPy (80 ms, 17 MB). It is
    asked many times a call, and array_api_compat takes microseconds to answer: most of the time the type alone says it.
    """
    for x in arrays:
        if type(x) is not np.ndarray:
            break
    else:
        return np
    host = all(a is None or isinstance(a, (int, float)) or array_api_compat.is_numpy_array(a) for a in arrays)
    return array_api_compat.array_namespace(*arrays, use_compat=False if host else None)


def is_numpy(x: Array) -> bool:
    """Whether x is an array of NumPy's own class."""
    return type(x) is np.ndarray


def plain(x: Array) -> Array:
    """x; what NumPy has mapped from a file as an array of its own class, which is the same memory."""
    return np.asarray(x) if isinstance(x, np.memmap) else x


def device(x: Array) -> Any:
    """The device ``x`` lives on, in the words of its own library."""
    return "cpu" if is_numpy(x) else array_api_compat.device(x)


def writeable(x: Array) -> bool:
    """Whether a fresh array of x's library can be filled slice by slice (JAX's cannot)."""
    return not array_api_compat.is_jax_array(x)
