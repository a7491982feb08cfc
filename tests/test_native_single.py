"""The compiled kernel where a thread has one row: the same numbers as the loop's in float64, however time is cut."""

from dataclasses import replace

import numpy as np
import pytest
from test_native import EACH_CELL, EACH_SET, tame

from xprnn import cells, tree
from xprnn.backend import backend
from xprnn.kernels import cpu, loop
from xprnn.scan import scan
from xprnn.testing import Case, compare

pytestmark = pytest.mark.skipif(not cpu.INSTRUCTIONS, reason="the kernel for CPUs was not built")
DOUBLES = backend("numpy", "float64")


def near_the_loop(case, a):
    """Assert that forward and backward give what the loop makes of the same numbers in float64."""
    a = tree.map(lambda v: v if v.dtype == bool else case.rounded(v), tuple(a))
    a = type(case.draw())(*a)
    wanted = replace(case, kernel=loop, backend=DOUBLES).run(a)
    compare.close("one row", case, case.run(a), wanted, 20 * case.tolerance)


@EACH_SET
@EACH_CELL
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_sizes(instructions, make, dtype):
    rng = np.random.default_rng(0)
    for seed in range(12):
        steps = int(rng.integers(1, 9) if seed % 2 else rng.integers(9, 60))
        case = Case(
            make(int(rng.integers(1, 131))), backend("numpy", dtype), cpu.CPU(1, instructions), reverse=bool(seed & 2),
            padding="holes" if seed % 3 else "none", dropout=0.4 * (seed % 5 == 0),
            features=int(rng.integers(1, 131)), steps=steps, batch=1, seed=seed,
        )  # fmt: skip
        a = tame(case)
        near_the_loop(case, a)
        placed = case.place(a)
        taped, bare = case.forward(placed), case.forward(placed, tape=False)
        compare.identical("without a tape", case, dict(y=bare[0], end=bare[1]), dict(y=taped[0], end=taped[1]))


@EACH_SET
@EACH_CELL
def test_time_may_be_cut_anywhere(instructions, make):
    # Pieces of one step and of a few are walked over weights as they are, longer ones over weights laid out anew.
    case = Case(make(37), DOUBLES, cpu.CPU(1, instructions), features=21, steps=40, batch=1)
    a = case.place(tame(case))
    whole, end, _ = case.forward(a, tape=False)
    state, at, parts = a.s, 0, []
    for length in (1, 1, 1, 3, 4, 5, 1, 20, 4):
        part, state, _ = scan(case.cell, a.p, a.x[at : at + length], state, kernel=case.kernel, tape=False)
        parts.append(part)
        at += length
    assert at == 40
    compare.close("cuts", case, dict(y=np.concatenate(parts), s=state), dict(y=whole, s=end), 1e-13)


@EACH_SET
@EACH_CELL
def test_a_row_of_a_thread_is_that_row_alone(instructions, make):
    case = Case(make(90), DOUBLES, cpu.CPU(2, instructions), dropout=0.4, features=60, steps=400, batch=2)
    a = tame(case)._replace(mask=np.random.default_rng(0).random((400, 2)) < 0.7)
    near_the_loop(case, a)
    ys, end, _ = case.forward(case.place(a))
    for row in range(2):
        p = {name: v[row : row + 1] if name == "keep" else v for name, v in a.p.items()}
        own = slice(row, row + 1)
        s, mask = tuple(v[own] for v in a.s), a.mask[:, own, None]
        y, last, _ = scan(case.cell, p, a.x[:, own], s, mask=mask, kernel=case.kernel)
        compare.identical("rows", case, dict(y=y, s=last), dict(y=ys[:, own], s=tuple(v[own] for v in end)))


@EACH_CELL
def test_what_a_masked_step_leaves_unwritten_is_not_read(make, monkeypatch):
    case = Case(make(19), DOUBLES, cpu.CPU(1), padding="holes", steps=12, batch=1)
    a = tame(case)
    wanted = case.run(a)
    monkeypatch.setattr(cpu, "_allocator", lambda x: lambda shape: np.full(shape, np.nan, x.dtype))
    compare.identical("unwritten", case, case.run(a), wanted)


