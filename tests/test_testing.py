"""The public checks pass what is right and name what is wrong: each mistake is caught by a law that it breaks."""

from dataclasses import dataclass

import numpy as np
import pytest

from xprnn import cells
from xprnn.backend import backend
from xprnn.kernels import loop
from xprnn.layers.dense import Dense
from xprnn.testing import CELL_LAWS, LAYER_LAWS, Case, check_cell, check_kernel, check_layer, hold


@dataclass(frozen=True)
class Leaky(cells.Cell):
    """A cell of a user's own: h' = h / 2 + tanh(x Wx + h Wh) / 2."""

    hidden: int
    takes_dropout = True

    def init(self, rng, features):
        return {"Wx": rng.normal(size=(features, self.hidden)), "Wh": rng.normal(size=(self.hidden, self.hidden))}

    def project(self, xp, p, x):
        return x @ p["Wx"]

    def step(self, xp, p, u, s):
        (h,) = s
        t = xp.tanh(u + self.seen(p, h) @ p["Wh"])
        return (0.5 * h + 0.5 * t,), (t,)

    def linearize(self, xp, p, s, new, saved):
        (t,) = saved
        return (0.5 * (1.0 - t * t),)

    def step_vjp(self, xp, p, k, ds):
        (slope,), (dh,) = k, ds
        dz = dh * slope
        return (0.5 * dh + self.seen(p, dz @ p["Wh"].T),), (dz,)

    def project_vjp(self, xp, p, x, s, k, delta):
        (h,), (dz,) = s, delta
        return dz @ p["Wx"].T, {"Wx": x.T @ dz, "Wh": self.seen(p, h).T @ dz}

    def seen(self, p, h):
        return h * p["keep"] if "keep" in p else h


class ForgetsTheLeak(Leaky):
    def step_vjp(self, xp, p, k, ds):
        dz = ds[0] * k[0]
        return (self.seen(p, dz @ p["Wh"].T),), (dz,)


class DropsOnOneWayOnly(Leaky):
    def step_vjp(self, xp, p, k, ds):
        dz = ds[0] * k[0]
        return (0.5 * ds[0] + dz @ p["Wh"].T,), (dz,)


class DropsUnasked(Leaky):
    takes_dropout = False


class DropsNothing(Leaky):
    def seen(self, p, h):
        return h


class MixesRows(Leaky):
    def project(self, xp, p, x):
        return x @ p["Wx"] + xp.sum(x) / 100


class CountsInFloat64(Leaky):
    def linearize(self, xp, p, s, new, saved):
        return (np.float64(0.5) * (1.0 - saved[0] * saved[0]),)


class PassesThroughFloat64(Leaky):
    def step(self, xp, p, u, s):
        t = xp.astype(xp.tanh(xp.astype(u + self.seen(p, s[0]) @ p["Wh"], xp.float64)), u.dtype)
        return (0.5 * s[0] + 0.5 * t,), (t,)


class WritesIntoItsArguments(Leaky):
    def linearize(self, xp, p, s, new, saved):
        (t,) = saved
        t *= t
        return (0.5 * (1.0 - t),)


class WritesIntoTheTape(Leaky):
    def linearize(self, xp, p, s, new, saved):
        return saved

    def step_vjp(self, xp, p, k, ds):
        (t,), (dh,) = k, ds
        t *= t
        dz = dh * (0.5 - 0.5 * t)
        return (0.5 * dh + self.seen(p, dz @ p["Wh"].T),), (dz,)


class HasABend(Leaky):
    def step_vjp(self, xp, p, k, ds):
        (slope,), (dh,) = k, ds
        dz = dh * slope + 1e-3 * dh * dh
        return (0.5 * dh + self.seen(p, dz @ p["Wh"].T),), (dz,)


class LosesAKey(Leaky):
    def project_vjp(self, xp, p, x, s, k, delta):
        dx, dp = super().project_vjp(xp, p, x, s, k, delta)
        return dx, {"Wx": dp["Wx"]}


class Overflows(Leaky):
    def project(self, xp, p, x):
        return xp.exp(x @ p["Wx"])


class LooksOnTheHost(Leaky):
    def project(self, xp, p, x):
        return x @ p["Wx"] + float(np.asarray(x)[0, 0]) * 0.0


MISTAKES = {
    ForgetsTheLeak: {"gradient"},
    DropsOnOneWayOnly: {"gradient"},
    DropsUnasked: {"dropout"},
    DropsNothing: {"dropout"},
    MixesRows: {"gradient", "padding", "rows", "chunk"},
    CountsInFloat64: {"precision"},
    PassesThroughFloat64: {"precision"},
    WritesIntoItsArguments: {"linear", "pure"},
    WritesIntoTheTape: {"linear", "pure"},
    HasABend: {"gradient", "linear"},
    LosesAKey: {"gradient", "alike"},
    Overflows: {"finite", "gradient"},
}


