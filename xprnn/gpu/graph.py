"""What CuPy's current GPU has to do, recorded once as a CUDA graph and done again at one request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .cublas import Blas


def record(blas: Blas, function: Callable[[], None]) -> Callable[[], None]:
    """A function that does on the current stream what ``function`` does, once more; both live as long.

    ``function`` launches kernels and multiplies with ``blas``, in memory that is there, and is called twice: what is
    loaded or compiled at its first use may not be loaded while it is recorded.
    """
    import cupy

    blas.on(cupy.cuda.get_current_stream())
    function()
    stream = cupy.cuda.Stream(non_blocking=True)
    blas.on(stream)
    with stream:
        stream.begin_capture()
        try:
            function()
        finally:
            graph = stream.end_capture()

    def replay(held: tuple = (blas, function)) -> None:
        graph.launch()

    return replay


@dataclass(frozen=True)
class CuPyMark:
    """A ``Mark`` by an event."""

    event: Any

    def wait(self) -> None:
        """Let the current stream wait."""
        import cupy

        cupy.cuda.get_current_stream().wait_event(self.event)

    def finish(self) -> None:
        """Let this thread wait."""
        self.event.synchronize()


def mark() -> CuPyMark:
    """Where the current stream is now."""
    import cupy

    event = cupy.cuda.Event(disable_timing=True)
    event.record()
    return CuPyMark(event)
