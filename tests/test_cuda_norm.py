"""The GPU kernel of the layer-normalized LSTM, run on the CPU: the laws, sizes, threads, and bugs that are seen."""

from dataclasses import replace

import numpy as np
import pytest
from emulation import MISSING, Emulated

from xprnn import cells
from xprnn.backend import backend
from xprnn.kernels import NAMED, loop
from xprnn.kernels.cuda_norm import CUDANorm
from xprnn.testing import CELL_LAWS, CELL_SETTINGS, Case, compare, hold

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

CELLS = {"gains": cells.LayerNormLSTM(5, bias=False, epsilon=0.1), "biases": cells.LayerNormLSTM(5)}
TRIED = [(law, "biases") for law in CELL_LAWS if law not in ("precision", "namespaces")]  # which the others imply
TRIED += [("kernel", "gains"), ("gradient", "gains")]


def case(cell, dtype="float64", kernel=None, **setting):
    return Case(cell, backend("numpy", dtype), kernel or CUDANorm(device=Emulated()), **setting)


@pytest.mark.parametrize(("law", "name"), TRIED)
def test_law(law, name):
    for dtype in ("float64", "float32") if law in ("kernel", "finite") else ("float64",):
        for setting in CELL_SETTINGS if name == "biases" else CELL_SETTINGS[1:2]:
            one = case(CELLS[name], dtype, steps=4, **setting)
            assert one.accepted()
            hold(law, one)


@pytest.mark.parametrize("hidden, batch, steps", [(1, 2, 3), (33, 3, 2), (300, 1, 2), (7, 9, 70)])
def test_sizes_that_fill_no_block(hidden, batch, steps):
    one = case(cells.LayerNormLSTM(hidden, epsilon=0.1), batch=batch, steps=steps, padding="none", dropout=0.4)
    a = one.draw()
    compare.close("sizes", one, one.run(a), replace(one, kernel=loop).run(a), 100 * one.tolerance)


def test_the_order_of_threads_changes_no_bit():
    one = case(cells.LayerNormLSTM(40), "float32", padding="holes", dropout=0.4, steps=3)
    a = one.draw()
    other = replace(one, kernel=CUDANorm(device=Emulated(seed=1)))
    compare.identical("threads", one, other.run(a), one.run(a))


def test_arrays_laid_out_otherwise():
    one = case(CELLS["biases"], padding="holes", dropout=0.4, steps=4)
    a = one.draw()
    turned = a._replace(
        x=np.ascontiguousarray(a.x.swapaxes(0, 1)).swapaxes(0, 1), dys=np.repeat(a.dys, 2, axis=2)[..., ::2],
        p={name: np.repeat(v, 2, axis=-1)[..., ::2] for name, v in a.p.items()},
    )  # fmt: skip
    compare.identical("layout", one, one.run(turned), one.run(a))


@pytest.mark.parametrize("batch", [1, 3])
def test_a_step(batch):
    one = case(CELLS["biases"], batch=batch, dropout=0.4)
    a = one.draw()
    met, wanted = (kernel.step(one.cell, a.p, a.x[0], a.s) for kernel in (one.kernel, loop))
    compare.close("step", one, {"step": met}, {"step": wanted}, one.tolerance)


def test_products_are_as_precise_as_asked():
    one = case(cells.LayerNormLSTM(20, epsilon=0.1), "float32", features=20)
    a = one.draw()
    exact = replace(one, backend=backend("numpy", "float64"), kernel=loop).run(a)
    errors = []
    for precision in ("highest", "high", "medium"):
        met = replace(one, kernel=CUDANorm(precision, Emulated())).run(a)
        errors.append(max(np.max(np.abs(x - y)) for x, y in zip((met.y, met.dx), (exact.y, exact.dx), strict=True)))
    assert errors[0] < 3e-5 < errors[1] < errors[2] < 1


def test_what_it_takes():
    kernel, x = CUDANorm(device=Emulated()), np.ones((2, 3, 4))
    assert isinstance(NAMED["norm"], CUDANorm) and not NAMED["norm"].accepts(CELLS["biases"], x, None)
    assert kernel.accepts(CELLS["biases"], x, None) and not kernel.accepts(CELLS["biases"], x[:, :0], None)
    for cell in (cells.LSTM(5), cells.Zoneout(CELLS["biases"], (0.1, 0.1))):
        assert not kernel.accepts(cell, x, None)
        with pytest.raises(TypeError, match=r"does not run .*; kernel='loop' runs every cell on any array"):
            kernel.forward(cell, {}, x, (), None, False)
    p, s = CELLS["biases"].init(np.random.default_rng(0), 4), (np.zeros((3, 5)),) * 2
    with pytest.raises(ValueError, match=r"x has the shape \(2, 0, 4\), and .* take one number or more; kernel='loop'"):
        kernel.forward(CELLS["biases"], p, x[:, :0], (s[0][:0], s[1][:0]), None, False)
    with pytest.raises(ValueError, match=r"gh has the shape \(5,\), expected \(20,\)"):
        kernel.forward(CELLS["biases"], p | {"gh": p["gc"]}, x, s, None, False)


BUGS = {
    "a sum that misses a barrier": ("        __syncthreads();\n    }\n    const Real all", "    }\n    const Real all"),
    "parts overwritten while they are read": (
        "const Real all = parts[0];\n    __syncthreads();\n", "const Real all = parts[0];\n"
    ),
    "half of the threads left out": ("for (int half = THREADS / 2; half", "for (int half = THREADS / 4; half"),
    "epsilon that grows with x": ("static_cast<Real>(epsilon) / norm.unit / norm.unit", "static_cast<Real>(epsilon)"),
    "a row of another width": ("(sums, 4 * H, epsilon);\n    for", "(sums, 3 * H, epsilon);\n    for"),
    "the norm of the c before": ("(c + now, H, epsilon);\n    for", "(c + old, H, epsilon);\n    for"),
    "a step in padding": ("const Real next = real ? mine", "const Real next = true ? mine"),
    "no keep on the way back": ("keep ? through[i] * keep[i] : through[i]", "through[i]"),
    "the wrong way along c's norm": ("gc[unit] - sum - n * along)", "gc[unit] - sum + n * along)"),
    "c's mean passed by": ("gc[unit] - sum - n * along)", "gc[unit] - n * along)"),
    "the wide mean of a quarter": ("together<false>(wide_sum) / (4 * H)", "together<false>(wide_sum) / H"),
    "no gain on the way back": ("wide.rate * (dz[k] * gh[k] - wide_sum", "wide.rate * (dz[k] - wide_sum"),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_the_checks_see_it(name):
    kernel = CUDANorm(device=Emulated(edits=(("norm.cu", *BUGS[name]),)))
    large = case(cells.LayerNormLSTM(40), "float32", kernel, steps=2, batch=2)
    cases = [case(CELLS["biases"], kernel=kernel, steps=4, **setting) for setting in CELL_SETTINGS[1:3]] + [large]
    checks = [("kernel", one) for one in cases] + [("padding", cases[1]), ("finite", large), ("rows", large)]
    with pytest.raises((AssertionError, RuntimeError)):
        for law, one in checks:
            hold(law, one)
        met, wanted = ({"r": one.run(_huge(one))} for one in (large, replace(large, kernel=loop)))
        compare.close("huge", large, met, wanted, large.tolerance)


def _huge(one):
    a = one.draw()
    return a._replace(x=-1e30 * np.abs(a.x))
