"""Bugs of synchronisation and of places put into the walk of the whole GPU: the checks see each of them."""

import importlib.util
import sys
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from emulation import MISSING, Emulated

from xprnn import cells
from xprnn.backend import backend
from xprnn.gpu.sources import source
from xprnn.kernels import cuda, cuda_grid, loop
from xprnn.testing import Case, compare

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

CUT = {"units": 8, "rows": 8, "warps": 2, "held": 2, "limit": 1000}
SEEDS = range(4)


class Bug(NamedTuple):
    """``old`` in a file becomes ``new``; it should be seen with a precision, on a GPU with room for so many blocks."""

    file: str
    old: str
    new: str
    precision: str = "highest"
    blocks: int = 132


THERE, BACK, HOST = "grid_forward.cu", "grid_backward.cu", "cuda_grid"
BUGS = {
    # Who waits for whom.
    "a flag that is never raised": Bug(THERE, "if (threadIdx.x == 0) flag_raise", "if (threadIdx.x > 99) flag_raise"),
    "a flag of one block that is never raised": Bug(
        BACK, "if (threadIdx.x == 0) flag_raise", "if (threadIdx.x == 0 && blockIdx.x < 2) flag_raise"
    ),
    "a flag raised before all have put": Bug(
        THERE,
        "        __syncthreads();\n        if (threadIdx.x == 0) flag_raise",
        "        if (threadIdx.x == 0) flag_raise",
    ),
    "a flag raised before the room is filled": Bug(
        THERE, "        if (owns) all.put(n + 1, local, unit, q.h * factor);\n        all.give(n + 1);\n",
        "        all.give(n + 1);\n        if (owns) all.put(n + 1, local, unit, q.h * factor);\n",
    ),
    "a flag raised a round ahead": Bug(
        BACK, "static_cast<unsigned>(round + 1));\n    }", "static_cast<unsigned>(round + 2));\n    }"
    ),
    "waiting for the round before": Bug(
        BACK, "wanted = static_cast<unsigned>(round + 1)", "wanted = static_cast<unsigned>(round)"
    ),
    "not waiting": Bug(THERE, "if (!await(all, round)) *failed = 1;", "__syncwarp();"),
    "not waiting for the last of those who give": Bug(THERE, "block <= end && block", "block < end && block"),
    "a lane that waits for all others alone": Bug(
        BACK, "        __syncwarp();\n        return there;", "        return there;"
    ),
    "one room for all rounds": Bug(THERE, "rooms + (round & 1) * ROWS * LENGTH", "rooms"),
    "sums looked at before they are there": Bug(
        THERE, "        __syncthreads();\n        return !*failed;", "        return !*failed;"
    ),
    "flags of the rows before": Bug(HOST, "flags[n, ...]", "flags[0, ...]"),
    "a lost flag that nobody is told of": Bug(HOST, "if waits:", "if not waits:"),
    "blocks of which not all have room": Bug(HOST, ">= way.blocks for way", "> 0 for way", blocks=2),
    # What is where.
    "rooms that begin with anything": Bug(THERE, "rooms[i] = 0", "rooms[i] = 0x7fc00000"),
    "rows beyond the last": Bug(THERE, "const bool owns = local < rows && unit < H", "const bool owns = unit < H"),
    "units beyond the last": Bug(BACK, "const bool owns = local < rows && unit < H", "const bool owns = local < rows"),
    "the first rows again": Bug(BACK, "within, row = first + local;", "within, row = local;"),
    "weights of another gate": Bug(BACK, "from = k % SHARE / UNITS;", "from = k / UNITS % Cell::recurrents / 2;"),
    "weights turned round": Bug(
        THERE, "Wh[(k * Cell::recurrents + from) * H + unit]", "Wh[(unit * Cell::recurrents + from) * H + k]"
    ),
    "cotangents of another gate": Bug(BACK, "SHARE + from * UNITS + within", "SHARE + (from ^ 1) * UNITS + within"),
    "a fragment of another tile": Bug(THERE, "chunk * tiles + tile;", "tile * CHUNKS + chunk;"),
    "weights beyond the registers a place off": Bug(
        BACK, "rest[(n - held) * THREADS];\n    }", "rest[(n - held + 1) * THREADS];\n    }"
    ),
    "the wrong half of the sums": Bug(THERE, "return high ? half : 0;", "return high ? 0 : half;"),
    "sums of a warp left out": Bug(BACK, "for (int n = 0; n < WARPS; ++n) sum", "for (int n = 1; n < WARPS; ++n) sum"),
    "a slice that begins with the next": Bug(
        THERE, "warp() * WORDS + lane() % 4 * 4", "(warp() ^ 1) * WORDS + lane() % 4 * 4"
    ),
    "bands mixed up": Bug(BACK, "{low.x, high.x, low.y, high.y}", "{high.x, low.x, high.y, low.y}", "high"),
    "sums of the columns of a tile": Bug(THERE, "lane() % 4 * 2 + e % 2", "lane() % 4 * 2 + 1 - e % 2", "medium"),
    "numbers of half a word": Bug(
        BACK, "word_of(weight(k), weight(k + 1))", "word_of(weight(k + 1), weight(k))", "medium"
    ),
    # The step.
    "dropout forgotten": Bug(THERE, "all.put(n + 1, local, unit, q.h * factor)", "all.put(n + 1, local, unit, q.h)"),
    "dropout forgotten on the way back": Bug(
        BACK,
        "carry += weights.sum(local, within) * factor;\n        }",
        "carry += weights.sum(local, within);\n        }",
    ),
    "the step after": Bug(BACK, "Index place = (t * B + row)", "Index place = ((t + 1 < T ? t + 1 : t) * B + row)"),
    "an output in padding": Bug(THERE, "real ? q.h : Real(0)", "q.h"),
    "a state that is not left": Bug(THERE, "(keeps || n == T - 1)", "keeps"),
    "the last round left out": Bug(
        BACK, "new_dh[i] = carry + weights.sum(local, within) * factor", "new_dh[i] = carry"
    ),
}  # fmt: skip


