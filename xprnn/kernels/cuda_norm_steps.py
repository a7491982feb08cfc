"""The layer-normalized LSTM by steps: one product and one launch each, a block of threads for each row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from ..gpu import Launch, real
from ..types import Array
from .cuda_job import Job, dense, or_null
from .cuda_norm_walk import Cotangents, Gains, Tape
from .cuda_walk import Wanted

MOST = 256
"""The threads of a block, which has a row, at most."""


@dataclass(frozen=True)
class NormSteps:
    """The ``NormWalk`` of any size, on any GPU."""

    runs: ClassVar[str] = "kernel='norm' runs LayerNormLSTM in float32 and float64"

    def refusal(self, wanted: Wanted) -> str:
        """Nothing is refused."""
        return ""

    def there(self, work: Job, gains: Gains, tape: Tape, ys: Array | None) -> None:
        """As ``NormWalk`` says."""
        T, (_, B, H) = tape.gates.shape[0], tape.h.shape
        product = work.empty(B, 4 * H)
        multiply = work.multiply.each(tape.h if tape.seen is None else tape.seen, work.Wh, product)
        run, width = launcher(work)("norm_step"), threads(H)
        given = (tape.gates, product, or_null(tape.v), or_null(tape.norms), *gains[1:4], or_null(work.keep))
        states = (*work.strided(tape.mask), tape.h, tape.c, or_null(tape.seen), or_null(ys))
        for t in range(T)[:: -1 if tape.reverse else 1]:
            before, after = (t + 1, t) if tape.reverse else (t, t + 1)
            if tape.v is None:
                before = after = 0
            multiply(before)
            run(B, width, (t, before, after, B, H, gains.epsilon, *given, *states))

    def back(
        self, work: Job, gains: Gains, tape: Tape, dys: Array | None, ds: tuple, d: Cotangents
    ) -> tuple[Array, Array]:
        """As ``NormWalk`` says."""
        T, B, H = d.dm.shape
        dh, dc = (dense(work.device, a) for a in ds)
        new_dh, new_dc, through = (work.empty(B, H) for _ in range(3))
        multiply = work.multiply.each(d.dv, work.Wh.T, through)
        run, width, arriving = launcher(work)("norm_step_back"), threads(H), 0
        given = (tape.gates, or_null(tape.v), or_null(tape.norms), *gains[1:4], or_null(work.keep))
        states = (*work.strided(tape.mask), tape.c, *work.strided(dys))
        for t in range(T)[:: 1 if tape.reverse else -1]:
            now, after = (t + 1, t) if tape.reverse else (t, t + 1)
            run(B, width, (t, now, after, B, H, *given, *states, arriving, dh, new_dh, dc, new_dc, *d))
            multiply(t)
            arriving, dh, dc = through, new_dh, new_dc
        work.add_through(new_dh, through, new_dh)
        return new_dh, new_dc


def threads(H: int) -> int:
    """Of a block: a power of two, whole warps, with a thread for each unit while that is not too many."""
    return min(MOST, max(32, 1 << (H - 1).bit_length()))


def launcher(work: Job) -> Callable[[str], Launch]:
    """The kernels of norm.cu by name."""
    defines = *real(work.Wh), ("THREADS", str(threads(work.Wh.shape[0])))
    return lambda name: work.device.kernel("norm.cu", name, defines)
