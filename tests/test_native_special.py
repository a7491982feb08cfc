"""The compiled kernel on numbers that are not normal: NaN, infinities and denormals go where the loop takes them."""

import functools

import numpy as np
import pytest
from test_native import EACH_CELL, EACH_SET, tame

from xprnn import cells, tree
from xprnn.backend import backend
from xprnn.kernels import cpu, loop
from xprnn.scan import scan, scan_vjp
from xprnn.testing import Case

pytestmark = pytest.mark.skipif(not cpu.INSTRUCTIONS, reason="the kernel for CPUs was not built")
EACH_TYPE = pytest.mark.parametrize("dtype", ["float32", "float64"])
POISONS = (np.nan, np.inf, -np.inf, 1e-42, 1e-310)
UNIT, FEATURE, STEP, ROW = 17, 3, 2, 1  # the unit is in the last vector, which is not full


def put(array, place, poison):
    array = np.array(array)
    array[place] = poison
    return array


def poisoned(a, poison):
    """Name -> the inputs ``a`` with one number of one array replaced."""
    row = min(ROW, a.x.shape[1] - 1)
    units, steps = (row, UNIT), (STEP, row)
    found = {
        "x": a._replace(x=put(a.x, (*steps, FEATURE), poison)),
        "dys": a._replace(dys=put(a.dys, (*steps, UNIT), poison)),
    }
    for n in range(len(a.s)):
        found[f"s.{n}"] = a._replace(s=tuple(put(v, units, poison) if m == n else v for m, v in enumerate(a.s)))
        found[f"ds.{n}"] = a._replace(ds=tuple(put(v, units, poison) if m == n else v for m, v in enumerate(a.ds)))
    for name, value in a.p.items():
        if name != "keep":
            place = (UNIT,) if value.ndim == 1 else (FEATURE, UNIT)
            found[f"p.{name}"] = a._replace(p=a.p | {name: put(value, place, poison)})
    return found


def check_same(met, wanted, tolerance, masked):
    """Equal NaN, infinities and numbers. The loop multiplies the zeros of masked steps with what the state is there,
    which makes NaN of infinity; the kernel leaves those steps out.
    """
    met, wanted = (tree.flatten(one._asdict()) for one in (met, wanted))
    assert met.keys() == wanted.keys()
    for name, there in wanted.items():
        here, there = np.asarray(met[name]), np.asarray(there)
        known = ~np.isnan(there) if masked else np.ones(there.shape, bool)
        np.testing.assert_allclose(here[known], there[known], tolerance, tolerance, err_msg=name)


@functools.lru_cache(maxsize=4)
def looped(case):
    """Poison, its place, the inputs with it and what the loop makes of them, which every instruction set is held to."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        return [
            (poison, name, a, case.run(a)) for poison in POISONS for name, a in poisoned(tame(case), poison).items()
        ]


@EACH_SET
@EACH_CELL
@EACH_TYPE
@pytest.mark.parametrize(("padding", "batch"), [("none", 5), ("holes", 5), ("none", 1)])
def test_they_go_where_they_go_in_the_loop(instructions, make, dtype, padding, batch):
    dropout = 0.4 if dtype == "float64" else 0.0
    settings = {"padding": padding, "dropout": dropout, "steps": 6, "batch": batch, "features": 4}
    case = Case(make(19), backend("numpy", dtype), cpu.CPU(1, instructions), **settings)
    general = Case(make(19), backend("numpy", dtype), loop, **settings)
    for poison, name, a, wanted in looped(general):
        with np.errstate(invalid="ignore", over="ignore", under="ignore"):
            met = case.run(a)
        try:
            check_same(met, wanted, 100 * case.tolerance, padding != "none")
        except AssertionError as error:
            raise AssertionError(f"{poison} in {name} of {case}") from error


@EACH_SET
@EACH_CELL
@EACH_TYPE
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_in_padding_they_change_nothing(instructions, make, dtype, poison):
    case = Case(
        make(19), backend("numpy", dtype), cpu.CPU(1, instructions), padding="holes", steps=6, batch=5, features=4
    )
    a = tame(case)
    hidden = ~a.mask
    assert hidden.any() and a.mask.any()
    other = a._replace(x=put(a.x, hidden, poison), dys=put(a.dys, hidden, poison))
    clean, met = (tree.flatten(case.run(one)._asdict()) for one in (a, other))
    for name, value in clean.items():
        np.testing.assert_array_equal(met[name], value, err_msg=name)


@EACH_SET
@EACH_TYPE
@pytest.mark.parametrize("rows", [1, 5])
def test_denormals_are_not_taken_for_zero(instructions, dtype, rows):
    cell, whole = cells.RNN(19, "identity", bias=False), np.dtype(dtype.replace("float", "uint"))
    p = {"Wx": np.eye(19, dtype=dtype), "Wh": np.zeros((19, 19), dtype)}
    # The bits of a denormal, as an integer, count how many times the least of them it is.
    counts = np.arange(1, 3 * 19 * rows + 1, dtype=whole).reshape(3, rows, 19)
    x = counts.view(dtype)
    y, end, tape = scan(cell, p, x, kernel=cpu.CPU(1, instructions))
    dx, _, _ = scan_vjp(cell, p, tape, x)
    _, _, ones = scan(cell, p, np.ones_like(x), kernel=cpu.CPU(1, instructions))
    _, _, dp = scan_vjp(cell, p, ones, x)
    for met, wanted in ((y, counts), (end[0], counts[-1]), (dx, counts), (dp["Wx"][0], counts.sum(axis=(0, 1)))):
        np.testing.assert_array_equal(met.view(whole), wanted)
