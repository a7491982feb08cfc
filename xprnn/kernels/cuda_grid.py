"""A walk of all steps in one launch on the whole of a GPU: each block keeps its part of Wh on the chip.

Blocks tell each other by flags how far they are. All must be on the GPU at once: where they are not, the walk is
refused, and where one is lost all the same, the others give up after some time and the walk ends in an error.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from ..gpu import Defines, Device, grid
from ..types import Array
from .cuda_job import Job, Kind, dense, or_null
from .cuda_walk import Tape, Wanted

CELLS = ("Elman<Tanh>", "Elman<Relu>", "Elman<Identity>", "Memory<false>", "Memory<true>", "Gated")
ZONED = tuple(f"Zoned<{cell}>" for cell in CELLS)
PRECISIONS = {"highest": 0, "high": 1, "medium": 2}
MOST_UNITS = 1280
UNITS = 8, 10, 12, 16
"""How many units a block may have: the first number with which all blocks are on the GPU at once is taken."""
BASE = 1 << 16
"""As in grid.cuh."""


class Way(NamedTuple):
    """One way of a walk, there or back, as its launches are cut; ``grid.cuh`` says what the numbers are."""

    file: str
    name: str
    defines: Defines
    blocks: int
    rows: int
    warps: int
    length: int
    tiles: int
    shared: int

    def room(self, device: Device) -> int:
        """How many of the blocks are on the device at once."""
        return device.room(self.file, self.name, self.defines, 32 * self.warps, self.shared)


@dataclass(frozen=True)
class Grid:
    """The ``Walk`` of the whole GPU.

    units: how many units each block has; None for the first of ``UNITS`` that the GPU has room for.
    rows:  the most rows of the batch, a power of 2 from 8 on, that are walked together; others wait until these end.
    warps: the most warps of a block. held: the most fragments of the weights in the registers of a thread.
    limit: how often a flag is read before it is given up: a few seconds.
    """

    units: int | None = None
    rows: int = 32
    warps: int = 8
    held: int = 32
    limit: int = 1 << 22
    runs: ClassVar[str] = (
        "kernel='grid' runs RNN, LSTM, PeepholeLSTM and GRU, and zoneout of them, in float32 without storage, "
        f"of up to {MOST_UNITS} units, on GPUs of compute capability 8.0 and later with room for all its blocks at once"
    )

    def __post_init__(self) -> None:
        if self.rows not in (8, 16, 32, 64):
            raise ValueError(f"rows is 8, 16, 32 or 64, not {self.rows}")
        units = self.units or max(UNITS)
        if units * 8 > 32 * self.warps:
            raise ValueError(f"8 rows of {units} units take {units // 4} warps or more, not {self.warps}")

    def refusal(self, wanted: Wanted) -> str:
        """As ``Walk`` says."""
        cell, generation = wanted.cell, wanted.device.architecture()
        if wanted.kind.cell not in CELLS + ZONED:
            return str(cell)
        if wanted.dtype.char != "f" or wanted.storage is not None:
            return wanted.storage or str(wanted.dtype)
        if cell.hidden > MOST_UNITS:
            return f"{cell.hidden} units"
        if generation < 80:
            return f"compute capability {generation / 10}"
        fitting = self._fitting(wanted.device, wanted.kind, wanted.precision, cell.hidden, wanted.B)
        return "" if fitting else self._no_room(wanted)

    def there(self, work: Job, tape: Tape, ys: Array | None) -> None:
        """As ``Walk`` says."""
        bx, bh, Wc, keep, c, seen, y = map(or_null, (work.bx, work.bh, work.Wc, work.keep, tape.c, tape.seen, ys))
        given = (int(tape.h.shape[0] > 1), tape.saved, bx, bh, Wc, keep, *work.strided(tape.mask), tape.h, c, seen, y)
        self._run(work, 0, tape.saved.shape[0], tape, given)  # type: ignore[union-attr]

    def back(self, work: Job, tape: Tape, Wh: Array, dys: Array | None, ds: tuple, d: Array) -> tuple:
        """As ``Walk`` says."""
        saved, Wc, keep, c = map(or_null, (tape.saved, work.Wc, work.keep, tape.c))
        before = tuple(work.empty(*a.shape) for a in ds)
        ends = (*_pair(tuple(dense(work.device, a) for a in ds)), *_pair(before))
        fixed = saved, Wc, keep, *work.strided(tape.mask), tape.h, c, *work.strided(dys)
        self._run(work, 1, d.shape[0], tape, (*fixed, *ends, d))
        return before

    def _run(self, work: Job, which: int, T: int, tape: Tape, given: tuple) -> None:
        """Launch one way for all rows, so many at a time as it is cut for; RuntimeError if a flag is lost."""
        device, (_, B, H) = work.device, tape.h.shape
        way = self._fitting(device, work.kind, work.precision, H, B)[which]
        parts = -(-B // way.rows)
        packed = device.empty((way.blocks * way.tiles * 8 * way.length,), "uint32")
        rooms = device.empty((parts, 2 * way.rows * way.length), "uint32")
        flags, lost = (device.empty((parts, way.blocks), dtype) for dtype in ("uint32", "int64"))
        begin = device.kernel(way.file, "grid_begin", way.defines)
        run = device.kernel(way.file, way.name, way.defines, way.shared, together=True)
        size = grid(max(packed.size, rooms.size, flags.size))
        begin(*size, (H, way.blocks, work.Wh, packed, rooms.size, rooms, flags.size, flags, lost))
        for n in range(parts):
            exchange = packed, rooms[n, ...], flags[n, ...], lost[n, ...], self.limit
            run(way.blocks, 32 * way.warps, (T, B, n * way.rows, H, int(tape.reverse), *exchange, *given))
        _check(way.name, device.read(lost), T, self.limit)

    def _fitting(self, device: Device, kind: Kind, precision: str, H: int, B: int) -> tuple[Way, ...]:
        """Both ways, with the first number of units for which the device has room; () if it has for none."""
        for ways in self.ways(kind, precision, H, B):
            if all(way.room(device) >= way.blocks for way in ways):
                return ways
        return ()

    def ways(self, kind: Kind, precision: str, H: int, B: int) -> Iterator[tuple[Way, ...]]:
        """There and back, for each number of units that a block may have."""
        for units in UNITS if self.units is None else (self.units,):
            yield tuple(self._way(kind, precision, H, B, units, back) for back in (False, True))

    def _way(self, kind: Kind, precision: str, H: int, B: int, units: int, back: bool) -> Way:
        """One way with so many units for each block."""
        blocks, recurrents, number = -(-H // units), kind.sums - kind.first_drive, PRECISIONS[precision]
        share, outputs = (recurrents * units, units) if back else (units, recurrents * units)
        numbers, tiles = 32 if number == 2 else 16, -(-outputs // 8)
        rows = 1 if B == 1 and number == 0 else 8
        while rows < min(B, self.rows) and 2 * rows * units <= 32 * self.warps:
            rows *= 2
        # A warp has work of its own, or there is none; but each unit of a row has a thread.
        warps = min(self.warps, max(-(-blocks * share // numbers), -(-units * rows // 32)))
        chunks = -(-blocks * share // (numbers * warps))
        left = max(0, chunks * tiles - self.held)
        shared = 16 + 4 * warps * rows * (tiles * 8 | 8) + 512 * left * warps
        cut = {"PRECISION": number, "UNITS": units, "ROWS": rows, "WARPS": warps, "CHUNKS": chunks, "HELD": self.held}
        defines = ("CELL", kind.cell), ("REAL", "float"), ("STORED", "0"), *((name, str(n)) for name, n in cut.items())
        name = "grid_backward" if back else "grid_forward"
        return Way(f"{name}.cu", name, defines, blocks, rows, warps, 16 * chunks * warps, tiles, shared)

    def _no_room(self, wanted: Wanted) -> str:
        *_, ways = self.ways(wanted.kind, wanted.precision, wanted.cell.hidden, wanted.B)
        way = min(ways, key=lambda way: way.room(wanted.device) - way.blocks)
        blocks = f"{way.blocks} blocks of {32 * way.warps} threads and {way.shared} bytes of shared memory"
        room = f"of which this GPU has room for {way.room(wanted.device)} at once"
        return f"{wanted.cell.hidden} units in {blocks}, {room}"


def _check(name: str, lost: list[list[int]], T: int, limit: int) -> None:
    """RuntimeError with the first wait that was given up, if there is one."""
    waits = [(wait // BASE, wait % BASE, block) for part in lost for block, wait in enumerate(part) if wait]
    if waits:
        step, awaited, block = min(waits)
        raise RuntimeError(
            f"{name}: block {block} waited for step {step} of {T} of block {awaited} and has read its flag {limit} "
            "times in vain: the results are no good; kernel='cuda' waits for no flags"
        )


def _pair(leaves: tuple) -> tuple:
    """h and c of a state, a null pointer where there is no c."""
    return leaves if len(leaves) == 2 else (*leaves, 0)
