"""Backends: which array library, on which device, in which precision; and the transfer between them."""

import contextlib
import importlib.util
import logging
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import array_api_compat
import numpy as np

from . import tree as trees
from .libraries import LIBRARIES, BackendError, Library
from .types import Array, Namespace

__all__ = ["Backend", "BackendError", "Status", "available", "backend", "to_device", "to_numpy"]

logger = logging.getLogger(__name__)

FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Backend:
    """An array library (``name``), a device in its words and a float dtype; ``backend()`` makes it and tries it."""

    name: str
    device: str
    dtype: str

    def __str__(self) -> str:
        return f"{LIBRARIES[self.name].title} on {self.device}"

    @property
    def xp(self) -> Namespace:
        """The array-API namespace, the one that ``namespace(x)`` gives for this backend's arrays."""
        return LIBRARIES[self.name].xp()

    def active(self) -> contextlib.AbstractContextManager:
        """A context in which new arrays go to this device: CuPy's creation functions ignore ``device=``."""
        library = LIBRARIES[self.name]
        return library.active(library.handle(self.device))

    def asarray(self, x: Any, dtype: str | None = None) -> Array:
        """``x``, an array of any library or Python numbers, as an array of this backend.

        Floats become ``self.dtype``, integers and bools keep their kind; an explicit ``dtype`` overrides both. What
        crosses from library to library goes through host memory and is copied; what fits already is returned as it is.
        Raises TypeError for complex numbers and for whatever is no number.
        """
        library = LIBRARIES[self.name]
        handle = library.handle(self.device)
        with library.active(handle):
            if not library.owns(x):
                return library.put(self._cast(np, _host(x), dtype), handle)
            if library.where(x) not in (self.device, ""):
                x = array_api_compat.to_device(x, handle)
            return self._cast(library.xp(), x, dtype)

    def copy(self, x: Any) -> Array:
        """What ``asarray`` makes of x, in memory of its own."""
        there = self.asarray(x)
        with self.active():
            return self.xp.asarray(there, copy=True)

    def to_numpy(self, x: Array) -> np.ndarray:
        """``x`` as a NumPy array: itself if it is one, else a writeable copy."""
        return _host(x)

    def check(self, x: Any, what: str = "x") -> None:
        """Raise BackendError unless ``x`` is this library's, on this device, and of ``dtype``, integers or bools."""
        library = LIBRARIES[self.name]
        fix = f"use backend.asarray({what})"
        if not library.owns(x):
            raise BackendError(f"`{what}` is {_describe(x)}, the model is {self}: {fix}")
        if library.where(x) not in (self.device, ""):
            raise BackendError(f"`{what}` is on {library.where(x)}, the model is {self}: {fix}")
        if library.objection(x):
            raise BackendError(f"`{what}` {library.objection(x).format(what=what)}")
        xp = library.xp()
        if x.dtype == getattr(xp, self.dtype) or xp.isdtype(x.dtype, ("bool", "integral")):
            return
        if not xp.isdtype(x.dtype, "real floating"):
            fix = "give real numbers (of complex ones, the two parts as two features)"
        raise BackendError(f"`{what}` is of dtype {x.dtype}, the model is {self} in {self.dtype}: {fix}")

    def looks(self, x: Any) -> tuple | None:
        """All of x that ``check`` looks at, and its shape; None for what it refuses as another library's."""
        library = LIBRARIES[self.name]
        return (library.where(x), x.dtype, x.shape, library.objection(x)) if library.owns(x) else None

    def _cast(self, xp: Namespace, x: Array, dtype: str | None) -> Array:
        """``x`` in ``dtype``, or by kind where that is None; an array of the namespace ``xp``."""
        floats = xp.isdtype(x.dtype, "real floating")
        if not floats and not xp.isdtype(x.dtype, ("bool", "integral")):
            raise TypeError(f"a model takes real numbers and bools, not an array of {x.dtype}")
        dtype = dtype or (self.dtype if floats else None)
        if dtype is None or x.dtype == getattr(xp, dtype):
            return x
        LIBRARIES[self.name].check_dtype(dtype)
        return xp.astype(x, getattr(xp, dtype))


class Status(NamedTuple):
    """What became of trying a backend; ``reason`` and ``remedy`` say why it cannot be used and what fixes that."""

    name: str
    usable: bool
    device: str = ""
    version: str = ""
    reason: str = ""
    remedy: str = ""


