"""The layer-normalized LSTM in the walk of clusters, run on the CPU: beside the loop, and bit for bit with itself."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from emulation import MISSING, Emulated
from emulation.build import built
from leaves import cotangents, error

from xprnn import cells
from xprnn.backend import backend
from xprnn.gpu.sources import source
from xprnn.kernels import NAMED, cuda_tiling, loop
from xprnn.kernels.cuda_norm import CUDANorm
from xprnn.kernels.cuda_norm_cluster import NormCluster, plan_back, plan_there
from xprnn.kernels.cuda_tiling import BACK, THERE, Tiling, tiling
from xprnn.scan import scan
from xprnn.testing import Case, compare

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

NUMPY = backend("numpy", "float32")
# Units, rows, precision, biases, tilings there and back: groups of 8, 16 and 32 units, some with fillings, some with
# nothing else; rows in several warps, and warps that rows do not fill.
SHAPES = {
    "one block": (5, 3, "highest", False, Tiling(1, 3, 2), Tiling(1, 1, 1)),
    "groups of 8": (35, 5, "highest", True, Tiling(2, 3, 6, held=4), Tiling(2, 3, 6, held=4)),
    "groups of 16": (40, 9, "high", False, Tiling(4, 8, 2, 1), Tiling(4, 8, 2, 1, held=4)),
    "groups of 32": (64, 7, "medium", True, Tiling(2, 8, 1), Tiling(2, 8, 2)),
}
EACH = pytest.mark.parametrize("name", SHAPES)
# The least and the most that rounding operands so explains, of the length of a leaf.
ERRORS = {"highest": (0, 2e-6), "high": (2e-5, 2e-3), "medium": (2e-4, 2e-2)}
HARDER = {"reverse": True, "padding": "holes", "dropout": 0.4}


def norms(there, back, precision="highest", **device):
    return CUDANorm(precision, Emulated(**device), NormCluster(there, back))


def shaped(name, setting=(), **device):
    """A case of a shape, and its inputs with weights of the size that layers begin with."""
    hidden, batch, precision, bias, *ways = SHAPES[name]
    cell, kernel = cells.LayerNormLSTM(hidden, bias, epsilon=0.01), norms(*ways, precision, **device)
    case = Case(cell, NUMPY, kernel, steps=4, batch=batch, **dict(setting))
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
    met, best, (least, most) = case.forward(given), exact.forward(wanted), ERRORS[case.kernel.precision]
    tape, reference = met[2], best[2]
    assert least <= error({"forward": met[:2]}, {"forward": best[:2]}) < most
    for some in (lambda dys: dys, lambda dys: None):
        back = cotangents(case.cell, given, tape, some(given.dys))
        assert least <= error(back, cotangents(exact.cell, wanted, reference, some(wanted.dys))) < most


@EACH
def test_the_order_of_threads_and_pushes_changes_no_bit(name):
    case, a = shaped(name, HARDER)
    wanted = case.run(a)
    for seed in (1, 2, 3):
        compare.identical("threads", case, shaped(name, HARDER, seed=seed)[0].run(a), wanted)


@EACH
def test_without_a_tape_the_states_stay_in_place(name):
    case, a = shaped(name, HARDER)
    a = case.place(a)
    bare, wanted = ({"forward": case.forward(a, tape=tape)[:2]} for tape in (False, True))
    compare.identical("without a tape", case, bare, wanted)


def test_each_walk_goes_back_over_what_the_other_has_left():
    case, a = shaped("groups of 8", HARDER)
    a, steps = case.place(a), replace(case, kernel=CUDANorm(device=Emulated()))
    tapes = [one.forward(a)[2] for one in (case, steps)]
    wanted = cotangents(case.cell, a, tapes[0], a.dys)
    for tape in (tapes[0]._replace(kernel=steps.kernel), tapes[1]._replace(kernel=case.kernel)):
        assert 0 < error(cotangents(case.cell, a, tape, a.dys), wanted) < 2e-6


# The variance as a difference of two means.
CANCELLED = tuple(("cluster_norm_forward.cu", *edit) for edit in (
    ("squares += (x[k] - mean) * (x[k] - mean);", "squares += x[k] * x[k];"),
    ("squares += pair[part][1] + COUNT * size(part) * (away * away);", "squares += pair[part][1] + 0 * away;"),
    ("squares / (COUNT * H) + epsilon)", "squares / (COUNT * H) - whole * whole + epsilon)"),
))  # fmt: skip


@pytest.mark.parametrize("edits", [(), CANCELLED], ids=["as it is", "cancelled"])
def test_sums_far_from_zero(edits):
    case, a = shaped("groups of 8", edits=edits)
    a = a._replace(p=a.p | {"Wh": a.p["Wh"] + 300.0}, s=tuple(1.0 + 0.1 * v for v in a.s), x=a.x[:1])
    case = replace(case, steps=1)
    exact = replace(case, backend=backend("numpy", "float64"), kernel=loop)
    met, wanted = ({"y": one.forward(one.place(a), tape=False)[0]} for one in (case, exact))
    assert (error(met, wanted) < 1e-3) == (edits == ())  # rounding h Wh to float32 makes 4e-4


def test_many_groups_in_the_largest_cluster():
    case = Case(cells.LayerNormLSTM(260, epsilon=0.01), NUMPY, norms(None, None), padding="holes", steps=2, batch=1)
    a = case.draw()
    a = a._replace(p={name: 0.1 * v for name, v in a.p.items()})
    exact = replace(case, backend=backend("numpy", "float64"), kernel=loop)
    assert error(case.run(a)._asdict(), exact.run(a)._asdict()) < 2e-6


def test_a_state_that_is_infinite_stays_in_its_row():
    case, a = shaped("groups of 8")
    a = case.place(a)
    h = a.s[0].copy()
    h[1, 2] = np.inf
    y, met = case.forward(a)[0], case.forward(a._replace(s=(h, a.s[1])))[0]
    others = np.arange(case.batch) != 1
    assert np.all(np.isnan(met[:, 1])) and np.array_equal(met[:, others], y[:, others])


def test_a_walk_is_one_launch_and_one_more_for_the_weights():
    names = Counter()

    class Counting(Emulated):
        def kernel(self, file, name, defines=(), shared=0, together=False):
            launch = super().kernel(file, name, defines, shared, together)
            return lambda *given: (names.update([name] * file.startswith("cluster_")), launch(*given))

    case, a = shaped("one block")
    case = replace(case, kernel=replace(case.kernel, device=Counting()))
    case.both(case.place(a))
    once = ("pack_forward", "cluster_norm_forward", "pack_backward", "cluster_norm_backward")
    assert names == dict.fromkeys(once, 1)


@pytest.mark.parametrize("table, plan, file", [
    (THERE, plan_there, "cluster_norm_forward.cu"), (BACK, plan_back, "cluster_norm_backward.cu"),
], ids=["there", "back"])  # fmt: skip
def test_every_tiling_fits(table, plan, file):
    for precision in table:
        for H in range(1, cuda_tiling.MOST_UNITS + 1):
            for B in (1, 16, 17, 65, 1000):
                way = tiling(table, precision, H, B)
                assert plan(way, precision, (), H).shared <= 227 << 10
    way, defines = tiling(table, "high", 260, 1), (("CELL", "Normalized"), ("REAL", "float"), ("STORED", "0"))
    built(source(file), plan(way, "high", defines, 260).defines)  # which agrees on the room


def test_one_name_runs_it_and_the_other_cells():
    kernel = NAMED["cluster"]
    assert kernel.norm == CUDANorm(walk=NormCluster()) and kernel.common.walk == kernel.of(cells.LSTM(3)).walk
    fitting = replace(
        kernel, common=replace(kernel.common, device=Emulated()), norm=norms(Tiling(1, 2, 1), Tiling(1, 2, 1))
    )
    for cell in (cells.LayerNormLSTM(3, epsilon=0.1), cells.RNN(3)):
        case = Case(cell, NUMPY, fitting, steps=2, batch=2)
        a = case.draw()
        assert case.accepted() and fitting.device.owns(a.x)
        compare.close("by cell", case, case.run(a), replace(case, kernel=loop).run(a), case.tolerance)
        met, wanted = ({"step": one.step(cell, case.place(a).p, case.place(a).x[0], case.place(a).s)}
                       for one in (fitting, loop))  # fmt: skip
        compare.close("step", case, met, wanted, case.tolerance)


@pytest.mark.parametrize("hidden, dtype, generation, met", [
    (4, "float64", 90, "float64"), (513, "float32", 90, "513 units"), (4, "float32", 80, r"compute capability 8\.0"),
])  # fmt: skip
def test_what_it_does_not_run_is_told(hidden, dtype, generation, met):
    cell, kernel = cells.LayerNormLSTM(hidden), norms(None, None, generation=generation)
    x = np.ones((2, 3, 4), dtype)
    p = {name: v.astype(dtype) for name, v in cell.init(np.random.default_rng(0), 4).items()}
    assert not kernel.accepts(cell, x, None)
    with pytest.raises(ValueError, match=rf"'cluster' runs LayerNormLSTM in .* later, not {met}; kernel='norm' would"):
        scan(cell, p, x, kernel=kernel)
    with pytest.raises(TypeError, match="does not run Zoneout"):
        kernel.agree(cells.Zoneout(cell, (0.1, 0.1)), x)