def checks(kernel):
    """Raise where the kernel is not the loop, with a tape or without, or is not the same twice."""
    tolerance = {"highest": 1e-5, "high": 5e-3, "medium": 5e-2}[kernel.precision]
    for reverse in (False, True):
        case = Case(
            cells.LSTM(36), backend("numpy", "float32"), kernel, reverse, "holes", dropout=0.4, steps=5, batch=11,
            features=3,
        )  # fmt: skip
        a, first = case.draw(), None
        placed = case.place(a)
        wanted = replace(case, kernel=loop).run(a)
        for seed in SEEDS:
            other = replace(case, kernel=replace(kernel, device=replace(kernel.device, seed=seed)))
            met = other.run(a)
            first = met if first is None else first
            compare.close("grid", case, met, wanted, tolerance)
            compare.identical("seeds", case, met, first)
            bare, taped = other.forward(placed, tape=False)[:2], other.forward(placed)[:2]
            compare.identical("tape", case, {"forward": bare}, {"forward": taped})


@pytest.fixture
def host(monkeypatch):
    """The host code with a bug in it."""

    def load(old, new):
        spec = importlib.util.find_spec(cuda_grid.__name__)
        text = spec.loader.get_source(spec.name)
        assert text.count(old) == 1, f"{spec.name} has {old!r} {text.count(old)} times"
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        exec(compile(text.replace(old, new), spec.origin, "exec"), vars(module))
        return module.Grid(**CUT)

    return load


@pytest.mark.parametrize("name", BUGS)
def test_the_checks_see_it(name, host):
    bug = BUGS[name]
    in_host = bug.file == HOST
    assert in_host or source(bug.file).count(bug.old) == 1
    edits = () if in_host else ((bug.file, bug.old, bug.new),)
    if name == "a lost flag that nobody is told of":
        edits = ((BACK, *BUGS["a flag that is never raised"][1:3]),)
    walk = host(bug.old, bug.new) if in_host else cuda_grid.Grid(**CUT)
    kernel = cuda.CUDA(bug.precision, device=Emulated(edits=edits, blocks=bug.blocks), walk=walk)
    with np.errstate(all="ignore"), pytest.raises((AssertionError, RuntimeError, ValueError)):
        checks(kernel)


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_there_is_nothing_to_see_without(precision):
    checks(cuda.CUDA(precision, device=Emulated(), walk=cuda_grid.Grid(**CUT)))
