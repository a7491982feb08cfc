"""Bugs of timing and of places put into the launches of the cluster walk: what it computes, or the emulation, tells."""

from dataclasses import replace
from itertools import cycle
from typing import NamedTuple

import numpy as np
import pytest
from emulation import MISSING, Emulated
from subjects import SIZED

from xprnn.backend import backend
from xprnn.kernels import cuda, loop
from xprnn.kernels.cuda_cluster import Cluster
from xprnn.kernels.cuda_tiling import Tiling
from xprnn.testing import Case, compare

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

THERE, BACK = "cluster_forward.cu", "cluster_backward.cu"
TOLERANCES = {"highest": 2e-6, "high": 5e-3, "medium": 5e-2}
# Two blocks of 16 units for 27, two clusters of rows for 6; several warps, of which some only multiply, parts of sums,
# and weights in both places.
WALKS = {
    "highest": Cluster(Tiling(2, 4, 6, held=4), Tiling(2, 4, 12, held=4)),
    "high": Cluster(Tiling(2, 8, 2, 1, held=4), Tiling(2, 8, 2, 1, held=4)),
    "medium": Cluster(Tiling(2, 8, 1, 1), Tiling(2, 8, 1, 1)),
}
HARDER = {"reverse": True, "padding": "holes", "dropout": 0.4}


class Bug(NamedTuple):
    """In a file each ``old`` becomes its ``new``."""

    file: str
    edits: tuple[tuple[str, str], ...]
    cell: str = "LSTM"
    precision: str = "highest"


def bug(file, old, new, *more, **seen_with):
    texts = (old, new, *more)
    return Bug(file, tuple(zip(texts[::2], texts[1::2], strict=True)), **seen_with)


TIMING = {
    "no wait on the way there": bug(THERE, "        if (n > 0) exchange.await(n - 1);\n", ""),
    "no wait on the way back": bug(BACK, "            if (n > 0) exchange.await(n - 1);\n", ""),
    "no wait for the last exchange": bug(BACK, "    exchange.await(T - 1);\n", ""),
    "wrong parity there": bug(THERE, "n >> 1 & 1", "n & 1"),
    "wrong parity back": bug(BACK, "n >> 1 & 1", "~n >> 1 & 1"),
    "a barrier not made ready again": bug(
        BACK, "        if (threadIdx.x == 0) barrier_expect(arrived + (n & 1), bytes);\n", ""
    ),
    "a barrier made ready by all": bug(
        THERE, "if (threadIdx.x == 0) barrier_expect(arrived + (n & 1)", "barrier_expect(arrived + (n & 1)"
    ),
    "a barrier made ready before the wait": bug(
        BACK,
        "        barrier_wait(arrived + (n & 1), n >> 1 & 1);\n", "",
        "barrier_expect(arrived + (n & 1), bytes);\n",
        "barrier_expect(arrived + (n & 1), bytes);\n        barrier_wait(arrived + (n & 1), n >> 1 & 1);\n",
    ),
    "barriers begun after the meeting": bug(
        BACK,
        "    if (threadIdx.x == 0) exchange.begin();\n", "",
        "    cluster_meet();\n",
        "    cluster_meet();\n    if (threadIdx.x == 0) exchange.begin();\n    __syncthreads();\n",
    ),
    "a wait of one thread for all": bug(THERE, "        barrier_wait(", "        if (threadIdx.x == 0) barrier_wait("),
    "a barrier of some threads": bug(
        BACK,
        "        }\n        __syncthreads();\n        if (n + 1 < T)",
        "            __syncthreads();\n        }\n        if (n + 1 < T)",
    ),
    "a barrier of a warp": bug(
        BACK, "        __syncthreads();\n        spread", "        __syncwarp();\n        spread"
    ),
    "one barrier for both buffers": bug(BACK, "room.arrived + (n & 1)", "room.arrived"),
    "a barrier that others do not know": bug(BACK, "        barrier_fence();\n", ""),
    "one buffer there": bug(
        THERE,
        "room.seen[1 - here], room.partial", "room.seen[1], room.partial",
        "room.seen[here], room.arrived", "room.seen[1], room.arrived",
    ),
    "one buffer back": bug(
        BACK,
        "room.parts[n & 1]", "room.parts[0]",
        "room.parts[(n - 1) & 1]", "room.parts[0]",
        "room.parts[(T - 1) & 1]", "room.parts[0]",
    ),
    "sums read before they are there": bug(
        THERE, "        __syncthreads();\n        if (threadIdx.x >= ALL)", "        if (threadIdx.x >= ALL)"
    ),
    "gates read before they are there": bug(
        BACK, "        __syncthreads();\n        if (n + 1 < T)", "        if (n + 1 < T)"
    ),
    "sums sent before they are there": bug(BACK, "        __syncthreads();\n        spread", "        spread"),
    "no meeting before the first push there": bug(THERE, "    cluster_meet();\n", "    __syncthreads();\n"),
    "no meeting before the first push back": bug(BACK, "    cluster_meet();\n", "    __syncthreads();\n"),
    "pushed to the wrong block there": bug(THERE, "push16(place, arrived, to,", "push16(place, arrived, rank,"),
    "pushed to the wrong block back": bug(BACK, "arrived, unit / UNITS,", "arrived, (unit / UNITS + 1) % CLUSTER,"),
    "too few bytes there": bug(THERE, "ROWS * HIDDEN / IN_WORD * 4}", "ROWS * UNITS / IN_WORD * 4}"),
    "too few bytes back": bug(BACK, "HIDDEN * ROWS * sizeof(Real)}", "HIDDEN * ROWS * 2}"),
    "too many bytes": bug(BACK, "HIDDEN * ROWS * sizeof(Real)}", "(HIDDEN * ROWS + 4) * sizeof(Real)}"),
}  # fmt: skip
PLACES = {
    "parts of a sum left out": bug(THERE, "part < SPLIT; ++part", "part < SPLIT - 1; ++part"),
    "a block's part left out": bug(BACK, "rank < CLUSTER; ++rank) sum", "rank < CLUSTER - 1; ++rank) sum"),
    "parts in each other's place": bug(BACK, "&parts[rank][row", "&parts[unit / UNITS][row"),
    "weights in each other's place": bug(
        BACK, "room[(n - HELD) * WORKERS +", "room[(n - HELD) / 4 * 4 * WORKERS + (3 - n % 4) * WORKERS +"
    ),
    "rows beyond the end there": bug(THERE, "b < all.B && ", ""),
    "rows beyond the end back": bug(BACK, "b < all.B && ", ""),
    "units beyond the end there": bug(THERE, "there(j < all.H && ", "there("),
    "units beyond the end back": bug(BACK, " && j < all.H", ""),
    "weights beyond the end": bug(BACK, "unit < H && output < H;", "output < H;"),
    "gates beyond the end": bug(BACK, "n < ROWS * Through::PITCH; n +=", "n < 0; n +="),
    "order of terms": bug(THERE, "which % 2 * 2 + word / 2", "word / 2 * 2 + which % 2", precision="high"),
    "order of rows in a tile": bug(BACK, "lane / 4 + word % 2 * 8", "lane / 4 + word / 2 * 8", precision="high"),
    "halves of a word there": bug(THERE, "__shfl_xor_sync(0xffffffffu, seen, 1)", "seen", precision="medium"),
    "halves of a word back": bug(BACK, "[term % IN_WORD]", "[0]", precision="medium"),
    "order of gates there": bug(THERE, "from * UNITS + at.unit)", "k * UNITS + at.unit)", cell="GRU"),
    "order of gates back": bug(BACK, "Cell::recurrent(block)) * H", "block) * H", cell="GRU"),
    "mask ignored there": bug(THERE, "h = real ? q.h : h;", "h = q.h;"),
    "mask ignored back": bug(BACK, "        if (!real) return;\n", ""),
    "mask of another step": bug(THERE, "own.ask(all, at, all.step(n + 1))", "own.ask(all, at, t)"),
    "keep ignored there": bug(THERE, "own.h * own.kept", "own.h"),
    "keep ignored back": bug(BACK, "q.carry += through * keep", "q.carry += through"),
    "keep ignored at the end": bug(BACK, "q.carry + through * keep", "q.carry + through"),
    "keep ignored at the first state": bug(THERE, "(all.keep ? all.keep[i] : Real(1))", "1"),
    "carried twice": bug(BACK, "        q.carry = 0;\n", ""),
    "first state in reverse": bug(THERE, "before == (reverse != 0)", "before == false"),
    "last state in reverse": bug(BACK, "(all.reverse ? 0 : all.T)", "all.T"),
    "state before in reverse": bug(BACK, "(t + (all.reverse != 0))", "t", cell="GRU"),
    "strides of dys ignored": bug(
        BACK, "all.dy[t * all.dy_step + b * all.dy_row + j]", "all.dy[(t * all.B + b) * all.H + j]"
    ),
}  # fmt: skip
BUGS = TIMING | PLACES


