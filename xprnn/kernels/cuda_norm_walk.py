"""How the kernel for the layer-normalized LSTM comes from step to step: what a walk is given, and what it leaves."""

from typing import Any, NamedTuple, Protocol

from ..types import Array
from .cuda_job import Job, Kind
from .cuda_walk import Wanted

KIND = Kind("Normalized", 4)


class Tape(NamedTuple):
    """What the walk back needs.

    x:     (T·B, D). mask and reverse: as given.
    h, c:  the T + 1 states (T + 1, B, H); step t stands between the states t and t + 1, whichever way it is walked.
    seen:  h as the products see it, where that differs from h.
    gates: i f g o of each step, (T, B, 4H). v: h Wh, like them.
    norms: (T, B, 4), mean and rate 1 / √(σ² + ε) of each row of v, and those of the c after the step.
    """

    x: Array
    mask: Array | None
    reverse: bool
    h: Array
    c: Array
    seen: Array | None
    gates: Array
    v: Array | None
    norms: Array | None


class Gains(NamedTuple):
    """The cell's own parameters, dense, as arguments of a kernel; bc is a null pointer where there are no biases."""

    gx: Array
    gh: Array
    gc: Array
    bc: Any
    epsilon: float


class Cotangents(NamedTuple):
    """Those of the gates' sums and of v, (T, B, 4H), and of what is bent to h, (T, B, H); 0 where the mask is."""

    dz: Array
    dv: Array
    dm: Array


class NormWalk(Protocol):
    """A way from the first state to the last and back again, any number of steps T ≥ 1; cf. ``cuda_walk.Walk``."""

    @property
    def runs(self) -> str:
        """What it runs and its name as a kernel, in words: "kernel='NAME' runs ..."."""

    def refusal(self, wanted: Wanted) -> str:
        """What it met there that it does not run, in words that follow "not"; "" if it runs there and back."""

    def there(self, work: Job, gains: Gains, tape: Tape, ys: Array | None) -> None:
        """Walk from the first step, or, where ``tape.reverse``, from the last.

        tape.gates: what x drives, with its norm and the bias; then i f g o, but for steps that the mask leaves out.
        tape.h, c, seen: T + 1 states where the walk back follows, else one; the first is filled, and they all are then.
        tape.v, norms:   undefined, and filled then; None where no walk back follows.
        ys:         dense (T, B, H), undefined, and all outputs then; None where the states are the outputs, or nobody
                    wants them.
        """

    def back(
        self, work: Job, gains: Gains, tape: Tape, dys: Array | None, ds: tuple, d: Cotangents
    ) -> tuple[Array, Array]:
        """Walk back over what ``there`` has left -> the cotangents of the first state: new arrays, dense (B, H).

        dys: (T, B, H) with any strides, which count nothing where the mask is False; None: zero.
        ds:  the cotangents of the last state, (B, H) each with any strides; not to be written.
        d:   undefined, and filled then.
        """