@pytest.mark.parametrize("steps", [1, 30])
def test_arrays_laid_out_otherwise(steps):
    cell, rng = cells.LSTM(24), np.random.default_rng(0)
    p = {name: v.astype("float32") for name, v in cell.init(rng, 5).items()}
    x = rng.normal(size=(steps, 1, 5)).astype("float32")
    s = tuple(rng.normal(size=(1, 24)).astype("float32") for _ in range(2))
    wanted = scan(cell, p, x, s, kernel=cpu.CPU(1), tape=False)[:2]
    strided = np.repeat(np.repeat(x, 2, axis=2), 3, axis=0)[::3, :, ::2]
    backwards = np.ascontiguousarray(x[::-1])[::-1]
    fortran = {name: np.asfortranarray(v) for name, v in p.items()}
    for other in (strided, backwards):
        got = scan(cell, fortran, other, s, kernel=cpu.CPU(1), tape=False)[:2]
        compare.identical("layout", cell, dict(y=got[0], s=got[1]), dict(y=wanted[0], s=wanted[1]))


@EACH_SET
@EACH_CELL
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_step_is_a_sequence_of_one(instructions, make, library):
    if library == "torch":
        pytest.importorskip("torch")
    for batch, features, hidden, dtype in ((1, 32, 64, "float32"), (1, 5, 3, "float64"), (3, 9, 21, "float32")):
        case = Case(make(hidden), backend(library, dtype), cpu.CPU(1, instructions), features=features, batch=batch)
        a = case.place(tame(case))
        wanted, end, _ = case.kernel.forward(case.cell, a.p, a.x[:1], a.s, None, False, False)
        y, s = case.kernel.step(case.cell, a.p, a.x[0], a.s)
        met, whole = tree.map(case.backend.to_numpy, ((y, s), (wanted[0], end)))
        compare.identical("step", case, dict(y=met[0], s=met[1]), dict(y=whole[0], s=whole[1]))
        places = {np.asarray(v).ctypes.data for v in (y, *s, *a.s)}
        assert len(places) == 1 + 2 * len(s), "a step's output and the states are arrays of their own"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_step_of_arrays_laid_out_otherwise(dtype):
    cell, rng = cells.LSTM(24), np.random.default_rng(0)
    p = {name: v.astype(dtype) for name, v in cell.init(rng, 5).items()}
    x = rng.normal(size=(3, 5)).astype(dtype)
    s = tuple(rng.normal(size=(3, 24)).astype(dtype) for _ in range(2))
    wanted = cpu.CPU().step(cell, p, x, s)
    strided = np.repeat(np.repeat(x, 2, axis=1), 3, axis=0)[::3, ::2]
    turned = np.ascontiguousarray(x[::-1])[::-1]
    fortran = {name: np.asfortranarray(v) for name, v in p.items()}
    for other in (strided, turned, np.asfortranarray(x)):
        met = cpu.CPU().step(cell, fortran, other, tuple(map(np.asfortranarray, s)))
        compare.identical("layout", cell, dict(y=met[0], s=met[1]), dict(y=wanted[0], s=wanted[1]))


def test_a_step_that_does_not_fit_is_told():
    cell, x, kernel = cells.LSTM(3), np.ones((2, 4)), cpu.CPU()
    p, s = cell.init(np.random.default_rng(0), 4), (np.ones((2, 3)), np.ones((2, 3)))
    for wrong, message in (
        ((p | {"Wx": np.ones((5, 12))}, x, s), r"Wx has the shape \(5, 12\), expected \(4, 12\)"),
        ((p | {"Wh": p["Wh"][:, :9]}, x, s), r"Wh has the shape \(3, 9\), expected \(3, 12\)"),
        ((p | {"b": np.ones(13)}, x, s), r"bx has the shape \(13\), expected \(12\)"),
        ((p, x, (s[0], s[1][:1])), r"c has the shape \(1, 3\), expected \(2, 3\)"),
        ((p, x[:1], s), r"h has the shape \(2, 3\), expected \(1, 3\)"),
        ((p, x[None], s), r"x of a step is \(B, D\), not of 3 axes"),
        ((p, x.astype(int), s), "the format is f or d"),
    ):
        with pytest.raises(ValueError, match=message):
            kernel.step(cell, *wrong)
    for wrong in (p | {"Wh": p["Wh"].astype("float32")}, p | {"Wh": p["Wh"].astype(int)}):
        with pytest.raises(TypeError, match=r"Wh holds numbers of format [fl], expected d"):
            kernel.step(cell, wrong, x, s)


@EACH_SET
def test_infinite_states_go_where_they_go_in_the_loop(instructions):
    case = Case(cells.RNN(19, "relu"), DOUBLES, cpu.CPU(1, instructions), steps=12, batch=1)
    a = tame(case)
    a.s[0][0, 3] = np.inf
    with np.errstate(invalid="ignore"):
        here, there = (one.forward(one.place(a), tape=False)[0] for one in (case, replace(case, kernel=loop)))
    np.testing.assert_array_equal(np.isnan(here), np.isnan(there))
    np.testing.assert_allclose(here, there, rtol=1e-12)
