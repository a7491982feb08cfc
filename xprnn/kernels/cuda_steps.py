"""A walk by steps: one product with Wh and one launch for all that a step does besides; two of each in some cells.

What a walk needs for itself is made before its first step, so that the steps alone can be recorded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ..gpu import grid
from ..types import Array
from .cuda_job import Job, dense, or_null
from .cuda_walk import Tape, Wanted


@dataclass(frozen=True)
class Steps:
    """The ``Walk`` of any cell, size, dtype, precision and storage that the kernel for GPUs takes."""

    runs: ClassVar[str] = "kernel='cuda' runs all that the kernel for GPUs takes"

    def refusal(self, wanted: Wanted) -> str:
        """Nothing."""
        return ""

    def there(self, work: Job, tape: Tape, ys: Array | None) -> None:
        """As ``Walk`` says."""
        steps_there(work, tape, ys)()

    def back(self, work: Job, tape: Tape, Wh: Array, dys: Array | None, ds: tuple, d: Array) -> tuple:
        """As ``Walk`` says."""
        ds = tuple(dense(work.device, a) for a in ds)
        before = tuple(work.empty(*a.shape) for a in ds)
        steps_back(work, tape, work.packed(Wh), dys, ds, before, d)()
        return before


STEPS = Steps()


def steps_there(work: Job, tape: Tape, ys: Array | None) -> Callable[[], None]:
    """What makes all steps, in room that is made now."""
    (T, B, _), (states, _, H), late = tape.saved.shape, tape.h.shape, work.kind.late  # type: ignore[union-attr]
    keeps, edge, saved = states > 1, late * H, tape.saved
    product = work.empty(B, edge or work.Wh.shape[1])
    sums = work.empty(B, H) if late else product
    multiply = work.multiply.each(tape.h if tape.seen is None else tape.seen, work.Wh[:, : product.shape[1]], product)
    multiply_late = work.multiply.each(tape.reset, work.Wh[:, edge:], sums) if late else None
    run, begin = work.kernel("forward_step"), work.kernel("reset_step") if late else None
    bx, bh, Wc, keep, c, seen, y = map(or_null, (work.bx, work.bh, work.Wc, work.keep, tape.c, tape.seen, ys))
    arguments = (saved, sums, bx, bh, Wc, keep, *work.strided(tape.mask), tape.h, c, seen, y)
    size = grid(B * H)

    def steps() -> None:
        before, after, at = 0, 0, 0
        for t in range(T)[:: -1 if tape.reverse else 1]:
            if keeps:
                before, after, at = (t + 1, t, t) if tape.reverse else (t, t + 1, t)
            multiply(before)
            if begin is not None and multiply_late is not None:
                begin(*size, (t, before, at, B, H, saved, product, bx, bh, keep, tape.h, tape.reset))
                multiply_late(at)
            run(*size, (t, before, after, B, H, int(keeps), *arguments))

    return steps


def steps_back(
    work: Job, tape: Tape, packed: Array, dys: Array | None, ds: tuple, before: tuple, d: Array
) -> Callable[[], None]:
    """What makes all steps back, in room that is made now, to the cotangents of the first state in ``before``.

    packed: Wh with its blocks of columns in the order of the gates. ds, before: dense.
    """
    (T, B, _), H, late = d.shape, tape.h.shape[2], work.kind.late
    run, end = work.kernel("backward_step"), work.kernel("reset_step_back") if late else None
    edge, size = late * H, grid(B * H)
    width = edge or packed.shape[1]
    through = work.empty(B, H)
    multiply = work.multiply.each(d[:, :, :width], packed[:, :width].T, through, bool(late))
    multiply_late = work.multiply.each(d[:, :, edge : packed.shape[1]], packed[:, edge:].T, through) if late else None
    saved, Wc, keep, c = map(or_null, (tape.saved, work.Wc, work.keep, tape.c))
    fixed = (saved, Wc, keep, *work.strided(tape.mask), tape.h, c, *work.strided(dys))
    new_dh, new_dc = _pair(before)

    def steps() -> None:
        arriving: Any = 0
        dh, dc = _pair(ds)
        for t in range(T)[:: 1 if tape.reverse else -1]:
            old, new = (t + 1, t) if tape.reverse else (t, t + 1)
            run(*size, (t, old, new, B, H, *fixed, arriving, dh, new_dh, dc, new_dc, d))
            if end is not None and multiply_late is not None:
                multiply_late(t)
                end(*size, (t, old, B, H, saved, keep, tape.h, through, d))
            multiply(t)
            arriving, dh, dc = through, new_dh, new_dc
        work.add_through(new_dh, through, new_dh)

    return steps


def _pair(leaves: tuple) -> tuple:
    """h and c of a state, a null pointer where there is no c."""
    return leaves if len(leaves) == 2 else (*leaves, 0)
