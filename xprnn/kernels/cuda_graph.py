"""A walk by recorded steps: so many at a time are one request to the GPU, and not two and more each.

A recording is of places in memory, so what steps read is moved into its buffers, and what they leave out of them: the
parameters once a walk, the rest once for the steps of a recording. Steps that fill none are made one by one.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ..types import Array
from .cuda_job import Job
from .cuda_recorded import PARAMETERS, recorded_back, recorded_there
from .cuda_recordings import Recordings
from .cuda_steps import STEPS
from .cuda_walk import Tape, Wanted


@dataclass(frozen=True)
class Graph:
    """The ``Walk`` of all that ``Steps`` takes, with fewer requests and more memory.

    steps:      how many a recording has.
    recordings: those that were made, one for each size, dtype, precision, way, kind of cell and stream; they hold the
                memory until they give place to others, or until ``recordings.clear()``.
    """

    steps: int = 64
    recordings: Recordings = field(default_factory=Recordings)
    runs: ClassVar[str] = "kernel='graph' runs all that the kernel for GPUs takes, recorded once and done again"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"a recording has one step or more, not {self.steps}")

    def refusal(self, wanted: Wanted) -> str:
        """Nothing."""
        return ""

    def there(self, work: Job, tape: Tape, ys: Array | None) -> None:
        """As ``Walk`` says."""
        whole, rest = cuts(tape.saved.shape[0], self.steps, tape.reverse)  # type: ignore[union-attr]
        if whole:
            first = _part(tape, whole[0]), _cut(ys, whole[0])
            key = _key("there", work, *first)
            with self.recordings.using(work.device, key, lambda: recorded_there(work, *first)) as recording:
                recording.begin(work)
                for cut in whole:
                    recording.run(_part(tape, cut), _cut(ys, cut))
        if rest is not None:
            STEPS.there(work, _part(tape, rest), _cut(ys, rest))

    def back(self, work: Job, tape: Tape, Wh: Array, dys: Array | None, ds: tuple, d: Array) -> tuple:
        """As ``Walk`` says."""
        whole, rest = cuts(d.shape[0], self.steps, not tape.reverse)
        if whole:
            packed = replace(work, Wh=work.packed(Wh))
            first = _part(tape, whole[0]), _cut(dys, whole[0]), ds, _cut(d, whole[0])
            key = _key("back", packed, first[0], first[1])
            with self.recordings.using(work.device, key, lambda: recorded_back(packed, *first)) as recording:
                recording.begin(packed)
                for cut in whole:
                    ds = recording.run(_part(tape, cut), _cut(dys, cut), ds, _cut(d, cut))
        return ds if rest is None else STEPS.back(work, _part(tape, rest), Wh, _cut(dys, rest), ds, _cut(d, rest))


def cuts(T: int, size: int, down: bool) -> tuple[list[slice], slice | None]:
    """T steps in the order in which they are walked, up or down: as many whole parts as there are, and what is left."""
    count = T // size
    if down:
        return [slice(T - (n + 1) * size, T - n * size) for n in range(count)], slice(0, T % size) if T % size else None
    return [slice(n * size, (n + 1) * size) for n in range(count)], slice(count * size, T) if T % size else None


def _part(tape: Tape, cut: slice) -> Tape:
    """The tape of some of its steps."""
    if tape.h.shape[0] == 1:
        return tape._replace(saved=_cut(tape.saved, cut), mask=_cut(tape.mask, cut))
    states = slice(cut.start, cut.stop + 1)
    h, c, seen = (_cut(a, states) for a in (tape.h, tape.c, tape.seen))
    reset, saved, mask = (_cut(a, cut) for a in (tape.reset, tape.saved, tape.mask))
    return tape._replace(mask=mask, h=h, c=c, seen=seen, reset=reset, saved=saved)


def _cut(a: Array | None, cut: slice) -> Array | None:
    return None if a is None else a[cut, ...]


def _key(way: str, work: Job, tape: Tape, other: Array | None) -> Hashable:
    """What two walks have in common that the same recording serves."""
    arrays = (*(getattr(work, name) for name in PARAMETERS), *tape[3:], tape.mask, other)
    places = tuple(None if a is None else (a.shape, a.dtype.char) for a in arrays)
    return way, work.device, work.device.place(), work.kind, work.precision, work.storage, tape.reverse, places
