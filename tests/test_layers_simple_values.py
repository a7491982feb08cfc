"""The layers without recurrence, one by one: their equations, PyTorch's numbers, what only they can do."""

import math

import numpy as np
import pytest
from layer_cases import FLOATS, MASK, TOKENS, B, D, T, V, inputs, run

from xprnn.arrays import namespace
from xprnn.layers.activation import Activation
from xprnn.layers.base import Context, Layer
from xprnn.layers.dense import Dense
from xprnn.layers.dropout import Dropout
from xprnn.layers.embedding import Embedding
from xprnn.layers.layer_norm import LayerNorm
from xprnn.layers.masking import Masking
from xprnn.layers.pooling import Pooling
from xprnn.layers.time_distributed import TimeDistributed
from xprnn.random import Key

# Dense


def test_dense_is_its_equation():
    x, p = inputs(FLOATS["dense"])
    y = Dense(4, "tanh").forward(p, x, None, Context())[0]
    np.testing.assert_allclose(y, np.tanh(np.einsum("btd,du->btu", x, p["W"]) + p["b"]), rtol=1e-13)
    flat = Dense(4, "tanh").forward(p, x[:, 0], None, Context())[0]
    np.testing.assert_allclose(flat, y[:, 0], rtol=1e-13)


def test_dense_is_pytorchs():
    torch = pytest.importorskip("torch")
    x, p = inputs(FLOATS["dense with softmax"])
    done = run(Dense(4, "softmax"), x, p, None)
    leaf, W, b = (torch.tensor(a.copy(), requires_grad=True) for a in (x, p["W"], p["b"]))
    y = torch.softmax(torch.nn.functional.linear(leaf, W.T, b), dim=-1)
    y.backward(torch.tensor(done.dy))
    np.testing.assert_allclose(done.y, y.detach(), rtol=1e-12)
    for ours, theirs in ((done.dx, leaf), (done.grads["W"], W), (done.grads["b"], b)):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-10, atol=1e-14)


def test_dense_begins_with_glorot_and_zeros():
    p, out = Dense(300).init(np.random.default_rng(0), (None, 200))
    assert out == (None, 300)
    bound = math.sqrt(6 / 500)
    assert 0.99 * bound < np.max(np.abs(p["W"])) <= bound
    assert not p["b"].any()
    assert Dense(2, bias=False).init(np.random.default_rng(0), (3,))[0].keys() == {"W"}


# Embedding


def test_embedding_is_rows_of_its_table():
    x, p = inputs(TOKENS["embedding"], MASK)
    done = run(Embedding(V, 4), x, p, MASK)
    wanted, gradient = np.zeros((B, T, 4)), np.zeros((V, 4))
    for b, t in np.argwhere(MASK):
        wanted[b, t] = p["W"][x[b, t]]
        gradient[x[b, t]] += done.dy[b, t]
    np.testing.assert_array_equal(done.y, wanted)
    np.testing.assert_allclose(done.grads["W"], gradient, rtol=1e-12)


def test_embedding_is_pytorchs():
    torch = pytest.importorskip("torch")
    x, p = inputs(TOKENS["embedding with zero as padding"])
    done = run(Embedding(V, 4, mask_zero=True), x, p, None)
    W = torch.tensor(np.where(np.arange(V)[:, None] == 0, 0.0, p["W"]), requires_grad=True)
    y = torch.nn.functional.embedding(torch.tensor(x.copy()), W, padding_idx=0)
    y.backward(torch.tensor(np.nan_to_num(done.dy)))
    np.testing.assert_array_equal(done.y, y.detach())
    np.testing.assert_allclose(done.grads["W"], W.grad, rtol=1e-12)


def test_embedding_takes_ids_without_time():
    p, out = Embedding(V, 4).init(np.random.default_rng(0), ())
    assert out == (4,)
    y, _, tape = Embedding(V, 4).forward(p, np.asarray([2, 2, 6]), None, Context())
    np.testing.assert_array_equal(y, p["W"][[2, 2, 6]])
    grads = Embedding(V, 4).backward(p, tape, np.ones((3, 4)), ())[2]
    np.testing.assert_array_equal(grads["W"][:, 0], [0, 0, 2, 0, 0, 0, 1])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "int64"])
def test_embedding_takes_every_integer(dtype):
    x, p = inputs(TOKENS["embedding"])
    ids = x.astype(dtype)
    Embedding(V, 4).check(ids, None)
    np.testing.assert_array_equal(Embedding(V, 4).forward(p, ids, None, Context())[0], p["W"][x])


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool"])
def test_embedding_refuses_what_is_no_integer(dtype):
    x, p = inputs(TOKENS["embedding"])
    with pytest.raises(TypeError, match=rf"integer dtype, not {dtype}"):
        Embedding(V, 4).check(x.astype(dtype), None)
    with pytest.raises(TypeError, match=rf"integer dtype, not {dtype}"):
        Embedding(V, 4).forward(p, x.astype(dtype), None, Context())


