"""The table of PyTorch's weights: there and back, its adjoint, and what PyTorch has not."""

import numpy as np
import pytest

from xprnn import cells, tree
from xprnn.io import torch as table
from xprnn.layers.direction import Direction
from xprnn.layers.recurrent import GRU, LSTM, RNN, PeepholeLSTM

CASES = {
    "RNN": RNN(4, 2, bidirectional=True),
    "LSTM": LSTM(4, 3),
    "GRU": GRU(4, 2, bidirectional=True),
    "GRU without biases": GRU(4, bias=False),
    "widths": LSTM((4, 5, 2), bidirectional=True),
    "cell": Direction(cells.LSTM(4)),
}


@pytest.fixture(params=CASES)
def layer(request):
    return CASES[request.param]


def fresh(layer, seed=0):
    """Parameters of which no two are alike, biases included."""
    rng = np.random.default_rng(seed)
    return tree.map(lambda a: rng.normal(size=a.shape), layer.init(rng, (None, 3))[0])


def put(backend, p):
    return tree.map(backend.asarray, p)


def test_there_and_back(backend, layer):
    p = fresh(layer)
    weights = table.to_torch(layer, put(backend, p))
    assert {name: tuple(a.shape) for name, a in weights.items()} == table.shapes(layer, 3)
    assert list(weights) == list(table.shapes(layer, 3))
    again = table.from_torch(layer, weights)
    for name, a in tree.flatten(p).items():
        np.testing.assert_array_equal(backend.to_numpy(tree.flatten(again)[name]), a)


def test_gradients_are_the_adjoint(backend, layer):
    """⟨from_torch(w), g⟩ = ⟨w, gradients_to_torch(g)⟩"""
    rng = np.random.default_rng(1)
    weights = {name: rng.normal(size=shape) for name, shape in table.shapes(layer, 3).items()}
    grads = fresh(layer, 2)
    ours = tree.flatten(table.from_torch(layer, put(backend, weights)))
    theirs = table.gradients_to_torch(layer, put(backend, grads))
    left = sum(np.sum(backend.to_numpy(a) * tree.flatten(grads)[name]) for name, a in ours.items())
    right = sum(np.sum(backend.to_numpy(a) * weights[name]) for name, a in theirs.items())
    assert list(theirs) == list(weights) and ours.keys() == tree.flatten(grads).keys()
    np.testing.assert_allclose(left, right, rtol=1e-12)


def test_gradients_share_no_memory(layer):
    grads = fresh(layer)
    found = [*table.gradients_to_torch(layer, grads).values(), *tree.leaves(grads)]
    assert not any(np.shares_memory(a, b) for n, a in enumerate(found) for b in found[:n])


def test_blocks_stand_where_torch_has_them():
    """One bias of each gate of each kind is set; PyTorch documents the order of its rows."""
    for layer, gates, size in ((LSTM(1), "ifgo", 4), (GRU(1), "rzn", 3)):
        assert table.TABLES[type(layer.cell_stack()[0])].gates == tuple(gates)
        matrix = np.arange(2.0 * size).reshape(size, 2)
        zeros = {name: np.zeros(shape) for name, shape in table.shapes(layer, 2).items()}
        p = table.from_torch(layer, zeros | {"weight_ih_l0": matrix})
        np.testing.assert_array_equal(p["0"]["Wx"], matrix.T)


def test_two_biases_are_one_except_in_a_gru():
    for layer, merged in ((RNN(2), True), (LSTM(2), True), (GRU(2), False)):
        weights = {name: np.full(shape, 1.0 + n) for n, (name, shape) in enumerate(table.shapes(layer, 3).items())}
        p = table.from_torch(layer, weights)["0"]
        assert {name: a[0] for name, a in p.items() if name[0] == "b"} == ({"b": 7.0} if merged else {"bx": 3, "bh": 4})
        back = table.to_torch(layer, {"0": p})
        assert (back["bias_ih_l0"][0], back["bias_hh_l0"][0]) == ((7.0, 0.0) if merged else (3.0, 4.0))


@pytest.mark.parametrize(
    ("layer", "error", "words"),
    [
        (PeepholeLSTM(4), TypeError, r"PyTorch has no PeepholeLSTM\(hidden=4.*only RNN, LSTM, GRU"),
        (GRU(4, reset_after=False), TypeError, "GRUResetBefore"),
        (LSTM(4, bidirectional=True, merge="sum"), ValueError, "merge='sum'"),
        (LSTM(4, reverse=True), ValueError, "only runs backwards"),
        (LSTM(4, learn_state=True), ValueError, "no learned initial state"),
    ],
)
def test_what_torch_has_not(layer, error, words):
    p = fresh(layer)
    for call in (lambda: table.shapes(layer, 3), lambda: table.to_torch(layer, p), lambda: table.from_torch(layer, {})):
        with pytest.raises(error, match=words):
            call()
