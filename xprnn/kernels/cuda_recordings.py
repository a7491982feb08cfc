"""Recordings of steps, and where they are kept: not more than so many, for whoever holds the object to see and free."""

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..gpu import Device, Mark
from ..types import Array


class Used(NamedTuple):
    """A recording, with its ``buffers``, and where its last use ends."""

    recording: Any
    end: Mark


class Recordings:
    """The recordings of a walk, the one used last at the end; beyond ``limit``, the one at the front goes.

    ``nbytes`` is what their buffers hold, ``clear`` frees all. Threads may share them: each uses one at a time, and a
    use begins on the GPU where the last one has ended, on whatever stream that was.
    """

    def __init__(self, limit: int = 8) -> None:
        if limit < 1:
            raise ValueError(f"there is room for one recording or more, not for {limit}")
        self.limit = limit
        self._kept: dict[Hashable, Used] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def buffers(self) -> list[Array]:
        """What the recordings work in."""
        return [a for used in self._kept.values() for a in used.recording.buffers]

    @property
    def nbytes(self) -> int:
        """The bytes of all buffers."""
        return sum(a.nbytes for a in self.buffers)

    def clear(self) -> None:
        """Free all, when the GPU has done with them."""
        with self._lock:
            while self._kept:
                self._drop()

    @contextmanager
    def using(self, device: Device, key: Hashable, make: Callable[[], Any]) -> Iterator[Any]:
        """The recording of that key, for whom it then belongs to alone; ``make`` makes it where there is none."""
        with self._lock:
            used = self._kept.pop(key, None)
            recording = make() if used is None else used.recording
            if used is not None:
                used.end.wait()
            try:
                yield recording
            finally:
                self._kept[key] = Used(recording, device.mark())
                while len(self._kept) > self.limit:
                    self._drop()

    def _drop(self) -> None:
        first = next(iter(self._kept))
        self._kept[first].end.finish()  # its memory is another's from here on
        del self._kept[first]