def test_embedding_names_the_worst_id(row):
    ids = np.zeros((3, 4), dtype="int32")
    ids[1, 2], ids[2, 0] = 9, 8
    with pytest.raises(ValueError, match=r"id 9 at \(1, 2\) of ids \(3, 4\); with vocab=7 ids go from 0 to 6"):
        Embedding(V, 4).check(row.put(ids), None)
    ids[0, 3] = -1
    with pytest.raises(ValueError, match=r"id 9 at"):
        Embedding(V, 4).check(row.put(ids), None)
    ids[0, 3] = -5
    with pytest.raises(ValueError, match=r"id -5 at \(0, 3\)"):
        Embedding(V, 4).check(row.put(ids), None)
    with pytest.raises(ValueError, match=r"id -5 at \(3,\)"):
        Embedding(V, 4).check(row.put(ids[0]), None)
    with pytest.raises(ValueError, match=r"id 9 at \(6,\)"):
        TimeDistributed(Embedding(V, 4)).check(row.put(np.abs(ids)), None)
    Embedding(V, 4).check(row.put(ids), row.put((ids >= 0) & (ids < V)))
    with pytest.raises(ValueError, match=r"id 7 "):
        Embedding(V, 4).check(row.put(np.asarray([0, 6, 7])), None)


def test_embedding_makes_zero_padding_if_asked():
    x = np.asarray([[1, 0, 2], [3, 4, 0]])
    mask = np.asarray([[True, True, True], [False, True, True]])
    wanted = [[True, False, True], [False, True, False]]
    np.testing.assert_array_equal(Embedding(V, 4, mask_zero=True).mask_after(x, mask), wanted)
    np.testing.assert_array_equal(Embedding(V, 4, mask_zero=True).mask_after(x, None), x != 0)
    assert Embedding(V, 4).mask_after(x, mask) is mask


# Dropout


def test_dropout_is_the_identity_without_a_key():
    x, _ = inputs(FLOATS["dropout"])
    for layer, key in ((Dropout(0.4), None), (Dropout(0.0), Key(1))):
        y, _, tape = layer.forward({}, x, None, Context(key=key))
        assert y is x
        assert layer.backward({}, tape, x, ())[0] is x


def test_dropout_keeps_the_mean_and_the_reverse_has_the_same_holes():
    x = np.full((200, 50), 2.0)
    y, _, tape = Dropout(0.25).forward({}, x, None, Context(key=Key(1)))
    assert set(np.unique(y).tolist()) == {0.0, 2 / 0.75}
    assert abs(np.mean(y == 0) - 0.25) < 0.02
    dx = Dropout(0.25).backward({}, tape, x, ())[0]
    np.testing.assert_array_equal(dx, y)
    again = Dropout(0.25).forward({}, x, None, Context(key=Key(1)))[0]
    np.testing.assert_array_equal(again, y)
    other = Dropout(0.25).forward({}, x, None, Context(key=Key(2)))[0]
    assert np.any(other != y)


def test_dropout_gives_zero_in_padding():
    x, _ = inputs(FLOATS["dropout"], MASK, padding=np.inf)
    y = Dropout(0.4).forward({}, x, None, Context(MASK, Key(1)))[0]
    np.testing.assert_array_equal(y[~MASK], 0.0)


# LayerNorm


@pytest.mark.parametrize("epsilon", [1e-5, 0.1])
def test_layer_norm_is_pytorchs(epsilon):
    torch = pytest.importorskip("torch")
    x, p = inputs(FLOATS["layer norm"])
    done = run(LayerNorm(epsilon), x, p, None)
    leaf, g, b = (torch.tensor(a.copy(), requires_grad=True) for a in (x, p["g"], p["b"]))
    y = torch.nn.functional.layer_norm(leaf, (D,), g, b, eps=epsilon)
    y.backward(torch.tensor(done.dy))
    np.testing.assert_allclose(done.y, y.detach(), rtol=1e-11)
    for ours, theirs in ((done.dx, leaf), (done.grads["g"], g), (done.grads["b"], b)):
        np.testing.assert_allclose(ours, theirs.grad, rtol=1e-9, atol=1e-12)


def test_layer_norm_is_its_equation_and_begins_plain():
    x, _ = inputs(FLOATS["layer norm"])
    p, _ = LayerNorm(0.01).init(np.random.default_rng(0), (None, D))
    y = LayerNorm(0.01).forward(p, x, None, Context())[0]
    wanted = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.01)
    np.testing.assert_allclose(y, wanted, rtol=1e-12)


# Activation


def test_activation_softmax_is_its_equation():
    x, _ = inputs(FLOATS["softmax"])
    y = Activation("softmax").forward({}, x + 1000.0, None, Context())[0]
    np.testing.assert_allclose(y, np.exp(x) / np.exp(x).sum(-1, keepdims=True), rtol=1e-11)


def test_activation_is_elementwise():
    x, _ = inputs(FLOATS["activation"])
    np.testing.assert_array_equal(Activation("relu").forward({}, x, None, Context())[0], np.maximum(x, 0))


# Pooling


