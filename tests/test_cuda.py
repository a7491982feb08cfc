"""The kernel for GPUs, run on the CPU: sizes, layouts, precisions and storage beside the loop's numbers."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from emulation import MISSING, Emulated
from emulation.products import Products
from subjects import CELLS, COMMON, SIZED

from xprnn import cells
from xprnn.backend import backend
from xprnn.kernels import cuda, loop
from xprnn.scan import scan, scan_vjp
from xprnn.testing import Case, compare

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

SIZES = (1, 2, 3, 5, 16, 31, 32, 33, 65)
ZONED = {
    "Zoneout-LSTM": lambda hidden: cells.Zoneout(cells.LSTM(hidden), (0.2, 0.4)),
    "Zoneout-GRUResetBefore": lambda hidden: cells.Zoneout(cells.GRUResetBefore(hidden), (0.3,)),
}
EACH_CELL = pytest.mark.parametrize("make", (SIZED | ZONED).values(), ids=SIZED | ZONED)


def emulated(**options):
    return cuda.CUDA(device=Emulated(), **options)


def tame(case):
    """The case's inputs, weights small enough that long sequences do not blow rounding up."""
    a = case.draw()
    scale = min(1.0, 2.0 / np.sqrt(case.cell.hidden))
    return a._replace(p={name: v if name == "keep" else scale * v for name, v in a.p.items()})


def check(case, tolerance=None):
    a = tame(case)
    assert case.accepted()
    compare.close("kernel", case, case.run(a), replace(case, kernel=loop).run(a), tolerance or 10 * case.tolerance)


@EACH_CELL
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sizes_that_fill_no_block(make, dtype):
    rng = np.random.default_rng(0)
    for seed, hidden in enumerate(SIZES):
        batch, steps = int(rng.choice([1, 2, 3, 5, 14, 29])), int(rng.choice([1, 2, 5, 21]))
        padding = rng.choice(["none", "ragged", "holes"]) if batch > 2 and steps > 1 else "none"
        check(
            Case(
                make(hidden), backend("numpy", dtype), emulated(), reverse=bool(seed % 2), padding=str(padding),
                dropout=0.4 * (seed % 3 == 0), features=int(rng.choice(SIZES)), steps=steps, batch=batch, seed=seed,
            )
        )  # fmt: skip


@EACH_CELL
def test_sums_of_many_rows(make):
    # More rows than a block sums, in a number that no block divides.
    check(Case(make(3), backend("numpy", "float64"), emulated(), padding="holes", steps=131, batch=9))


def _run(kernel, cell, p, x, s, mask, dys):
    y, end, tape = scan(cell, p, x, s, mask=mask, kernel=kernel)
    return {"forward": (y, end), "backward": scan_vjp(cell, p, tape, dys)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", [cells.PeepholeLSTM(7), cells.GRU(7), cells.GRUResetBefore(7)])
def test_arrays_laid_out_otherwise(cell, dtype):
    rng, kernel = np.random.default_rng(0), emulated()
    p = {name: v.astype(dtype) for name, v in cell.init(rng, 5).items()}
    p["keep"] = 2 * (rng.random((4, 7)) < 0.5).astype(dtype)
    x, dys = rng.normal(size=(6, 4, 5)).astype(dtype), rng.normal(size=(6, 4, 7)).astype(dtype)
    mask = rng.random((6, 4, 1)) < 0.7
    s = tuple(rng.normal(size=(4, 7)).astype(dtype) for _ in cell.state_sizes)
    flat = _run(kernel, cell, p, x, s, mask, dys)
    swapped = [np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1) for a in (x, mask, dys)]
    strided = [np.repeat(np.repeat(a, 2, axis=2), 3, axis=0)[::3, :, ::2] for a in (x, mask, dys)]
    backwards = [np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1] for a in (x, mask, dys)]
    fortran = {name: np.asfortranarray(v) for name, v in p.items()}, tuple(np.asfortranarray(v) for v in s)
    for x, mask, dys in (swapped, strided, backwards):
        compare.identical("layout", cell, _run(kernel, cell, fortran[0], x, fortran[1], mask, dys), flat)


@EACH_CELL
def test_the_order_of_threads_changes_no_bit(make):
    for dtype in ("float32", "float64"):
        case = Case(make(9), backend("numpy", dtype), emulated(), padding="holes", dropout=0.4, steps=80, batch=9)
        a = tame(case)
        other = replace(case, kernel=cuda.CUDA(device=Emulated(seed=1)))
        compare.identical("threads", case, other.run(a), case.run(a))


