"""What the library asks of an array library: to name its devices, be filled from host memory and emptied into it."""

import contextlib
import importlib
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from ..types import Array, Namespace


class BackendError(RuntimeError):
    """A backend that cannot be used, or an array that is not the backend's; ``remedy`` says what fixes it."""

    @property
    def reason(self) -> str:
        """What was asked for and what was found."""
        return self.args[0]

    @property
    def remedy(self) -> str:
        """The command or call that fixes it, "" where there is none."""
        return self.args[1] if len(self.args) > 1 else ""

    def __str__(self) -> str:
        return f"{self.reason}\nTo fix it: {self.remedy}" if self.remedy else self.reason


NOTHING = contextlib.nullcontext()
"""A context that may be entered any number of times: it keeps nothing."""


class Library(ABC):
    """One array library. A device is a string, its handle what the library wants: "cuda:0" and cupy.cuda.Device(0)."""

    name: ClassVar[str]
    title: ClassVar[str]
    module: ClassVar[str]
    install: ClassVar[str]

    @abstractmethod
    def owns(self, x: Any) -> bool:
        """Whether ``x`` is an array of this library."""

    @abstractmethod
    def handle(self, device: str) -> Any:
        """The library's own device for ``device``, its default one for ""; the library's own error if there is none."""

    @abstractmethod
    def where(self, x: Array) -> str:
        """The device of ``x`` as a string that ``handle`` takes; "" if only a later run knows it (JAX tracers)."""

    @abstractmethod
    def put(self, x: np.ndarray, handle: Any) -> Array:
        """``x`` on a device, in memory of its own."""

    @abstractmethod
    def get(self, x: Array) -> np.ndarray:
        """``x`` on the host, writeable."""

    def remedy(self, problem: str) -> str:
        """What fixes ``problem``, the library's own error text, or "" where it is not installed."""
        return "" if problem else self.install

    def active(self, handle: Any) -> contextlib.AbstractContextManager:
        """A context in which new arrays go to the device, for libraries that ignore ``device=``."""
        return NOTHING

    def check_dtype(self, dtype: str) -> None:  # noqa: B027 (most libraries have nothing to refuse)
        """Raise BackendError if the library would quietly give another dtype."""

    def objection(self, x: Array) -> str:
        """Why an array of this library cannot be computed with, and the call that fixes it; "" where it can."""
        return ""

    def found(self) -> str:
        """What is worth knowing about the installation, for error messages."""
        return ""

    def xp(self) -> Namespace:
        """The array-API namespace, imported on demand."""
        return importlib.import_module(f"array_api_compat.{self.module}")

    def version(self) -> str:
        """The version of the installed library."""
        return importlib.import_module(self.module).__version__


def fresh(x: np.ndarray) -> np.ndarray:
    """A copy that every library can take over: writeable, aligned, in C order and of native byte order."""
    return np.array(x, dtype=x.dtype.newbyteorder("="), order="C", copy=True)
