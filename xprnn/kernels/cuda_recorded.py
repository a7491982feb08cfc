"""Steps as they are recorded: the buffers they work in, what is moved there before they are done again, and back."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from ..gpu import Product
from ..types import Array
from .cuda_job import Job, moved
from .cuda_steps import steps_back, steps_there
from .cuda_walk import Tape

PARAMETERS = ("Wh", "bx", "bh", "Wc", "keep")
"""What of a job its steps read."""


class There(NamedTuple):
    """So many steps there: their parameters in ``work``, states, mask and gates in ``tape``, all of them buffers."""

    work: Job
    tape: Tape
    ys: Array | None
    buffers: list[Array]
    replay: Callable[[], None]

    def begin(self, work: Job) -> None:
        """Take the parameters of a walk."""
        _begin(self.work, work)

    def run(self, tape: Tape, ys: Array | None) -> None:
        """Do the steps from this tape and to it, like a walk."""
        mine, states = self.tape, self.tape.h.shape[0]
        keeps = states > 1
        first = slice(states - 1, states) if tape.reverse else slice(0, 1)
        new = slice(0, states - keeps) if tape.reverse else slice(keeps, states)
        pairs = [(tape.h, mine.h), (tape.c, mine.c), (tape.seen, mine.seen)]
        pairs = [(theirs, ours) for theirs, ours in pairs if ours is not None]
        _move(self.work, ((theirs[first, ...], ours[first, ...]) for theirs, ours in pairs))
        _move(self.work, [(tape.saved, mine.saved), (tape.mask, mine.mask)])
        self.replay()
        _move(self.work, ((ours[new, ...], theirs[new, ...]) for theirs, ours in pairs))
        left = [(mine.saved, tape.saved), (mine.reset, tape.reset)] if keeps and self.work.kind.saves else []
        _move(self.work, [*left, (self.ys, ys)])


class Back(NamedTuple):
    """So many steps back, likewise; ``work.Wh`` has its blocks in the order of the gates."""

    work: Job
    tape: Tape
    dys: Array | None
    ds: tuple
    before: tuple
    d: Array
    buffers: list[Array]
    replay: Callable[[], None]

    def begin(self, work: Job) -> None:
        """Take the parameters of a walk."""
        _begin(self.work, work)

    def run(self, tape: Tape, dys: Array | None, ds: tuple, d: Array) -> tuple:
        """Do the steps from this tape into d, like a walk -> the cotangents of the first state, new arrays."""
        mine = self.tape
        _move(self.work, [(tape.h, mine.h), (tape.c, mine.c), (tape.saved, mine.saved), (tape.mask, mine.mask)])
        _move(self.work, [(dys, self.dys), *zip(ds, self.ds, strict=True)])
        self.replay()
        _move(self.work, [(self.d, d)])
        return tuple(moved(self.work.device, a, self.work.empty(*a.shape)) for a in self.before)


def recorded_there(work: Job, tape: Tape, ys: Array | None) -> There:
    """A recording of all steps of arrays like these."""
    made: list[Array] = []
    own, states, outputs = _own(work, made), _copy(work, tape, made), _like(work, ys, made)

    def bind(product: Product) -> Callable[[], None]:
        return steps_there(replace(own, multiply=product), states, outputs)

    return There(own, states, outputs, made, work.device.record(bind, work.precision))


def recorded_back(work: Job, tape: Tape, dys: Array | None, ds: tuple, d: Array) -> Back:
    """A recording of all steps back."""
    made: list[Array] = []
    own, states = _own(work, made), _copy(work, tape._replace(seen=None, reset=None), made)
    above, sums = _like(work, dys, made), _like(work, d, made)
    after, before = (tuple(_like(work, a, made) for a in ds) for _ in range(2))

    def bind(product: Product) -> Callable[[], None]:
        return steps_back(replace(own, multiply=product), states, own.Wh, above, after, before, sums)

    return Back(own, states, above, after, before, sums, made, work.device.record(bind, work.precision))


def _begin(own: Job, work: Job) -> None:
    _move(own, [(getattr(work, name), getattr(own, name)) for name in PARAMETERS])


def _move(work: Job, pairs: Iterable[tuple[Array | None, Array | None]]) -> None:
    for a, out in pairs:
        if a is not None and out is not None:
            moved(work.device, a, out)


def _own(work: Job, made: list[Array]) -> Job:
    """The job with buffers for its parameters, and without those that steps do not read."""
    buffers: dict[str, Any] = {name: _like(work, getattr(work, name), made) for name in PARAMETERS}
    return replace(work, Wx=None, **buffers)


def _copy(work: Job, tape: Tape, made: list[Array]) -> Tape:
    """The tape with buffers for its arrays, and without x."""
    names = "mask", "h", "c", "seen", "reset", "saved"
    buffers: dict[str, Any] = {name: _like(work, getattr(tape, name), made) for name in names}
    return tape._replace(x=None, **buffers)


def _like(work: Job, a: Array | None, made: list[Array]) -> Array | None:
    """A buffer for arrays like a, dense, which joins those that were made."""
    if a is None:
        return None
    made.append(work.device.empty(a.shape, a.dtype))
    return made[-1]