@EACH_CELL
@pytest.mark.parametrize("reverse", [False, True])
def test_without_a_tape_a_part_at_a_time_is_the_whole(make, reverse, monkeypatch):
    case = Case(
        make(9), backend("numpy", "float64"), emulated(), reverse=reverse, padding="holes", dropout=0.4, steps=11
    )
    a = case.place(tame(case))
    whole = case.forward(a, tape=False)[:2]
    monkeypatch.setattr(cuda, "ROOM", 4 * a.x.shape[1] * 9 * 4)  # four steps of most cells
    compare.close("parts", case, {"forward": case.forward(a, tape=False)[:2]}, {"forward": whole}, case.tolerance)
    nothing, end, _ = case.forward(a, tape=False, outputs=False)
    assert nothing is None
    compare.close("parts", case, {"end": end}, {"end": whole[1]}, case.tolerance)


def test_infinite_cotangents_stay_infinite():
    p = {"Wx": np.full((3, 19), 0.1), "Wh": np.full((19, 19), 0.1)}
    dys = np.zeros((4, 2, 19))
    dys[-1, 0, 7] = np.inf
    cell = cells.RNN(19, "identity", bias=False)
    _, _, tape = scan(cell, p, np.ones((4, 2, 3)), kernel=emulated())
    with np.errstate(invalid="ignore"):  # the first state, zeros, times infinity
        dx, ds, dp = scan_vjp(cell, p, tape, dys)
    assert np.all(dx[:, 0] == np.inf) and np.all(dx[:, 1] == 0)
    assert np.all(ds[0][0] == np.inf) and np.all(dp["Wx"] == np.inf)


def error(case, a, wanted):
    """The largest error of the case's results, beside the largest number of a leaf."""
    got, best = compare.flatten(case.run(a)), compare.flatten(wanted)
    return float(np.max([np.max(np.abs(got[name] - v)) / np.max(np.abs(v)) for name, v in best.items()]))  # NaN stays


@EACH_CELL
def test_products_are_as_precise_as_asked(make):
    case = Case(make(20), backend("numpy", "float32"), features=20, steps=9)
    a = tame(case)
    exact = replace(case, backend=backend("numpy", "float64")).run(a)
    highest, high, medium = (
        error(replace(case, kernel=emulated(precision=name)), a, exact) for name in ("highest", "high", "medium")
    )
    assert highest < 2e-6 and 5e-5 < high < 3e-3 and 2 * high < medium < 5e-2
    double = replace(case, backend=backend("numpy", "float64"), kernel=emulated(precision="medium"))
    assert error(double, a, exact) < 1e-13


@EACH_CELL
@pytest.mark.parametrize("storage, least, most", [("float16", 5e-5, 5e-3), ("bfloat16", 5e-4, 5e-2)])
def test_storage_in_16_bits(make, storage, least, most):
    kernel = emulated(storage=storage)
    case = Case(
        make(20), backend("numpy", "float32"), kernel, features=20, steps=9, batch=5, padding="holes", dropout=0.3,
        reverse=True, seed=2,  # in which no relu is so near to its corner that rounding puts it on the other side
    )  # fmt: skip
    a = tame(case)
    exact = replace(case, backend=backend("numpy", "float64"), kernel=loop).run(a)
    assert least < error(case, a, exact) < most
    placed = case.place(a)
    _, _, tape = case.forward(placed)
    kept = tape.whole
    stored = {name for name, v in zip(kept._fields, kept, strict=True) if isinstance(v, np.ndarray) and v.itemsize == 2}
    assert stored >= {"x", "seen"} and ("saved" in stored) == (kept.saved is not None)
    assert {v.dtype.name for v in compare.flatten(case.both(placed)).values()} == {"float32"}
    assert not kernel.accepts(case.cell, placed.x.astype(np.float64), None)


@EACH_CELL
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_of_a_stream(make, dtype):
    rng = np.random.default_rng(0)
    for hidden, features, batch in ((5, 3, 1), (33, 9, 3), (31, 40, 4), (65, 1, 9)):
        case = Case(make(hidden), backend("numpy", dtype), features=features, batch=batch, dropout=0.4, steps=3)
        a = case.place(tame(case))
        if batch == 3:
            a.p.pop("keep")
        s = wanted = a.s
        for t in range(case.steps):
            x = a.x[t] if batch < 9 else np.asfortranarray(a.x[t])
            y, s = emulated().step(case.cell, a.p, x, s)
            best, wanted = loop.step(case.cell, a.p, x, wanted)
            compare.close("step", case, {"y": y, "s": s}, {"y": best, "s": wanted}, 10 * case.tolerance)
            y[...] = rng.normal()  # is the caller's own


@EACH_CELL
@pytest.mark.parametrize("batch", [1, 9])
def test_a_step_makes_its_outputs_and_no_other_array(make, batch):
    made = []

    class Counting(Emulated):
        def empty(self, shape, dtype):
            made.append(super().empty(shape, dtype))
            return made[-1]

    case = Case(make(40), backend("numpy", "float32"), batch=batch)
    a = case.place(case.draw())
    y, s = cuda.CUDA(device=Counting()).step(case.cell, a.p, a.x[0], a.s)
    assert {id(array) for array in made} == {id(y), *map(id, s)}


