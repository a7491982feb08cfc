"""The walk of the whole GPU, run on the CPU: cuts, precisions, masks and lost flags beside the loop's numbers."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from emulation import MISSING, Emulated
from emulation.cupy_arrays import OnCuPy, cupy_without_gpu, unwrap, wrap
from subjects import CELLS

from xprnn import cells, tree
from xprnn.backend import backend
from xprnn.kernels import NAMED, cuda, loop
from xprnn.kernels.cuda_grid import Grid
from xprnn.scan import scan, scan_vjp
from xprnn.testing import Case, compare

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

FLOAT32 = backend("numpy", "float32")
SMALL = Grid(units=8, rows=8, warps=2, held=2)
"""Three blocks of two warps for 20 units, with weights in registers and beyond."""


def grid(walk=SMALL, seed=0, precision="highest", **device):
    return cuda.CUDA(precision, device=Emulated(seed, **device), walk=walk)


def hard(cell, kernel, **options):
    """A case with all that a step can meet, in more rows than are walked together."""
    given = {"padding": "holes", "dropout": 0.4, "steps": 4, "batch": 9, "features": 3} | options
    return Case(cell, FLOAT32, kernel, **given)


def check(case, tolerance=1):
    a = case.draw()
    assert case.accepted()
    compare.close("grid", case, case.run(a), replace(case, kernel=loop).run(a), tolerance * case.tolerance)
    bare = case.forward(case.place(a), tape=False)[:2]
    taped = case.forward(case.place(a))[:2]
    compare.identical("tape", case, {"forward": bare}, {"forward": taped})


def zoned(hidden):
    return cells.Zoneout(cells.LSTM(hidden), (0.3, 0.4))


@pytest.mark.parametrize("make", [cells.RNN, cells.LSTM, cells.PeepholeLSTM, cells.GRU, zoned])
@pytest.mark.parametrize("reverse", [False, True])
def test_it_is_the_loop(make, reverse):
    check(hard(make(20), grid(), reverse=reverse))


@pytest.mark.parametrize("walk, hidden, batch", [
    (Grid(units=4, warps=1, held=0), 13, 8),  # blocks of one warp, nothing in registers
    (Grid(units=10, warps=3), 37, 1),         # slices that end within a block's units, one row
    (Grid(), 40, 20),                         # as it is by itself
    (Grid(warps=4, rows=16), 5, 17),          # one block, more warps than it has work for
])  # fmt: skip
def test_cuts(walk, hidden, batch):
    check(hard(cells.LSTM(hidden), grid(walk), batch=batch, steps=3))


def whole(hidden, batch, steps, seed=0):
    """A linear cell and whole numbers, small enough that each precision and each order of sums has the same results."""
    rng = np.random.default_rng(seed)
    Wh = np.zeros((hidden, hidden), np.float32)
    for column in Wh.T:
        column[rng.choice(hidden, 2, replace=False)] = rng.choice([-1, 1], 2)
    p = {"Wx": rng.integers(-1, 2, (2, hidden)), "Wh": Wh, "b": rng.integers(-1, 2, hidden)}
    x, h = rng.integers(-1, 2, (steps, batch, 2)), rng.integers(-1, 2, (batch, hidden))
    dys = rng.integers(-1, 2, (steps, batch, hidden))
    p, x, h, dys = {name: v.astype("f4") for name, v in p.items()}, *(v.astype("f4") for v in (x, h, dys))
    return cells.RNN(hidden, "identity"), p, x, (h,), dys


def both(kernel, cell, p, x, s, dys):
    y, end, tape = scan(cell, p, x, s, kernel=kernel)
    return {"forward": (y, end), "backward": scan_vjp(cell, p, tape, dys)}


@pytest.mark.parametrize("precision, walk, hidden, batch", [
    ("high", SMALL, 20, 9),
    ("medium", SMALL, 20, 9),
    ("medium", Grid(rows=16, warps=4, held=1), 70, 13),  # two bands
    ("high", Grid(units=8), 33, 30),                     # four of them
    ("highest", Grid(units=8), 33, 30),
])  # fmt: skip
def test_whole_numbers_are_exact_in_every_precision(walk, hidden, batch, precision):
    given = whole(hidden, batch, 3)
    compare.identical("whole", precision, both(grid(walk, precision=precision), *given), both(loop, *given))


def test_products_are_as_precise_as_asked():
    case = hard(cells.LSTM(20), loop)
    a = case.draw()
    best = compare.flatten(replace(case, backend=backend("numpy", "float64")).run(a))
    worst = []
    for precision in ("highest", "high", "medium"):
        met = compare.flatten(replace(case, kernel=grid(precision=precision)).run(a))
        worst.append(max(float(np.max(np.abs(met[name] - v)) / np.max(np.abs(v))) for name, v in best.items()))
    highest, high, medium = worst
    assert highest < 2e-6 and 5e-5 < high < 5e-3 and 2 * high < medium < 5e-2


def test_the_host_code_runs_on_arrays_of_cupy():
    cupy_without_gpu()
    cell, *given = whole(20, 9, 3)
    p, x, s, dys = tree.map(wrap, tuple(given))
    kernel = cuda.CUDA(device=OnCuPy(Emulated()), walk=SMALL)
    y, end, tape = kernel.forward(cell, p, x, s, None, False)
    met = {"forward": (y, end), "backward": kernel.backward(cell, p, tape, dys, end)}
    wanted = {"forward": loop.forward(cell, *given[:3], None, False)[:2]}
    _, end, tape = loop.forward(cell, *given[:3], None, False)
    wanted["backward"] = loop.backward(cell, given[0], tape, given[3], end)
    compare.identical("cupy", cell, tree.map(unwrap, met), wanted)


@pytest.mark.parametrize("precision", ["highest", "medium"])
def test_the_order_of_threads_changes_no_bit(precision):
    case = hard(cells.LSTM(20), grid(precision=precision))
    a = case.draw()
    wanted = case.run(a)
    for seed in range(1, 9):
        other = replace(case, kernel=grid(seed=seed, precision=precision))
        compare.identical("threads", case, other.run(a), wanted)


@dataclass(frozen=True)
class Watched(Emulated):
    """A device that remembers what is read from it."""

    seen: list = field(default_factory=list, compare=False)

    def read(self, a):
        self.seen.append(a.copy())
        return super().read(a)


LOST = "    if (threadIdx.x == 0) flag_raise", "    if (threadIdx.x == 0 && (blockIdx.x != 1 || round < 2)) flag_raise"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("way", ["forward", "backward"])
def test_a_lost_flag_ends_in_an_error_that_says_who_waited_for_whom(way, seed):
    device = Watched(seed, edits=((f"grid_{way}.cu", *LOST),))
    case = hard(cells.LSTM(20), cuda.CUDA(device=device, walk=replace(SMALL, limit=1000)), batch=3)
    a = case.draw()
    words = rf"grid_{way}: block \d waited for step 3 of 4 of block 1 and has read its flag 1000 times in vain"
    with pytest.raises(RuntimeError, match=words):
        case.run(a)
    # Each block has given up, and none has gone on after that.
    waits = device.seen[-1][0]
    assert np.all(waits // (1 << 16) >= 3) and np.all(waits // (1 << 16) <= 4)


def test_nothing_is_lost_that_comes():
    device = Watched()
    case = hard(cells.GRU(20), cuda.CUDA(device=device, walk=SMALL))
    case.run(case.draw())
    assert [a.shape for a in device.seen] == [(2, 3), (2, 3)] and not any(np.any(a) for a in device.seen)


def test_what_does_not_fit_at_once_is_refused():
    case = hard(cells.LSTM(40), grid(blocks=4))
    a = case.place(case.draw())
    assert not case.accepted() and replace(case, kernel=grid(blocks=5)).accepted()
    words = r"not 40 units in 5 blocks of 64 threads and .*, of which this GPU has room for 4 at once; kernel='cuda'"
    with pytest.raises(ValueError, match=words):
        scan(case.cell, a.p, a.x, a.s, kernel=case.kernel)
    # By itself it takes larger blocks where smaller ones are too many.
    check(replace(case, kernel=grid(Grid(), blocks=4), steps=2, batch=2))


@pytest.mark.parametrize("cell, kernel, dtype, met", [
    (cells.GRUResetBefore(4), grid(), "float32", r"GRUResetBefore\(.*\)"),
    (cells.LSTM(4), grid(), "float64", "float64"),
    (cells.LSTM(4), replace(grid(), storage="bfloat16"), "float32", "bfloat16"),
    (cells.LSTM(1281), grid(), "float32", "1281 units"),
])  # fmt: skip
def test_what_it_does_not_run_is_told(cell, kernel, dtype, met):
    p = {name: v.astype(dtype) for name, v in cell.init(np.random.default_rng(0), 3).items()}
    x = np.ones((3, 2, 3), dtype)
    assert not kernel.accepts(cell, x, None)
    with pytest.raises(ValueError, match=rf"kernel='grid' runs RNN, .*, not {met}; kernel='cuda' would run it"):
        scan(cell, p, x, kernel=kernel)


def test_what_it_accepts():
    x = np.ones((3, 2, 3), "float32")
    fine = {name for name, cell in CELLS.items() if grid().accepts(cell, x, None)}
    usual = {name for name, cell in CELLS.items() if cuda.CUDA(device=Emulated()).accepts(cell, x, None)}
    assert fine == {name for name in usual if "Before" not in name}
    assert NAMED["grid"].walk == Grid()


def test_options_that_do_not_come_out():
    with pytest.raises(ValueError, match="rows is 8, 16, 32 or 64, not 12"):
        Grid(rows=12)
    with pytest.raises(ValueError, match="8 rows of 16 units take 4 warps or more, not 3"):
        Grid(warps=3)
