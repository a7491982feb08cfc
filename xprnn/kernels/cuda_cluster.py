"""A walk in one launch: a cluster of blocks for each slice of the batch keeps the weights on the chip and passes h on.

The way back does the same with parts of the cotangent of h. For GPUs of compute capability 9.0 and later.
"""

from dataclasses import dataclass
from typing import ClassVar

from ..cells import Zoneout
from ..gpu import grid
from ..gpu.device import Defines
from ..types import Array
from .cuda_job import Job, Kind, dense, or_null
from .cuda_tiling import BACK, MOST_UNITS, THERE, Plan, Tiling, plan, product, tiling
from .cuda_walk import Tape, Wanted

PLAIN = ("Elman<Tanh>", "Elman<Relu>", "Elman<Identity>", "Memory<false>", "Memory<true>", "Gated")
CELLS = (*PLAIN, *(f"Zoned<{cell}>" for cell in PLAIN))
ARCHITECTURE = 90


@dataclass(frozen=True)
class Cluster:
    """The ``Walk`` of the cells whose steps take one product, in float32, up to 512 units; any other way of dividing
    them than that of the table can be given.
    """

    forward: Tiling | None = None
    backward: Tiling | None = None

    runs: ClassVar[str] = (
        "kernel='cluster' runs RNN, LSTM, PeepholeLSTM and GRU, and zoneout of these but the peephole LSTM, in float32 "
        f"of up to {MOST_UNITS} units on GPUs of compute capability 9.0 and later"
    )

    def refusal(self, wanted: Wanted) -> str:
        """The first of the cell, the dtype, the storage, the size and the GPU that it does not run; "" if none."""
        architecture = wanted.device.architecture()
        cell = wanted.cell.cell if isinstance(wanted.cell, Zoneout) else wanted.cell
        met = {
            type(cell).__name__: wanted.kind.cell not in CELLS,
            str(wanted.dtype): wanted.dtype.char != "f",
            f"storage {wanted.storage!r}": wanted.storage is not None,
            f"{wanted.cell.hidden} units": wanted.cell.hidden > MOST_UNITS,
            f"compute capability {architecture / 10}": architecture < ARCHITECTURE,
        }
        return next((words for words, refused in met.items() if refused), "")

    def there(self, work: Job, tape: Tape, ys: Array | None) -> None:
        """As ``Walk`` says."""
        (T, B, _), (states, _, H) = tape.saved.shape, tape.h.shape  # type: ignore[union-attr]
        way = self.forward or tiling(THERE, work.precision, H, B)
        ours = plan_there(way, work.precision, work.kind, work.defines, H)
        weights = packed(work, "cluster_forward.cu", "pack_forward", ours, way.cluster)
        run = work.device.kernel("cluster_forward.cu", "cluster_forward", ours.defines, ours.shared)
        bx, bh, Wc, keep, c, seen, y = map(or_null, (work.bx, work.bh, work.Wc, work.keep, tape.c, tape.seen, ys))
        arguments = (weights, tape.saved, bx, bh, Wc, keep, *work.strided(tape.mask), tape.h, c, seen, y)
        blocks = way.cluster * -(-B // way.rows)
        run(blocks, ours.threads, (T, B, H, int(tape.reverse), int(states > 1), *arguments))

    def back(self, work: Job, tape: Tape, Wh: Array, dys: Array | None, ds: tuple, d: Array) -> tuple:
        """As ``Walk`` says."""
        (T, B, _), H = d.shape, tape.h.shape[2]
        way = self.backward or tiling(BACK, work.precision, H, B)
        ours = plan_back(way, work.precision, work.kind, work.defines, H)
        weights = packed(work, "cluster_backward.cu", "pack_backward", ours, way.cluster)
        run = work.device.kernel("cluster_backward.cu", "cluster_backward", ours.defines, ours.shared)
        before = tuple(work.empty(B, H) for _ in ds)
        (dh, dc), (new_dh, new_dc) = ((*leaves, 0)[:2] for leaves in ((dense(work.device, a) for a in ds), before))
        saved, Wc, keep, c = map(or_null, (tape.saved, work.Wc, work.keep, tape.c))
        states = (*work.strided(tape.mask), tape.h, c, *work.strided(dys))
        arguments = (weights, saved, Wc, keep, *states, dh, dc, d, new_dh, new_dc)
        run(way.cluster * -(-B // way.rows), ours.threads, (T, B, H, int(tape.reverse), *arguments))
        return before


def plan_there(way: Tiling, precision: str, kind: Kind, cell: Defines, H: int) -> Plan:
    """The launch of cluster_forward.cu."""
    units = way.units(H)
    made = product(way, precision, (kind.sums - kind.first_drive) * units, way.cluster * units)
    fixed = kind.sums + 3 * (kind.cell == "Memory<true>")
    return plan(way, precision, cell, units, made, 2 * way.rows * made.pitch + made.partial + fixed * units)


def plan_back(way: Tiling, precision: str, kind: Kind, cell: Defines, H: int) -> Plan:
    """The launch of cluster_backward.cu."""
    units = way.units(H)
    made = product(way, precision, way.cluster * units, (kind.sums - kind.first_drive) * units)
    parts = 2 * way.cluster * units * way.rows
    return plan(way, precision, cell, units, made, way.rows * made.pitch + made.partial + parts)


def packed(work: Job, file: str, name: str, ours: Plan, cluster: int) -> Array:
    """Wh in the order in which the threads of all blocks of a cluster want it, by that kernel of a source."""
    pieces = cluster * ours.packed
    out = work.device.empty((pieces, 4), "uint32")
    run = work.device.kernel(file, name, ours.defines)
    run(*grid(pieces), (work.Wh.shape[0], work.Wh, out))
    return out