@pytest.mark.parametrize("cell", [Leaky(5), cells.GRU(3)], ids=str)
def test_right_cells_pass(cell):
    check_cell(cell, features=2, namespaces=("numpy",), seed=5)


@pytest.mark.parametrize("namespace", ["torch", "array_api_strict:device1"])
def test_a_right_cell_passes_on_other_libraries(namespace):
    pytest.importorskip(namespace.partition(":")[0])
    check_cell(Leaky(3), namespaces=(namespace,))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_wrong_cells_are_named(mistake):
    with pytest.raises(AssertionError) as caught:
        check_cell(mistake(5))
    law, _, rest = str(caught.value).partition(", for ")
    assert law in MISTAKES[mistake] & CELL_LAWS.keys()
    assert rest.startswith(f"{mistake.__name__}(hidden=5) on NumPy on cpu in float")


def test_a_mistake_of_gradients_names_the_leaf():
    with pytest.raises(AssertionError, match=r"wrong: p\.Wx .* \(numerically "):
        check_cell(ForgetsTheLeak(5))


def test_host_arrays_show_on_a_strict_library():
    pytest.importorskip("array_api_strict")
    with pytest.raises((TypeError, RuntimeError, ValueError)):
        check_cell(LooksOnTheHost(5), namespaces=("array_api_strict:device1",))


@dataclass(frozen=True)
class Doubled(Dense):
    """Dense whose gradient is wrong by a factor."""

    def backward(self, p, tape, dy, dstate):
        dx, ds, grads = super().backward(p, tape, dy, dstate)
        return dx, ds, {name: 2 * g for name, g in grads.items()}


@dataclass(frozen=True)
class LooksAtPadding(Dense):
    """Dense that multiplies what stands in padding by zero."""

    def backward(self, p, tape, dy, dstate):
        rows, kept, mask = tape
        dx, ds, grads = super().backward(p, (rows, kept, None), dy if mask is None else dy * mask[..., None], dstate)
        return dx, ds, grads


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("layer, law", [(Doubled(3), "gradient"), (LooksAtPadding(3), "padding")], ids=str)
def test_wrong_layers_are_named(layer, law):
    check_layer(Dense(3), (None, 4))
    with pytest.raises(AssertionError, match=f"^{law}, for {type(layer).__name__}") as caught:
        check_layer(layer, (None, 4))
    assert law in LAYER_LAWS
    assert "p." in str(caught.value) or "dp." in str(caught.value)


class Kernel:
    """The general kernel under another name, with one mistake if ``wrong``; it takes no masks."""

    def __init__(self, wrong=False, takes=True):
        self.wrong, self.takes = wrong, takes

    def accepts(self, cell, x, mask):
        return self.takes and mask is None

    def forward(self, cell, p, x, s, mask, reverse, tape=True, outputs=True):
        return loop.forward(cell, p, x, s, mask, reverse and not self.wrong, tape, outputs)

    def backward(self, cell, p, tape, dys, ds, inputs=True):
        dx, ds, dp = loop.backward(cell, p, tape, dys, ds, inputs)
        return (2 * dx if self.wrong and inputs else dx), ds, dp


def test_kernels_are_checked_where_they_accept():
    check_kernel(Kernel(), cells.LSTM(4))
    with pytest.raises(AssertionError, match="gradient, for LSTM"):
        check_kernel(Kernel(wrong=True), cells.LSTM(4))
    with pytest.raises(AssertionError, match="does not accept LSTM"):
        check_kernel(Kernel(takes=False), cells.LSTM(4))


class GivesOutputs(Kernel):
    def forward(self, cell, p, x, s, mask, reverse, tape=True, outputs=True):
        return loop.forward(cell, p, x, s, mask, reverse, tape)


class GivesDx(Kernel):
    def backward(self, cell, p, tape, dys, ds, inputs=True):
        return loop.backward(cell, p, tape, dys, ds)


class SkipsTooMuch(Kernel):
    def backward(self, cell, p, tape, dys, ds, inputs=True):
        dx, ds, dp = loop.backward(cell, p, tape, dys, ds, inputs)
        return dx, ds, dp if inputs else dp | {"Wx": 0 * dp["Wx"]}


class EndsElsewhere(Kernel):
    def forward(self, cell, p, x, s, mask, reverse, tape=True, outputs=True):
        ys, end, kept = loop.forward(cell, p, x, s, mask, reverse, tape, outputs)
        return ys, end if outputs or tape else s, kept


@pytest.mark.parametrize("kernel", [GivesOutputs(), GivesDx(), SkipsTooMuch(), EndsElsewhere()])
def test_kernels_that_do_not_do_as_asked_are_named(kernel):
    with pytest.raises(AssertionError, match=r"^unasked, for LSTM"):
        hold("unasked", Case(cells.LSTM(4), backend("numpy", "float64"), kernel))
