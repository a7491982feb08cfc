"""Every kernel obeys every law wherever it accepts a cell; the general one is tried with the cells."""

import functools
from dataclasses import replace

import pytest
import rows
from emulation import MISSING, Emulated
from subjects import CELLS

from xprnn.backend import backend
from xprnn.kernels import KERNELS, choose, cuda, loop
from xprnn.kernels.cuda_by_cell import ByCell
from xprnn.kernels.cuda_cluster import Cluster
from xprnn.kernels.cuda_grid import Grid
from xprnn.kernels.cuda_norm import CUDANorm
from xprnn.kernels.cuda_norm_cluster import NormCluster
from xprnn.kernels.cuda_tiling import Tiling
from xprnn.testing import CELL_LAWS, CELL_SETTINGS, Case, hold

OF_MANY_SHAPES = ("chunk", "stream", "segment", "padding", "rows")
IN_BOTH = ("padding", "pure", "alike", "precision", "namespaces", "finite", "kernel")
SPECIAL = {name: kernel for name, kernel in KERNELS.items() if kernel is not loop}
WALKS = {}  # of the kernel for GPUs, on one cell of each class: what differs in the others is made around the walk
if not MISSING:
    SPECIAL["cuda-emulated"] = cuda.CUDA(device=Emulated())
    ways = Tiling(cluster=2, rows=3, split=2), Tiling(cluster=2, rows=3, split=3)
    WALKS["cluster-emulated"] = ByCell(
        cuda.CUDA(device=Emulated(), walk=Cluster(*ways)), CUDANorm(device=Emulated(), walk=NormCluster(*ways))
    )
    WALKS["grid-emulated"] = cuda.CUDA(device=Emulated(), walk=Grid(units=2, warps=1, held=1))


@functools.cache
def taken(kernel, cell, name):
    """The cases that ``kernel`` takes on the usable libraries, in both precisions."""
    usable = [row for row in rows.ROWS if name in (None, row.library) and row.values and not rows.problem(row)]
    places = {(row.spec, dtype): rows.opened(row.spec, dtype) for row in usable for dtype in ("float32", "float64")}
    cases = [Case(cell, place, kernel, **setting) for place in places.values() for setting in CELL_SETTINGS]
    return [case for case in cases if case.accepted()]


def accepted(kernel, cell, law, name):
    """The cases to try a law with: a kernel of both precisions is tried in float32 by the laws of ``IN_BOTH``.

    The others ask the same of the same numbers.
    """
    cases = taken(kernel, cell, name)
    doubles = [case for case in cases if case.backend.dtype == "float64"]
    return doubles if doubles and law not in IN_BOTH else cases


def worth_compiling(law, case):
    """Whether to try a law on JAX, which compiles for every shape: one case for each class of cells, or for LSTM.

    The law "precision" runs the loop, whatever the kernel.
    """
    tried = law not in OF_MANY_SHAPES or case.cell == CELLS["LSTM"]
    setting = case.backend.dtype == "float64" and case.padding == "ragged"
    return tried and setting and law != "precision" and first_of_class(case.cell)


def first_of_class(cell):
    return cell == next(other for other in CELLS.values() if type(other) is type(cell))


@pytest.mark.parametrize("law", CELL_LAWS)
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("kernel", SPECIAL.values(), ids=SPECIAL)
def test_law(kernel, cell, law, request):
    cases = accepted(kernel, cell, law, request.config.getoption("backend"))
    if kernel is KERNELS["jax"]:
        cases = [replace(case, steps=4) for case in cases if worth_compiling(law, case)]
    if not cases:
        pytest.skip(f"this kernel runs {cell} on no library that is usable here, or another of its class stands for it")
    for case in cases:
        hold(law, case)


@pytest.mark.parametrize("law", CELL_LAWS)
@pytest.mark.parametrize("cell", [cell for cell in CELLS.values() if first_of_class(cell)], ids=str)
@pytest.mark.parametrize("kernel", WALKS.values(), ids=WALKS)
def test_law_of_a_walk(kernel, cell, law, request):
    cases = accepted(kernel, cell, law, request.config.getoption("backend"))
    if not cases:
        pytest.skip(f"this walk does not run {cell}, or not on a library that is usable here")
    for case in cases:
        hold(law, case)


def test_the_general_kernel_comes_last_and_takes_everything():
    assert list(KERNELS)[-1] == "loop"
    x = backend("numpy", "float64").asarray([[[1.0]]])
    assert all(loop.accepts(cell, x, None) for cell in CELLS.values())
    assert all(choose(cell, x, None) in KERNELS.values() for cell in CELLS.values())