@EACH_CELL
def test_what_a_step_costs(make):
    """A launch and a product for each step more, two where the reset comes first; there and back, mask and all."""
    counts = Counter()

    class Counting(Emulated):
        def kernel(self, file, name, defines=()):
            launch = super().kernel(file, name, defines)
            return lambda *given: (counts.update(["launch"]), launch(*given))

        def product(self, precision="highest"):
            return CountingProducts(precision)

        def empty(self, shape, dtype):
            counts.update(["array"])
            return super().empty(shape, dtype)

    class CountingProducts(Products):
        def each(self, a, b, out, accumulate=False):
            multiply = super().each(a, b, out, accumulate)
            return lambda n: (counts.update(["product"]), multiply(n))

    case = Case(make(9), backend("numpy", "float64"), cuda.CUDA(device=Counting()), padding="holes", dropout=0.4)
    met = {}
    for steps in (7, 8):
        counts.clear()
        longer = replace(case, steps=steps)
        longer.both(longer.place(longer.draw()))
        met[steps] = +counts
    each = 2 if "GRUResetBefore" in str(case.cell) else 1
    assert met[8] - met[7] == {"launch": 2 * each, "product": 2 * each}


def test_what_it_accepts():
    class Mine(cells.LSTM):
        pass

    kernel, x = emulated(), np.ones((2, 3, 4))
    fine = {name for name, cell in CELLS.items() if kernel.accepts(cell, x, None)}
    assert fine == COMMON | {"Zoneout-LSTM", "Zoneout-GRU", "Zoneout-RNN-bare"}
    for cell in (Mine(3), cells.Zoneout(Mine(3), (0.1, 0.1)), cells.Zoneout(cells.PeepholeLSTM(3), (0.1, 0.1))):
        assert not kernel.accepts(cell, x, None)
    assert not kernel.accepts(cells.LSTM(3), x.astype(np.float16), None)
    assert not kernel.accepts(cells.LSTM(3), x[:, :0], None)
    assert not cuda.CUDA().accepts(cells.LSTM(3), x, None)


def test_options_that_are_none():
    with pytest.raises(ValueError, match="precision is one of highest, high, medium, not 'tf32'"):
        cuda.CUDA(precision="tf32")
    with pytest.raises(ValueError, match="'float16' or 'bfloat16', not 'float8'"):
        cuda.CUDA(storage="float8")


def test_arguments_that_do_not_fit_are_told():
    cell, x, kernel = cells.LSTM(3), np.ones((2, 3, 4)), emulated()
    p, s = cell.init(np.random.default_rng(0), 4), (np.zeros((3, 3)), np.zeros((3, 3)))
    with pytest.raises(TypeError, match=r"does not run ProjectedLSTM.*; kernel='loop' runs every cell on any array"):
        scan(cells.ProjectedLSTM(3, 2), {}, x, kernel=kernel)
    with pytest.raises(ValueError, match=r"x has the shape \(2, 0, 4\), and .* take one number or more; kernel='loop'"):
        scan(cell, p, x[:, :0], kernel=kernel)
    with pytest.raises(ValueError, match=r"Wx has the shape \(5, 12\), expected \(4, 12\)"):
        scan(cell, p | {"Wx": np.ones((5, 12))}, x, kernel=kernel)
    with pytest.raises(TypeError, match="Wh holds numbers of dtype float32, expected float64"):
        kernel.step(cell, p | {"Wh": p["Wh"].astype("float32")}, x[0], s)
    with pytest.raises(ValueError, match=r"the state has the shape \(2, 3\), expected \(3, 3\)"):
        kernel.step(cell, p, x[0], (s[0], s[1][:2]))
    with pytest.raises(TypeError, match=r"Wh is a numpy\.ma\S+, expected an array on the GPU: move it there"):
        kernel.step(cell, p | {"Wh": np.ma.asarray(p["Wh"])}, x[0], s)
    for mask, problem, words in (
        (np.ones((2, 3)), ValueError, r"the mask has the shape \(2, 3\), expected \(2, 3, 1\)"),
        (np.ones((2, 1, 1), bool), ValueError, r"the mask has the shape \(2, 1, 1\)"),
        (np.ones((2, 3, 1)), TypeError, "the mask holds numbers of dtype float64, expected bool"),
    ):
        for tape in (True, False):
            with pytest.raises(problem, match=words):
                kernel.forward(cell, p, x, s, mask, False, tape)
    y, end, tape = kernel.forward(cell, p, x, s, None, False)
    with pytest.raises(TypeError, match="dys holds numbers of dtype float32"):
        kernel.backward(cell, p, tape, y.astype("float32"), end)
    with pytest.raises(ValueError, match=r"ds has the shape \(3, 2\)"):
        kernel.backward(cell, p, tape, y, (end[0][:, :2], end[1]))
