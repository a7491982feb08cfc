"""The layer-normalized LSTM in one launch, by clusters as in ``cuda_cluster`` that make the norms together."""

from dataclasses import dataclass
from typing import ClassVar

from ..gpu import Defines
from ..types import Array
from .cuda_cluster import ARCHITECTURE, packed
from .cuda_job import Job, dense, or_null
from .cuda_norm_walk import Cotangents, Gains, Tape
from .cuda_tiling import BACK, MOST_UNITS, THERE, Plan, Tiling, plan, product, tiling
from .cuda_walk import Wanted

FORWARD, BACKWARD = "cluster_norm_forward.cu", "cluster_norm_backward.cu"
GAINS = 6
"""The numbers that all rows of a unit share: its gains, and what is added to its normalized memory."""


@dataclass(frozen=True)
class NormCluster:
    """The ``NormWalk`` in float32, up to 512 units; other ways of dividing them than the table's can be given."""

    forward: Tiling | None = None
    backward: Tiling | None = None

    runs: ClassVar[str] = (
        f"kernel='cluster' runs LayerNormLSTM in float32 of up to {MOST_UNITS} units on GPUs of compute capability 9.0 "
        "and later"
    )

    def refusal(self, wanted: Wanted) -> str:
        """The first of the dtype, the size and the GPU that it does not run; "" if none."""
        architecture = wanted.device.architecture()
        met = {
            str(wanted.dtype): wanted.dtype.char != "f",
            f"{wanted.cell.hidden} units": wanted.cell.hidden > MOST_UNITS,
            f"compute capability {architecture / 10}": architecture < ARCHITECTURE,
        }
        return next((words for words, refused in met.items() if refused), "")

    def there(self, work: Job, gains: Gains, tape: Tape, ys: Array | None) -> None:
        """As ``NormWalk`` says."""
        (T, B, _), (states, _, H) = tape.gates.shape, tape.h.shape
        way = self.forward or tiling(THERE, work.precision, H, B)
        ours = plan_there(way, work.precision, work.defines, H)
        weights = packed(work, FORWARD, "pack_forward", ours, way.cluster)
        run = work.device.kernel(FORWARD, "cluster_norm_forward", ours.defines, ours.shared)
        v, norms, keep, seen, y = map(or_null, (tape.v, tape.norms, work.keep, tape.seen, ys))
        left = (weights, tape.gates, v, norms, *gains[1:4], keep, *work.strided(tape.mask), tape.h, tape.c, seen, y)
        blocks = way.cluster * -(-B // way.rows)
        run(blocks, ours.threads, (T, B, H, int(tape.reverse), int(states > 1), gains.epsilon, *left))

    def back(
        self, work: Job, gains: Gains, tape: Tape, dys: Array | None, ds: tuple, d: Cotangents
    ) -> tuple[Array, Array]:
        """As ``NormWalk`` says."""
        T, B, H = d.dm.shape
        way = self.backward or tiling(BACK, work.precision, H, B)
        ours = plan_back(way, work.precision, work.defines, H)
        weights = packed(work, BACKWARD, "pack_backward", ours, way.cluster)
        run = work.device.kernel(BACKWARD, "cluster_norm_backward", ours.defines, ours.shared)
        dh, dc = (dense(work.device, a) for a in ds)
        before = work.empty(B, H), work.empty(B, H)
        v, norms, keep = map(or_null, (tape.v, tape.norms, work.keep))
        states = (*work.strided(tape.mask), tape.h, tape.c, *work.strided(dys), dh, dc, *d, *before)
        arguments = (weights, tape.gates, v, norms, *gains[1:4], keep, *states)
        run(way.cluster * -(-B // way.rows), ours.threads, (T, B, H, int(tape.reverse), *arguments))
        return before


def plan_there(way: Tiling, precision: str, cell: Defines, H: int) -> Plan:
    """The launch of cluster_norm_forward.cu."""
    units = way.units(H)
    made = product(way, precision, 4 * units, way.cluster * units)
    return plan(way, precision, cell, units, made, 2 * way.rows * made.pitch + made.partial + _own_room(way, units))


def plan_back(way: Tiling, precision: str, cell: Defines, H: int) -> Plan:
    """The launch of cluster_norm_backward.cu."""
    units = way.units(H)
    made = product(way, precision, way.cluster * units, 4 * units)
    parts = 2 * way.cluster * units * way.rows
    return plan(way, precision, cell, units, made, way.rows * made.pitch + made.partial + parts + _own_room(way, units))


def _own_room(way: Tiling, units: int) -> int:
    """Words for what all rows share, and for two barriers and two exchanges of two numbers of each group of units."""
    groups = way.cluster * units // min(32, units & -units)
    return GAINS * units + 4 + 4 * way.rows * groups
