"""The walk of clusters, run on the CPU: beside the loop and the walk by steps, and bit for bit with itself."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from emulation import MISSING, Emulated
from emulation.build import built
from subjects import CELLS, SIZED

from xprnn import cells
from xprnn.backend import backend
from xprnn.gpu.sources import source
from xprnn.kernels import cuda, cuda_tiling, loop
from xprnn.kernels.cuda_cluster import CELLS as KINDS
from xprnn.kernels.cuda_cluster import Cluster, plan_there
from xprnn.kernels.cuda_tiling import THERE, Tiling, tiling
from xprnn.scan import scan
from xprnn.testing import Case, compare

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

NUMPY = backend("numpy", "float32")
# Cell, units, rows, precision, tiling: with and without parts of blocks, slices, warps and pieces that only fill up.
SHAPES = {
    "LSTM": (SIZED["LSTM"], 16, 8, "highest", Tiling(2, 4, 2)),
    "LSTM-high": (SIZED["LSTM"], 17, 9, "high", Tiling(1, 16, 1, tiles=1)),
    "LSTM-medium": (SIZED["LSTM"], 48, 7, "medium", Tiling(4, 8, 1, tiles=3, held=4)),
    "PeepholeLSTM": (SIZED["PeepholeLSTM"], 5, 3, "highest", Tiling(1, 1, 1)),
    "PeepholeLSTM-high": (SIZED["PeepholeLSTM"], 32, 16, "high", Tiling(2, 8, 2)),
    "Zoneout-high": (lambda hidden: cells.Zoneout(cells.LSTM(hidden), (0.2, 0.4)), 20, 5, "high", Tiling(2, 8, 1)),
    "GRU": (SIZED["GRU"], 33, 5, "highest", Tiling(4, 3, 3)),
    "GRU-medium": (SIZED["GRU"], 40, 5, "medium", Tiling(2, 8, 2)),
    "RNN": (SIZED["RNN-relu"], 64, 9, "highest", Tiling(4, 8, 2, held=4)),
    "RNN-high": (SIZED["RNN-linear"], 20, 3, "high", Tiling(2, 8, 1)),
    "RNN-table": (SIZED["RNN"], 100, 3, "high", None),
}
EACH = pytest.mark.parametrize("name", SHAPES)
ERRORS = {"highest": 1e-4, "high": 1e-2, "medium": 1e-1}


def clusters(way, precision="highest", **device):
    return cuda.CUDA(precision, device=Emulated(**device), walk=Cluster(way))


def drawn(case):
    """Inputs with weights of the size that layers begin with."""
    a = case.draw()
    scale = min(1.0, 2.0 / np.sqrt(case.cell.hidden))
    return a._replace(p={name: v if name == "keep" else scale * v for name, v in a.p.items()})


def shaped(name, **device):
    """A case of a shape, and its inputs."""
    make, hidden, batch, precision, way = SHAPES[name]
    case = Case(
        make(hidden), NUMPY, clusters(way, precision, **device), bool(hidden % 2), "holes" if batch > 3 else "none",
        dropout=0.4 * (batch > 4), steps=4, batch=batch,
    )  # fmt: skip
    return case, drawn(case)


@EACH
def test_it_is_the_loop_up_to_rounding(name):
    case, a = shaped(name)
    assert case.accepted()
    tolerance = ERRORS[case.kernel.precision]
    for other in (case, replace(case, reverse=not case.reverse, dropout=0.4, padding="holes", batch=case.batch + 1)):
        a = drawn(other)
        compare.close("clusters", other, other.run(a), replace(other, kernel=loop).run(a), tolerance)


@EACH
def test_operands_are_rounded_as_in_the_walk_by_steps(name):
    case = replace(shaped(name)[0], padding="none")
    a = drawn(case)
    if case.kernel.precision == "highest":
        pytest.skip("nothing is rounded")
    met, exact, steps = (
        np.concatenate([np.ravel(leaf) for leaf in (results.y, *results.end)])
        for results in (replace(case, kernel=kernel).run(a) for kernel in (
            case.kernel, loop, cuda.CUDA(case.kernel.precision, device=Emulated())
        ))
    )  # fmt: skip
    # A sum in another order may put a number on the other side when it is rounded, but seldom.
    assert np.median(np.abs(met - steps)) < 0.05 * np.median(np.abs(met - exact))


@EACH
def test_the_order_of_threads_changes_no_bit(name):
    case, a = shaped(name)
    wanted = case.run(a)
    for seed in (1, 2):
        other, _ = shaped(name, seed=seed)
        compare.identical("threads", case, other.run(a), wanted)


@EACH
def test_without_a_tape_the_states_stay_in_place(name, monkeypatch):
    case, a = shaped(name)
    a = case.place(a)
    wanted = case.forward(a)[:2]
    compare.identical("without a tape", case, {"forward": case.forward(a, tape=False)[:2]}, {"forward": wanted})
    columns = cuda.kind_of(case.cell).columns
    monkeypatch.setattr(cuda, "ROOM", 3 * case.batch * columns * case.cell.hidden)  # three steps, and one
    compare.identical("in parts", case, {"forward": case.forward(a, tape=False)[:2]}, {"forward": wanted})


def test_the_largest_cluster():
    case = Case(cells.LSTM(cuda_tiling.MOST_UNITS), NUMPY, clusters(None), padding="holes", steps=2, batch=3)
    a = drawn(case)
    compare.close("largest", case, case.run(a), replace(case, kernel=loop).run(a), case.tolerance)


def test_a_state_that_is_infinite_stays_in_its_row():
    cell = cells.RNN(5, "identity", bias=False)
    p = {"Wx": np.ones((1, 5), "float32"), "Wh": np.full((5, 5), 1e38, "float32")}
    x = np.zeros((4, 3, 1), "float32")
    x[0, 1] = 1
    for way, precision in ((Tiling(2, 3, 2), "highest"), (Tiling(2, 8, 1), "high")):
        y, _, _ = scan(cell, p, x, kernel=clusters(way, precision))
        assert np.all(y[:, [0, 2]] == 0) and np.all(y[0, 1] == 1) and np.all(y[2:, 1] == np.inf)


def test_a_walk_is_one_launch_and_one_more_for_the_weights():
    names = Counter()

    class Counting(Emulated):
        def kernel(self, file, name, defines=(), shared=0, together=False):
            launch = super().kernel(file, name, defines, shared, together)
            return lambda *given: (names.update([name] * (file == "cluster_forward.cu")), launch(*given))

    kernel = cuda.CUDA(device=Counting(), walk=Cluster(Tiling(2, 2, 2)))
    for steps in (3, 6):
        names.clear()
        case = Case(CELLS["LSTM"], NUMPY, kernel, steps=steps)
        case.forward(case.place(case.draw()), tape=False)
        assert names == {"pack_forward": 1, "cluster_forward": 1}


@pytest.mark.parametrize("precision", THERE)
def test_every_tiling_fits(precision):
    for H in range(1, cuda_tiling.MOST_UNITS + 1):
        for B in (1, 8, 16, 17, 64, 65, 128, 1000):
            way = tiling(THERE, precision, H, B)
            assert (way.cluster, way.held % 4) in {(4, 0), (8, 0), (16, 0)} and way.cluster * way.units(H) >= H
            for kind in (cuda.KINDS[cells.PeepholeLSTM], cuda.KINDS[cells.GRU], cuda.kind_of(cells.RNN(H))):
                ours = plan_there(way, precision, kind, (), H)
                assert way.units(H) * way.rows <= ours.threads <= 512
                assert ours.shared <= 227 << 10


def test_the_rows_of_a_slice_are_the_fewest_that_a_gpu_has_room_for():
    rows = [tiling(THERE, "highest", 256, B).rows for B in (1, 16, 17, 64, 65, 5000)]
    assert rows == [1, 1, 4, 4, 8, 8]
    assert [tiling(THERE, "high", H, 129).rows for H in (128, 256, 512)] == [8, 16, 8]


@pytest.mark.parametrize("precision, H, B", [("highest", 512, 128), ("high", 512, 8), ("medium", 256, 999)])
def test_the_host_and_the_source_agree_on_the_room(precision, H, B):
    kind = cuda.KINDS[cells.GRU]
    way, defines = tiling(THERE, precision, H, B), (("CELL", kind.cell), ("REAL", "float"), ("STORED", "0"))
    built(source("cluster_forward.cu"), plan_there(way, precision, kind, defines, H).defines)


def test_what_it_accepts():
    kernel, x = clusters(None), np.ones((2, 3, 4), "float32")
    fine = {name for name, cell in CELLS.items() if kernel.accepts(cell, x, None)}
    assert fine == {name for name in CELLS if name.startswith(("RNN", "LSTM", "PeepholeLSTM", "GRU", "Zoneout"))} - {
        "RNN-softplus", "GRUResetBefore", "GRUResetBefore-bare", "Zoneout-projected-bare",
    }  # fmt: skip
    assert {cuda.kind_of(cell).cell for cell in map(CELLS.get, fine)} < set(KINDS)


@pytest.mark.parametrize("cell, kernel, dtype, met", [
    (cells.GRUResetBefore(4), clusters(None), "float32", "GRUResetBefore"),
    (cells.Zoneout(cells.GRUResetBefore(4), (0.1,)), clusters(None), "float32", "GRUResetBefore"),
    (cells.LSTM(4), clusters(None), "float64", "float64"),
    (cells.LSTM(513), clusters(None), "float32", "513 units"),
    (cells.LSTM(4), replace(clusters(None), storage="float16"), "float32", "storage 'float16'"),
    (cells.LSTM(4), clusters(None, generation=80), "float32", r"compute capability 8\.0"),
])  # fmt: skip
def test_what_it_does_not_run_is_told(cell, kernel, dtype, met):
    x = np.ones((2, 3, 4 + 4 * isinstance(cell, cells.Zoneout)), dtype)
    p = {name: v.astype(dtype) for name, v in cell.init(np.random.default_rng(0), 4).items()}
    assert not kernel.accepts(cell, x, None)
    with pytest.raises(ValueError, match=rf"'cluster' runs RNN, LSTM, .* 9\.0 and later, not {met}; kernel='cuda'"):
        scan(cell, p, x, kernel=kernel)
