"""Activations: values against formulas and PyTorch, slopes against differences, and nothing that overflows."""

import math
import warnings

import array_api_compat.numpy as xp
import numpy as np
import pytest

from xprnn.arrays import namespace
from xprnn.ops.activations import ACTIVATIONS, Activation, get, parse, sigmoid

NUMBERED = [
    "affine(1.5, -0.25)", "clip(2) affine(-2, 0.5)", "clip(1.5) sigmoid", "clip(2.25) tanh", "elu(0.7)",
    "hard_sigmoid(0.2, 0.5)", "leaky_relu(0.3)", "leaky_relu(1.5)", "scaled_tanh(1.7159, 0.6667)",
    "thresholded_relu(0.5)",
]  # fmt: skip
NAMES = sorted(ACTIVATIONS) + NUMBERED
POINTS = np.linspace(-6.03, 6.07, 122)
FORMULAS = {
    "identity": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.where(x > 0, x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * (np.exp(x) - 1)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu": np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2)))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "exp": np.exp,
    "affine(1.5, -0.25)": lambda x: 1.5 * x - 0.25,
    "clip(2) affine(-2, 0.5)": lambda x: -2 * np.clip(x, -2, 2) + 0.5,
    "clip(1.5) sigmoid": lambda x: 1 / (1 + np.exp(-np.clip(x, -1.5, 1.5))),
    "clip(2.25) tanh": lambda x: np.tanh(np.clip(x, -2.25, 2.25)),
    "elu(0.7)": lambda x: np.where(x > 0, x, 0.7 * (np.exp(x) - 1)),
    "hard_sigmoid(0.2, 0.5)": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "leaky_relu(0.3)": lambda x: np.where(x > 0, x, 0.3 * x),
    "leaky_relu(1.5)": lambda x: np.where(x > 0, x, 1.5 * x),
    "scaled_tanh(1.7159, 0.6667)": lambda x: 1.7159 * np.tanh(0.6667 * x),
    "thresholded_relu(0.5)": lambda x: np.where(x > 0.5, x, 0),
}
TORCH = {
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "relu": "relu",
    "leaky_relu": "leaky_relu",
    "elu": "elu",
    "selu": "selu",
    "softsign": "softsign",
    "silu": "silu",
    "hard_sigmoid": "hardsigmoid",
    "hard_tanh": "hardtanh",
    "exp": "exp",
    "gelu": "gelu",
}


def slope(activation, xp, x):
    return activation.slope(xp, activation.saved(x, activation.function(xp, x)))


def test_parts_of_a_name():
    assert parse("tanh") == (None, "tanh", ())
    assert parse("clip(1.5) scaled_tanh(1.7159, -2e-1)") == (1.5, "scaled_tanh", (1.7159, -0.2))


@pytest.mark.parametrize("name", FORMULAS)
def test_values(name):
    np.testing.assert_allclose(get(name).function(xp, POINTS), FORMULAS[name](POINTS), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_slope_is_the_central_difference(name):
    f, step = get(name), 1e-6
    difference = (f.function(xp, POINTS + step) - f.function(xp, POINTS - step)) / (2 * step)
    np.testing.assert_allclose(slope(f, xp, POINTS), difference, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_huge_inputs_stay_finite_and_keep_their_dtype(name, dtype):
    x = np.asarray([-1e30, -1e4, -100, -0.0, 0.0, 100, 1e4, 1e30], dtype=dtype)
    x = -np.abs(x) if name == "exp" else x
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = get(name).function(xp, x), slope(get(name), xp, x)
    for result in results:
        assert result.dtype == dtype
        assert np.all(np.isfinite(result))


@pytest.mark.parametrize("name", NAMES)
def test_nan_is_not_hidden(name):
    x = np.asarray([np.nan, 1.0])
    assert np.isnan(get(name).function(xp, x)[0])


@pytest.mark.parametrize("name", sorted(TORCH))
def test_values_and_slopes_are_pytorchs_corners_included(name):
    torch = pytest.importorskip("torch")
    points = np.asarray([-20.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 20.0])
    x = torch.tensor(points, requires_grad=True)
    y = (getattr(torch.nn.functional, TORCH[name], None) or getattr(torch, TORCH[name]))(x)
    y.sum().backward()
    np.testing.assert_allclose(get(name).function(xp, points), y.detach().numpy(), rtol=1e-12, atol=1e-12)
    # PyTorch's 1/6 in hardsigmoid is float32's.
    np.testing.assert_allclose(slope(get(name), xp, points), x.grad.numpy(), rtol=1e-7, atol=1e-12)


def test_gelu_tanh_is_pytorchs():
    torch = pytest.importorskip("torch")
    points = np.concatenate([POINTS, [-50.0, -10.5, 10.5, 50.0]])
    x = torch.tensor(points, requires_grad=True)
    y = torch.nn.functional.gelu(x, approximate="tanh")
    y.sum().backward()
    np.testing.assert_allclose(get("gelu_tanh").function(xp, points), y.detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(slope(get("gelu_tanh"), xp, points), x.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_every_library_gives_the_same(name, row):
    f, x = get(name), row.put(POINTS)
    library = namespace(x)
    tolerance = {"rtol": 2e-5, "atol": 1e-5} if row.dtype == "float32" else {"rtol": 1e-12, "atol": 1e-14}
    np.testing.assert_allclose(row.get(f.function(library, x)), f.function(xp, POINTS), **tolerance)
    np.testing.assert_allclose(row.get(slope(f, library, x)), slope(f, xp, POINTS), **tolerance)


def test_saved_is_what_the_slope_wants():
    assert get("tanh").saved("x", "y") == "y"
    assert get("silu").saved("x", "y") == "x"


def test_get_knows_names_and_other_names_and_activations():
    own = Activation("cube", lambda xp, x: x**3, lambda xp, x: 3 * x**2, "input")
    assert get("tanh").name == "tanh"
    assert get("linear") is get("identity")
    assert get("swish") is get("silu")
    assert get(own) is own


def test_get_lists_what_there_is():
    with pytest.raises(ValueError, match=r"no activation 'glu'; there are: .*gelu_tanh.*tanh"):
        get("glu")


def test_sigmoid_is_half_at_zero_and_rises():
    np.testing.assert_array_equal(sigmoid(xp, np.asarray([0.0, -1e3, 1e3])), [0.5, 0.0, 1.0])


WRONG = [
    "tanh(1)", "affine", "affine(1)", "elu(1, 2)", "clip tanh", "clip(0) tanh", "clip(1) clip(1) tanh", "x", "",
    "elu(1e999)", "clip(1e999) tanh",
]  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_activation(name):
    with pytest.raises(ValueError, match=r"no activation|has [12] numbers?, not|must be above 0|are finite"):
        get(name)


def test_a_name_of_a_million_digits_is_looked_at_in_no_time():
    with pytest.raises(ValueError, match="no activation"):
        get("elu(" + "9" * 10**6)


@pytest.mark.parametrize("name", NAMES)
def test_a_slope_is_an_array_of_its_own(name):
    f, x = get(name), np.linspace(-2.0, 2.0, 5)
    seen = f.saved(x, f.function(np, x))
    assert not np.shares_memory(f.slope(np, seen), seen)
