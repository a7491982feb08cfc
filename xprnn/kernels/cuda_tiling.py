"""How the blocks of a cluster divide a recurrent layer, and the room that this takes; see cluster_tile.cuh."""

from typing import NamedTuple

from ..gpu import PRECISIONS, Defines

MOST_UNITS = 512
AT_ONCE = 128
"""The blocks that are taken to be on a GPU at once: of 132 multiprocessors some belong to no whole cluster."""


class Tiling(NamedTuple):
    """Who does what.

    cluster: blocks with a share of the units each; more than 8 are not on every GPU.
    rows:    of the batch, for one cluster; a multiple of 8 unless products are exact.
    split:   parts of each sum of a product, made by threads of their own.
    tiles:   of 16 sums each, for one warp; exact products have none.
    held:    pieces of 4 words of weights in the registers of a thread, a multiple of 4; the rest is in shared memory.
    """

    cluster: int
    rows: int
    split: int
    tiles: int = 2
    held: int = 16

    def units(self, H: int) -> int:
        """The units of a block, some of which may be there only to fill it up."""
        return 8 * _up(H, 8 * self.cluster)


Tilings = dict[str, dict[int, tuple[Tiling, ...]]]
"""For each precision and up to so many units the tilings for ever more rows."""

THERE: Tilings = {
    "highest": {
        128: (Tiling(4, 1, 8), Tiling(4, 4, 8), Tiling(4, 8, 8)),
        256: (Tiling(8, 1, 16), Tiling(8, 4, 16), Tiling(8, 8, 16)),
        512: (Tiling(16, 1, 16), Tiling(16, 4, 16), Tiling(16, 8, 16)),
    },
    "high": {
        128: (Tiling(4, 8, 4), Tiling(4, 16, 4)),
        256: (Tiling(8, 8, 4), Tiling(8, 16, 4)),
        512: (Tiling(16, 8, 4),),
    },
    "medium": {
        128: (Tiling(4, 8, 4), Tiling(4, 16, 4)),
        256: (Tiling(8, 8, 4), Tiling(8, 16, 4)),
        512: (Tiling(16, 8, 4), Tiling(16, 16, 4)),
    },
}
"""Chosen by registers and shared memory, and measured nowhere yet."""

BACK: Tilings = {
    "highest": {
        128: (Tiling(4, 1, 8), Tiling(4, 4, 8), Tiling(4, 8, 8)),
        256: (Tiling(8, 1, 8), Tiling(8, 4, 8), Tiling(8, 8, 8)),
        512: (Tiling(16, 1, 4), Tiling(16, 4, 4), Tiling(16, 8, 2, held=32)),
    },
    "high": {
        128: (Tiling(4, 8, 2, 1), Tiling(4, 16, 2, 1)),
        256: (Tiling(8, 8, 2), Tiling(8, 16, 2)),
        512: (Tiling(16, 8, 2, 4),),
    },
    "medium": {
        128: (Tiling(4, 8, 2, 1), Tiling(4, 16, 2, 1)),
        256: (Tiling(8, 8, 2), Tiling(8, 16, 2)),
        512: (Tiling(16, 8, 2, 4), Tiling(16, 16, 1)),
    },
}
"""The same of the way back."""


def tiling(table: Tilings, precision: str, H: int, B: int) -> Tiling:
    """That of the fewest rows of which all B are on the GPU at once, or else that of the most rows."""
    *smaller, most = next(some for most_units, some in table[precision].items() if most_units >= H)
    return next((t for t in smaller if t.cluster * _up(B, t.rows) <= AT_ONCE), most)


class Product(NamedTuple):
    """What a product of cluster_tile.cuh takes.

    workers: threads that multiply. packed: pieces of weights of a block, and rest: those of them in shared memory.
    pitch:   words from one row of operands to the next. partial: numbers that the parts of all sums are.
    """

    workers: int
    packed: int
    rest: int
    pitch: int
    partial: int


def product(t: Tiling, precision: str, outputs: int, terms: int) -> Product:
    """The product of so many outputs, sums of so many terms each, for each row."""
    if precision == "highest":
        groups, fours = _up(outputs, 4), _up(terms, 4 * t.split)
        workers, pieces, pitch, width = groups * t.split, 4 * fours, 4 * fours * t.split, 4 * groups
    else:
        groups, sixteens = _up(outputs, 16 * t.tiles), _up(terms, (32 if precision == "medium" else 16) * t.split)
        workers, pieces, words = groups * t.split * 32, sixteens * 2 * t.tiles, 16 * sixteens * t.split
        pitch, width = words + 16 * (words % 32 == 0), 16 * t.tiles * groups + 4
    rest = (pieces - min(pieces, t.held)) * workers
    return Product(workers, pieces * workers, rest, pitch, t.split * t.rows * width)


class Plan(NamedTuple):
    """A launch: how the source is compiled, and a block's threads, bytes of shared memory and pieces of weights."""

    defines: Defines
    threads: int
    shared: int
    packed: int


def plan(t: Tiling, precision: str, cell: Defines, units: int, made: Product, numbers: int) -> Plan:
    """The launch of a kernel that makes a product, and has so many words in shared memory besides weights."""
    threads = 32 * _up(max(made.workers, units * t.rows), 32)
    shared = 16 + 4 * numbers + 16 * made.rest
    values = {
        "CLUSTER": t.cluster, "UNITS": units, "ROWS": t.rows, "THREADS": threads, "SPLIT": t.split, "TILES": t.tiles,
        "PRECISION": PRECISIONS.index(precision), "IN_REGISTERS": t.held, "PACKED_WORDS": made.packed,
        "SHARED_BYTES": shared,
    }  # fmt: skip
    return Plan((*cell, *((name, str(value)) for name, value in values.items())), threads, shared, made.packed)


def _up(n: int, by: int) -> int:
    return -(-n // by)
