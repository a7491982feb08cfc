"""How the kernel for GPUs comes from step to step: what a walk is given, and what it leaves.

All products that need no state are made around the walk, for all steps at once; it has what is left of the cell.
"""

from typing import Any, NamedTuple, Protocol

from ..cells.base import Cell
from ..gpu import Device
from ..types import Array
from .cuda_job import Job, Kind


class Tape(NamedTuple):
    """What the walk back needs.

    x:     (T·B, D), its features as they are stored. mask and reverse: as given.
    h, c:  the T + 1 states (T + 1, B, H); step t stands between the states t and t + 1, whichever way it is walked.
    seen:  h as the products see it, where that differs from h. reset: r ⊙ h of each step, where a product takes it.
    saved: what the steps left of their gates, (T, B, columns·H).
    """

    x: Array
    mask: Array | None
    reverse: bool
    h: Array
    c: Array | None
    seen: Array | None
    reset: Array | None
    saved: Array | None


class Wanted(NamedTuple):
    """What a walk is asked for: a cell, which the sources have as ``kind``, on B rows of numbers of a dtype."""

    device: Device
    cell: Cell
    kind: Kind
    dtype: Any
    precision: str
    storage: str | None
    B: int


class Walk(Protocol):
    """A way from the first state to the last and back again, any number of steps T ≥ 1.

    Both ways run at the end of what the device has to do, and read ``work``: Wh and the biases, peepholes and dropout's
    multipliers, dense and None where there are none, how precisely to multiply, the kernels and room. A mask (T, B, 1),
    which may lie with any strides, is False where a row has no step: the state stays, its output is 0, and so are the
    cotangents of its sums. No sum is made in an order that could change from run to run.
    """

    @property
    def runs(self) -> str:
        """What it runs and its name as a kernel, in words: "kernel='NAME' runs ..."."""

    def refusal(self, wanted: Wanted) -> str:
        """What it met there that it does not run, in words that follow "not"; "" if it runs there and back."""

    def there(self, work: Job, tape: Tape, ys: Array | None) -> None:
        """Walk from the first step, or, where ``tape.reverse``, from the last.

        tape.saved: dense; x's part of the sums, without biases, in the columns from ``first_drive``·H on, and what
                    zoneout does behind the sums; the rest is undefined.
        tape.h, c:  dense. T + 1 states where the walk back follows, the first (of number 0, or T in reverse) filled;
                    one state where none follows, filled. c is None where the cell has none.
        tape.seen:  like h, and filled like it: h ⊙ keep as it is stored; None where that is h itself.
        tape.reset: like h with T steps, or one; undefined. None unless ``kind.late``.
        ys:         dense (T, B, H), undefined; None where the states are the outputs, or nobody wants them.

        It leaves the other states in h, c and seen: where there is one, the last state in its place, so that the next
        part of the steps goes on from it. Where there are T + 1 it leaves in saved and reset what ``Cell::forward``
        leaves for the way back, but for steps that the mask leaves out; where there is one, whatever it likes. ys has
        all outputs. Nothing else is written.
        """

    def back(self, work: Job, tape: Tape, Wh: Array, dys: Array | None, ds: tuple, d: Array) -> tuple:
        """Walk back over what ``there`` has left, from the last step it made to its first -> the cotangents of the
        first state: new arrays, dense (B, H).

        Wh:  as the cell has it, (H, G), of any layout; ``work.Wh`` is the same as it is stored.
        dys: (T, B, H) with any strides, the cotangents of the outputs, which count nothing where the mask is False;
             None: zero.
        ds:  the cotangents of the last state, (B, H) each with any strides; not to be written.
        d:   dense (T, B, columns·H), undefined; what it leaves there is all that ``Cell::backward`` says of the sums.
        """
