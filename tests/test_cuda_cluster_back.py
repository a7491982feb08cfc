"""The walk of clusters on its way back, run on the CPU: beside the loop in float64, and bit for bit with itself."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from emulation import MISSING, Emulated
from emulation.build import built
from leaves import cotangents, error
from subjects import SIZED

from xprnn import cells
from xprnn.backend import backend
from xprnn.gpu.sources import source
from xprnn.kernels import cuda, cuda_tiling, loop
from xprnn.kernels.cuda_cluster import Cluster, plan_back
from xprnn.kernels.cuda_steps import Steps
from xprnn.kernels.cuda_tiling import BACK, Tiling, tiling
from xprnn.scan import scan, scan_vjp
from xprnn.testing import Case, compare

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

NUMPY = backend("numpy", "float32")
# Cell, units, rows, precision, tiling: with and without parts of blocks, slices, warps and pieces that only fill up.
SHAPES = {
    "LSTM": (SIZED["LSTM"], 27, 9, "highest", Tiling(2, 4, 8, held=4)),
    "LSTM-wide": (SIZED["LSTM"], 64, 3, "highest", Tiling(4, 1, 2)),
    "LSTM-high": (SIZED["LSTM"], 27, 9, "high", Tiling(2, 8, 2, tiles=1, held=4)),
    "LSTM-medium": (SIZED["LSTM"], 48, 17, "medium", Tiling(2, 16, 1, tiles=2)),
    "PeepholeLSTM": (SIZED["PeepholeLSTM"], 16, 6, "highest", Tiling(1, 3, 1)),
    "PeepholeLSTM-high": (SIZED["PeepholeLSTM"], 33, 8, "high", Tiling(4, 8, 1, tiles=3)),
    "GRU": (SIZED["GRU"], 40, 5, "highest", Tiling(2, 4, 3)),
    "GRU-high": (SIZED["GRU"], 24, 7, "high", Tiling(1, 8, 3, tiles=2)),
    "GRU-medium": (SIZED["GRU"], 27, 9, "medium", Tiling(2, 8, 1, tiles=1)),
    "RNN": (SIZED["RNN"], 30, 8, "highest", Tiling(2, 8, 4)),
    "RNN-relu-high": (SIZED["RNN-relu"], 20, 3, "high", Tiling(2, 8, 1, tiles=1)),
    "Zoneout": (lambda hidden: cells.Zoneout(cells.LSTM(hidden), (0.2, 0.4)), 19, 5, "highest", Tiling(2, 4, 2)),
    "RNN-linear-medium": (SIZED["RNN-linear"], 61, 4, "medium", Tiling(2, 8, 2, tiles=2)),
}
EACH = pytest.mark.parametrize("name", SHAPES)
# The least and the most that rounding operands so explains, of the length of a leaf.
ERRORS = {"highest": (0, 1e-6), "high": (2e-5, 1e-3), "medium": (2e-4, 1e-2)}
HARDER = {"reverse": True, "padding": "holes", "dropout": 0.4}


class Back(Cluster):
    """Clusters on the way back alone."""

    def there(self, work, tape, ys):
        Steps().there(work, tape, ys)


def back(way, precision="highest", **device):
    return cuda.CUDA(precision, device=Emulated(**device), walk=Back(backward=way))


def shaped(name, setting=(), **device):
    """A case of a shape, and its inputs with weights of the size that layers begin with."""
    make, hidden, batch, precision, way = SHAPES[name]
    case = Case(make(hidden), NUMPY, back(way, precision, **device), steps=5, batch=batch, **dict(setting))
    a = case.draw()
    scale = min(1.0, 2.0 / np.sqrt(hidden))
    return case, a._replace(p={name: v if name == "keep" else scale * v for name, v in a.p.items()})


@EACH
@pytest.mark.parametrize("setting", [{}, HARDER], ids=["plain", "harder"])
def test_it_is_the_loop(name, setting):
    case, a = shaped(name, setting)
    assert case.accepted()
    exact = replace(case, backend=backend("numpy", "float64"), kernel=loop)
    given, wanted = case.place(a), exact.place(a)
    tape, best = case.forward(given)[2], exact.forward(wanted)[2]
    least, most = ERRORS[case.kernel.precision]
    for some in (lambda dys: dys, lambda dys: None):
        met = cotangents(case.cell, given, tape, some(given.dys))
        assert least <= error(met, cotangents(case.cell, wanted, best, some(wanted.dys))) < most


@EACH
def test_the_order_of_threads_and_pushes_changes_no_bit(name):
    case, a = shaped(name, HARDER)
    wanted = case.run(a)
    for seed in (1, 2):
        other, _ = shaped(name, HARDER, seed=seed)
        compare.identical("threads", case, other.run(a), wanted)


def test_arrays_laid_out_otherwise():
    case, a = shaped("LSTM", HARDER)
    a, wanted = case.place(a), case.both(case.place(a))
    x, mask, dys = (np.ascontiguousarray(v.swapaxes(0, 1)).swapaxes(0, 1) for v in (a.x, a.mask, a.dys))
    fortran = {name: np.asfortranarray(v) for name, v in a.p.items()}
    turned = a._replace(p=fortran, x=x, mask=mask, dys=dys, ds=tuple(map(np.asfortranarray, a.ds)))
    compare.identical("layouts", case, case.both(turned), wanted)


def test_cotangents_that_are_infinite_stay_in_their_row():
    cell = cells.RNN(5, "identity", bias=False)
    p = {"Wx": np.ones((3, 5), "float32"), "Wh": np.full((5, 5), 0.1, "float32")}
    dys = np.zeros((4, 3, 5), "float32")
    dys[-1, 1, 2] = np.inf
    for way, precision in ((Tiling(2, 3, 2), "highest"), (Tiling(2, 8, 1), "high")):
        _, _, tape = scan(cell, p, np.ones((4, 3, 3), "float32"), kernel=back(way, precision))
        with np.errstate(invalid="ignore"):  # the first state, zeros, times infinity
            dx, ds, _ = scan_vjp(cell, p, tape, dys)
        assert np.all(dx[:, 1] == np.inf) and np.all(dx[:, [0, 2]] == 0)
        assert np.all(ds[0][1] == np.inf) and np.all(ds[0][[0, 2]] == 0)


def test_a_walk_is_one_launch_and_one_more_for_the_weights():
    names = Counter()

    class Counting(Emulated):
        def kernel(self, file, name, defines=(), shared=0, together=False):
            launch = super().kernel(file, name, defines, shared, together)
            return lambda *given: (names.update([name] * (file == "cluster_backward.cu")), launch(*given))

    for steps in (3, 6):
        names.clear()
        case, _ = shaped("LSTM")
        case = replace(case, steps=steps, kernel=replace(case.kernel, device=Counting()))
        case.both(case.place(case.draw()))
        assert names == {"pack_backward": 1, "cluster_backward": 1}


@pytest.mark.parametrize("precision", BACK)
def test_every_tiling_fits(precision):
    for H in range(1, cuda_tiling.MOST_UNITS + 1):
        for B in (1, 8, 16, 17, 64, 65, 128, 1000):
            way = tiling(BACK, precision, H, B)
            assert (way.cluster, way.held % 4) in {(4, 0), (8, 0), (16, 0)} and way.cluster * way.units(H) >= H
            for kind in (cuda.KINDS[cells.PeepholeLSTM], cuda.KINDS[cells.GRU], cuda.kind_of(cells.RNN(H))):
                ours = plan_back(way, precision, kind, (), H)
                assert way.units(H) * way.rows <= ours.threads <= (512 if way.held == 16 else 256)
                assert ours.shared <= 227 << 10


@pytest.mark.parametrize("precision, H, B", [("highest", 512, 128), ("high", 512, 8), ("medium", 256, 999)])
def test_the_host_and_the_source_agree_on_the_room(precision, H, B):
    kind = cuda.KINDS[cells.LSTM]
    way, defines = tiling(BACK, precision, H, B), (("CELL", kind.cell), ("REAL", "float"), ("STORED", "0"))
    built(source("cluster_backward.cu"), plan_back(way, precision, kind, defines, H).defines)
