"""A stream beside the current one, on which a part of the work is done at the same time as the rest."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .cublas import Blas
from .graph import CuPyMark, mark

T = TypeVar("T")


class Lane:
    """A stream with a handle of cuBLAS of its own: what one handle is asked on two streams may differ in its last bits.

    What is made on it CuPy takes from memory that the stream alone is given, and so nobody else's.
    """

    def __init__(self) -> None:
        import cupy

        self.stream = cupy.cuda.Stream(non_blocking=True)
        self.blas = Blas()
        self.blas.on(self.stream)

    def run(self, function: Callable[[], T]) -> tuple[T, CuPyMark]:
        """What ``function`` gives with this stream as the current one, and where it ends there."""
        start = mark()
        with self.stream:
            start.wait()
            try:
                return function(), mark()
            except BaseException:
                self.stream.synchronize()  # whoever held its arrays lets go of them now
                raise


class Lanes(threading.local):
    """The lanes of a thread, one for each GPU, and the one that it is on."""

    def __init__(self) -> None:
        self.made: dict[int, Lane] = {}
        self.current: Lane | None = None

    def run(self, number: int, function: Callable[[], T]) -> tuple[T, Any]:
        """What ``function`` gives on the lane of that GPU, and where it ends there."""
        outside = self.current
        self.current = lane = self.made.get(number) or self.made.setdefault(number, Lane())
        try:
            return lane.run(function)
        finally:
            self.current = outside