def found(cell, precision, edits=()):
    """What is wrong with the walk, in words, or None."""
    kernel = cuda.CUDA(precision, walk=WALKS[precision])
    return seen(SIZED[cell](27), 6, kernel, edits, TOLERANCES[precision])


def seen(cell, batch, kernel, edits, tolerance):
    """What is wrong with a kernel, in words, or None: some bugs of timing are seen in one run of three."""
    runs = [Case(cell, steps=5, batch=batch, **setting) for setting in ({}, HARDER)]
    first = {}
    for seed, (n, (case, a, wanted)) in zip(range(12), cycle(enumerate([(case, *drawn(case)) for case in runs]))):
        there = replace(kernel, device=Emulated(seed, edits))
        try:
            met = replace(case, backend=backend("numpy", "float32"), kernel=there).both(a)
            compare.close("bugs", case, met, wanted, tolerance)
            compare.identical("schedules", case, met, first.setdefault(n, met))
        except (AssertionError, RuntimeError) as problem:
            return str(problem)
    return None


def drawn(case):
    """Inputs in float32, with dys laid out otherwise, and what the loop makes of them in float64."""
    a = case.draw()
    a = a._replace(p={name: v if name == "keep" else 0.4 * v for name, v in a.p.items()})
    placed = replace(case, backend=backend("numpy", "float32")).place(a)
    turned = np.ascontiguousarray(placed.dys.swapaxes(0, 1)).swapaxes(0, 1)
    return placed._replace(dys=turned), replace(case, kernel=loop).run(a)


@pytest.mark.parametrize("name", BUGS)
def test_it_is_seen(name):
    file, edits, cell, precision = BUGS[name]
    assert found(cell, precision, tuple((file, old, new) for old, new in edits))


@pytest.mark.parametrize("cell, precision", sorted({(bug.cell, bug.precision) for bug in BUGS.values()}))
def test_there_is_nothing_to_see_without(cell, precision):
    assert found(cell, precision) is None
