"""The array libraries, one file each; none but NumPy is imported before it is used."""

from .array_api_strict import Strict
from .base import BackendError, Library
from .cupy import CuPy
from .jax import Jax
from .numpy import NumPy
from .torch import Torch

__all__ = ["LIBRARIES", "BackendError", "Library"]

LIBRARIES: dict[str, Library] = {library.name: library for library in (NumPy(), CuPy(), Torch(), Jax(), Strict())}