def test_pooling_is_over_real_steps():
    x, _ = inputs(FLOATS["last"], MASK)
    for kind, pool in {
        "last": lambda steps: steps[-1], "mean": lambda steps: steps.mean(0), "max": lambda steps: steps.max(0)
    }.items():
        y = Pooling(kind).forward({}, x, None, Context(MASK))[0]
        wanted = [pool(x[b][MASK[b]]) for b in range(3)] + [np.zeros(D)]
        np.testing.assert_allclose(y, wanted, rtol=1e-14, err_msg=kind)
        plain = np.nan_to_num(x)
        wanted = [pool(row) for row in plain]
        np.testing.assert_allclose(Pooling(kind).forward({}, plain, None, Context())[0], wanted, rtol=1e-14)


def test_pooling_gives_its_gradient_to_the_steps_it_took():
    x = np.asarray([[[5.0], [2.0], [7.0], [7.0], [9.0]]])
    mask = np.asarray([[True, True, True, True, False]])
    for kind, wanted in {"last": [0, 0, 0, 4, 0], "mean": [1, 1, 1, 1, 0], "max": [0, 0, 4, 0, 0]}.items():
        _, _, tape = Pooling(kind).forward({}, x, None, Context(mask))
        dx = Pooling(kind).backward({}, tape, np.asarray([[4.0]]), ())[0]
        np.testing.assert_array_equal(dx[0, :, 0], wanted, err_msg=kind)


def test_pooling_max_of_negative_and_infinite_steps():
    x = np.asarray([[[0.0, 0.0], [-3.0, -np.inf], [-2.0, -np.inf]]])
    y = Pooling("max").forward({}, x, None, Context(np.asarray([[False, True, True]])))[0]
    np.testing.assert_array_equal(y, [[-2.0, -np.inf]])


@pytest.mark.parametrize("kind", ["last", "mean", "max"])
def test_pooling_shows_nan_of_real_steps(kind):
    x = np.asarray([[[1.0], [np.nan]]])
    assert np.isnan(Pooling(kind).forward({}, x, None, Context())[0])


def test_pooling_ends_time():
    assert Pooling("last").shortens
    assert not Pooling("last").streams
    assert Pooling("last").mask_after(np.zeros((B, T, D)), MASK) is None


# TimeDistributed


class Flat(Layer):
    """A layer that knows nothing of time: it refuses anything but (B, D) and scales it."""

    def init(self, rng, shape):
        assert len(shape) == 1
        return {"scale": np.ones(shape)}, shape

    def forward(self, p, x, state, ctx):
        assert x.ndim == 2 and ctx.mask is None and state is None
        return x * p["scale"], (), x

    def backward(self, p, tape, dy, dstate):
        return dy * p["scale"], (), {"scale": namespace(dy).sum(tape * dy, axis=0)}


def test_time_distributed_gives_time_to_a_layer_without():
    layer = TimeDistributed(Flat())
    p, out = layer.init(np.random.default_rng(0), (None, D))
    assert out == (None, D)
    x = np.random.default_rng(0).normal(size=(B, T, D))
    x[~MASK] = np.nan
    p = {"scale": np.asarray([1.0, 2.0, 3.0])}
    done = run(layer, x, p, MASK)
    np.testing.assert_array_equal(done.y[MASK], (x * p["scale"])[MASK])
    np.testing.assert_array_equal(done.dx[MASK], (done.dy * p["scale"])[MASK])
    np.testing.assert_allclose(done.grads["scale"], np.sum((x * done.dy)[MASK], axis=0), rtol=1e-13)


def test_time_distributed_pools_sequences_of_sequences():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    layer = TimeDistributed(Pooling("max"))
    assert layer.init(np.random.default_rng(0), (3, 4, 5)) == ({}, (3, 5))
    y, _, tape = layer.forward({}, x, None, Context())
    np.testing.assert_array_equal(y, x.max(2))
    dx = layer.backward({}, tape, np.ones((2, 3, 5)), ())[0]
    np.testing.assert_array_equal(dx, x == x.max(2, keepdims=True))
    assert not layer.shortens


# Masking


def test_masking_makes_steps_of_its_value_padding():
    x = np.asarray([[[1.0, -1.0], [-1.0, -1.0], [-1.0, 2.0]], [[-1.0, -1.0], [3.0, 4.0], [5.0, 6.0]]])
    mask = np.asarray([[True, True, True], [True, True, False]])
    layer = Masking(-1.0)
    np.testing.assert_array_equal(layer.mask_after(x, None), [[True, False, True], [False, True, True]])
    np.testing.assert_array_equal(layer.mask_after(x, mask), [[True, False, True], [False, True, False]])
    y, _, tape = layer.forward({}, x, None, Context(mask))
    np.testing.assert_array_equal(y[0], [[1.0, -1.0], [0.0, 0.0], [-1.0, 2.0]])
    np.testing.assert_array_equal(y[1], [[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    dx = layer.backward({}, tape, np.ones((2, 3, 2)), ())[0]
    np.testing.assert_array_equal(dx[..., 0], [[1, 0, 1], [0, 1, 0]])
