"""The layers without recurrence: each law over all of them, by value, and what they refuse."""

import math

import numpy as np
import pytest
from layer_cases import CASES, MASK, B, D, T, V, inputs, run

from xprnn.layers.activation import Activation
from xprnn.layers.base import Context
from xprnn.layers.dense import Dense
from xprnn.layers.dropout import Dropout
from xprnn.layers.embedding import Embedding
from xprnn.layers.layer_norm import LayerNorm
from xprnn.layers.masking import Masking
from xprnn.layers.pooling import Pooling
from xprnn.layers.time_distributed import TimeDistributed
from xprnn.random import Key


def value(layer, x, p, mask, dy):
    """Σ y dy over real steps."""
    y, _, _ = layer.forward(p, x, None, Context(mask, Key(3)))
    return float(np.nansum(y * dy))


@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "masked"])
@pytest.mark.parametrize("name", CASES)
def test_gradient_is_the_directional_derivative(name, mask):
    layer = CASES[name]
    x, p = inputs(layer, mask)
    done = run(layer, x, p, mask)
    rng, step = np.random.default_rng(2), 1e-6
    along = {key: rng.normal(size=w.shape) for key, w in p.items()}
    towards = rng.normal(size=x.shape) if done.dx is not None else np.zeros(x.shape, int)
    if isinstance(layer, Masking):
        towards[x == layer.mask_value] = 0.0
    sides = [
        value(layer, x + side * towards if done.dx is not None else x, {k: w + side * along[k] for k, w in p.items()},
              mask, done.dy)
        for side in (step, -step)
    ]
    slope = sum(float(np.sum(done.grads[key] * along[key])) for key in p)
    slope += 0.0 if done.dx is None else float(np.sum(done.dx * towards))
    assert slope != 0.0
    assert math.isclose((sides[0] - sides[1]) / (2 * step), slope, rel_tol=1e-7, abs_tol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_padding_changes_nothing(name):
    layer = CASES[name]
    x, p = inputs(layer, MASK)
    y, _ = inputs(layer, MASK, padding=np.inf)
    layer.check(x, MASK)
    first, second = run(layer, x, p, MASK), run(layer, y, p, MASK)
    real = slice(None) if first.mask is None else first.mask
    np.testing.assert_array_equal(first.y[real], second.y[real])
    for key in p:
        np.testing.assert_array_equal(first.grads[key], second.grads[key])
    if first.dx is not None:
        np.testing.assert_array_equal(first.dx, second.dx)
        np.testing.assert_array_equal(first.dx[~MASK], 0.0)


@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "masked"])
@pytest.mark.parametrize("name", CASES)
def test_every_library_gives_the_same(name, mask, row):
    layer = CASES[name]
    x, p = inputs(layer, mask)
    expected = run(layer, x, p, mask)
    found = run(layer, x, p, mask, row.put, row.get, row.dtype)
    tolerance = {"rtol": 2e-4, "atol": 2e-5} if row.dtype == "float32" else {"rtol": 1e-10, "atol": 1e-12}
    assert (found.dx is None) == (expected.dx is None)
    np.testing.assert_allclose(found.y, expected.y, **tolerance)
    for key in p:
        np.testing.assert_allclose(found.grads[key], expected.grads[key], **tolerance)
    if found.dx is not None:
        np.testing.assert_allclose(found.dx, expected.dx, **tolerance)


@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "masked"])
@pytest.mark.parametrize("name", CASES)
def test_no_layer_waits_for_its_device(name, mask):
    torch = pytest.importorskip("torch")

    def put(x):
        return torch.from_numpy(x.copy()).to("meta")

    layer = CASES[name]
    x, p = inputs(layer, mask)
    p = {key: put(w) for key, w in p.items()}
    y, _, tape = layer.forward(p, put(x), None, Context(None if mask is None else put(mask), Key(3)))
    dx, _, grads = layer.backward(p, tape, y, ())
    assert dx is None or dx.shape == x.shape
    assert {key: g.shape for key, g in grads.items()} == {key: w.shape for key, w in p.items()}


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].streams and name != "dropout"])
def test_one_step_at_a_time_is_the_whole_sequence(name):
    layer = CASES[name]
    x, p = inputs(layer)
    whole = layer.forward(p, x, None, Context())[0]
    steps = [layer.forward(p, x[:, t : t + 1], None, Context())[0] for t in range(T)]
    np.testing.assert_allclose(np.concatenate(steps, axis=1), whole, rtol=1e-13)