def backend(spec: str | Backend = "numpy", dtype: str | None = None) -> Backend:
    """The backend for "numpy", "cupy", "cupy:1", "torch", "torch:cuda:1", "torch:meta" (shapes only), "jax", "jax:gpu",
    "array_api_strict:device1" or "auto" (a usable GPU through CuPy, else NumPy); ``dtype`` is "float32" unless given.

    It is tried with a small product on the device. Raises BackendError with what was found and what fixes it.
    """
    if isinstance(spec, Backend):
        if dtype is None or dtype == spec.dtype:
            return spec
        return replace(spec, device=_try(LIBRARIES[spec.name], spec.device, _float(dtype)), dtype=dtype)
    if not isinstance(spec, str):
        raise TypeError(f"a backend is named by a string such as 'numpy' or 'cupy:0', not by {_describe(spec)}")
    dtype = _float("float32" if dtype is None else dtype)
    if spec == "auto":
        return _auto(dtype)
    name, _, device = spec.partition(":")
    if name not in LIBRARIES:
        raise BackendError(f"there is no backend {spec!r}", f"choose one of {', '.join(LIBRARIES)} or auto")
    return Backend(name, _try(LIBRARIES[name], device, dtype), dtype)


def available() -> list[Status]:
    """Each backend with its default device, tried in float32. Never raises; imports every library that is installed."""
    statuses = []
    for name, library in LIBRARIES.items():
        try:
            statuses.append(Status(name, True, _try(library, "", "float32"), library.version(), library.found()))
        except BackendError as error:
            statuses.append(Status(name, False, reason=error.reason, remedy=error.remedy))
    return statuses


def to_device(tree: Any, target: str | Backend) -> Any:
    """The tree with every array moved to the backend ``target`` by its ``asarray``."""
    return trees.map(backend(target).asarray, tree)


def to_numpy(tree: Any) -> Any:
    """The tree with every array, of whatever library, as a NumPy array."""
    return trees.map(_host, tree)


def _auto(dtype: str) -> Backend:
    try:
        chosen = backend("cupy", dtype)
    except BackendError as error:
        logger.info("backend 'auto' is NumPy, because CuPy cannot be used: %s", error)
        return backend("numpy", dtype)
    logger.info("backend 'auto' is %s: a small product on it succeeded", chosen)
    return chosen


def _try(library: Library, device: str, dtype: str) -> str:
    """Compute a small product on the device and return the device's full name; BackendError if anything fails."""
    asked = f"backend {':'.join(filter(None, (library.name, device)))!r} cannot be used"
    if importlib.util.find_spec(library.module) is None:
        found = filter(None, (f"{library.title} is not installed", library.found()))
        raise BackendError(f"{asked}: {'; '.join(found)}", library.remedy(""))
    try:
        handle = library.handle(device)
        with library.active(handle):
            x = library.put(np.full((2, 2), 2.0, dtype), handle)
            y = library.xp().matmul(x, x) + 1
            right = library.where(y) == "meta" or np.array_equal(library.get(y), np.full((2, 2), 9.0))
    except BackendError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        found = filter(None, (text, library.found()))
        raise BackendError(f"{asked}: {'; '.join(found)}", library.remedy(text)) from error
    if not right:
        raise BackendError(f"{asked}: it computes wrong numbers", library.remedy("wrong numbers"))
    return library.where(y)


def _float(dtype: Any) -> str:
    """``dtype`` if it names a supported precision."""
    if not isinstance(dtype, str):
        raise TypeError(f"dtype is 'float32' or 'float64', as a string, not {dtype!r}")
    if dtype not in FLOATS:
        raise ValueError(f"dtype is 'float32' or 'float64', not {dtype!r}")
    return dtype


def _host(x: Any) -> np.ndarray:
    """``x``, an array of any library or Python numbers, as a NumPy array."""
    for library in LIBRARIES.values():
        if library.owns(x):
            return library.get(x)
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError("a masked array has values that do not count: fill them, and pass the mask as the mask")
    x = np.asarray(x)
    # ml_dtypes adds bfloat16 to NumPy from outside, so NumPy does not know that it is a float.
    return x.astype(np.float32) if x.dtype.name == "bfloat16" else x


def _describe(x: Any) -> str:
    """What ``x`` is, in words: "a NumPy array on cpu", "a list"."""
    for library in LIBRARIES.values():
        if library.owns(x):
            noun = f"{library.title} array on {library.where(x)}"
            return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
    return f"a {type(x).__name__}"