@pytest.mark.parametrize("batch, steps", [(0, T), (B, 0)])
@pytest.mark.parametrize("name", CASES)
def test_nothing_comes_of_nothing(name, batch, steps, row):
    layer = CASES[name]
    mask = np.ones((batch, steps), dtype=bool)
    x, p = inputs(layer, mask, batch=batch, steps=steps)
    layer.check(x, mask)
    done = run(layer, x, p, mask, row.put, row.get, row.dtype)
    assert done.y.shape[0] == batch
    assert not done.y.any()
    assert done.dx is None or done.dx.shape == x.shape
    for key in p:
        np.testing.assert_array_equal(done.grads[key], np.zeros(p[key].shape))


@pytest.mark.parametrize("name", CASES)
def test_init_foretells_the_shape(name):
    layer = CASES[name]
    x, p = inputs(layer)
    fresh, out = layer.init(np.random.default_rng(0), (None, *x.shape[2:]))
    y = layer.forward(p, x, None, Context())[0]
    wanted = tuple(n if m is None else m for m, n in zip(out, y.shape[1:], strict=True))
    assert y.shape == (B, *wanted)
    assert all(w.dtype == np.float64 for w in fresh.values())
    again, _ = layer.init(np.random.default_rng(0), (None, *x.shape[2:]))
    for key in fresh:
        np.testing.assert_array_equal(fresh[key], again[key])


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: Dense(0), r"Dense: units must be an integer above 0, not 0"),
        (lambda: Dense(2.5), r"Dense: units must be an integer above 0, not 2.5"),
        (lambda: Dense(2, "glu"), r"no activation 'glu'"),
        (lambda: Embedding(0, 2), r"Embedding: vocab must be"),
        (lambda: Embedding(2, True), r"Embedding: units must be .* not True"),
        (lambda: Dropout(1.0), r"Dropout: rate must be a number from 0 to below 1, not 1.0"),
        (lambda: Dropout(-0.1), r"Dropout: rate"),
        (lambda: Dropout(math.nan), r"Dropout: rate"),
        (lambda: LayerNorm(0.0), r"LayerNorm: epsilon must be above 0"),
        (lambda: Activation("bend"), r"no activation 'bend'"),
        (lambda: Pooling("sum"), r"Pooling: kind must be one of last, mean, max, not 'sum'"),
    ],
)
def test_layers_refuse_what_they_cannot_be(make, error):
    with pytest.raises(ValueError, match=error):
        make()


@pytest.mark.parametrize(
    "layer, shape, error",
    [
        (Dense(2), (None,), r"takes .*features,\) or \(time, features\).*not \(None,\); token ids need an Embedding"),
        (Dense(2), (None, None), r"Dense takes .*not \(None, None\)"),
        (Dense(2), (4, None, 3), r"Dense takes .*not \(4, None, 3\)"),
        (LayerNorm(), (), r"LayerNorm takes .*not \(\)"),
        (Dropout(0.1), (None,), r"Dropout takes"),
        (Activation("tanh"), (None,), r"Activation takes"),
        (Pooling("max"), (3,), r"Pooling takes samples of shape \(time, features\) .*not \(3,\)"),
        (Masking(), (3,), r"Masking takes samples of shape \(time, features\) .*not \(3,\)"),
        (Embedding(V, 2), (None, 3), r"Embedding takes .*, of shape \(time,\) or \(\), not \(None, 3\)"),
        (Embedding(V, 2, mask_zero=True), (), r"mask_zero takes samples of shape \(time,\)"),
        (TimeDistributed(Dense(2)), (), r"TimeDistributed takes samples of shape \(time, \.\.\.\), not \(\)"),
        (TimeDistributed(Dense(2)), (3,), r"Dense takes .*not \(\)"),
    ],
)
def test_init_refuses_shapes_that_do_not_fit(layer, shape, error):
    with pytest.raises(ValueError, match=error):
        layer.init(np.random.default_rng(0), shape)


@pytest.mark.parametrize(
    "name, shape, error",
    [
        ("dense", (B, T, 2), r"Dense met x of shape \(4, 5, 2\); .* want \(batch, 3\) or \(batch, time, 3\)"),
        ("dense", (D,), r"Dense met x of shape \(3,\)"),
        ("layer norm", (B, 1), r"LayerNorm met x of shape \(4, 1\)"),
        ("last", (B, D), r"Pooling met x of shape \(4, 3\); it takes \(batch, time, features\)"),
        ("masking", (B, D), r"Masking met x of shape \(4, 3\)"),
        ("time distributed", (B,), r"TimeDistributed met x of shape \(4,\)"),
        ("time distributed", (B, T, 2), r"Dense met x of shape \(20, 2\)"),
    ],
)
def test_forward_refuses_shapes_that_do_not_fit(name, shape, error):
    _, p = inputs(CASES[name])
    with pytest.raises(ValueError, match=error):
        CASES[name].forward(p, np.zeros(shape), None, Context())
