"""The tables of frameworks' weights: each order spelled out, and there and back is the identity, bit for bit."""

import numpy as np
import pytest

from xprnn import cells, tree
from xprnn.io import layouts
from xprnn.io.layouts import KERAS, ONNX, TORCH, ours, reorder, theirs

H, D = 3, 2
LAYOUTS = {"torch": TORCH, "keras": KERAS, "onnx": ONNX}
CELLS = {
    "RNN": cells.RNN(H), "LSTM": cells.LSTM(H), "GRU": cells.GRU(H), "GRUResetBefore": cells.GRUResetBefore(H),
    "RNN-double": cells.RNN(H, double_bias=True), "LSTM-double": cells.LSTM(H, double_bias=True),
    "GRUResetBefore-double": cells.GRUResetBefore(H, double_bias=True), "LSTM-bare": cells.LSTM(H, bias=False),
    "GeneralLSTM": cells.GeneralLSTM(H, double_bias=True), "GeneralGRU": cells.GeneralGRU(H),
    "GeneralGRU-before": cells.GeneralGRU(H, reset_after=False), "GRU-bare": cells.GRU(H, bias=False),
}  # fmt: skip
PEEPHOLES = {"Peephole": cells.PeepholeLSTM(H), "General": cells.GeneralLSTM(H, peepholes=True, double_bias=True)}
# The blocks of our weights, numbered in our order (LSTM i f g o, GRU r z n), as each framework has them.
ORDERS = {
    ("torch", "LSTM"): [0, 1, 2, 3], ("keras", "LSTM"): [0, 1, 2, 3], ("onnx", "LSTM"): [0, 3, 1, 2],
    ("torch", "GRU"): [0, 1, 2], ("keras", "GRU"): [1, 0, 2], ("onnx", "GRU"): [1, 0, 2],
}  # fmt: skip


def fresh(cell, seed=0):
    rng = np.random.default_rng(seed)
    return tree.map(lambda a: rng.normal(size=a.shape), cell.init(rng, D))


def same(got, wanted):
    assert got.keys() == wanted.keys()
    for name, a in wanted.items():
        np.testing.assert_array_equal(got[name], a, strict=True)


def backward(layout, cell, p):
    weights = theirs(layout, cell, p)
    return weights, ours(layout, cell, weights)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("framework", LAYOUTS)
def test_there_and_back(framework, name, backend):
    layout, cell = LAYOUTS[framework], CELLS[name]
    double = layouts.has_two_biases(cell) and not layouts.has_two_sums(cell)
    p = fresh(cell)
    _, again = backward(layout, cell, tree.map(backend.asarray, p))
    if double and not layout.two_biases:  # only the sum goes there
        again, p = (q | {"b": q.pop("bx") + q.pop("bh")} if "bx" in q else q for q in (again, dict(p)))
    same(tree.map(backend.to_numpy, again), p)


def keeps_all(layout, cell):
    """Whether the cell has as many biases as the framework's."""
    return not cell.bias or layouts.has_two_biases(cell) == (layout.two_biases or layouts.has_two_sums(cell))


KEPT = [(framework, name) for framework in LAYOUTS for name in CELLS if keeps_all(LAYOUTS[framework], CELLS[name])]


@pytest.mark.parametrize("framework, name", KEPT)
def test_back_and_there(framework, name):
    """From weights of the framework's, with both biases where it has two, to a cell that keeps both."""
    layout, cell = LAYOUTS[framework], CELLS[name]
    rng = np.random.default_rng(1)
    weights = {key: rng.normal(size=w.shape) for key, w in theirs(layout, cell, fresh(cell)).items()}
    same(theirs(layout, cell, ours(layout, cell, weights)), weights)


@pytest.mark.parametrize("framework, name", ORDERS)
def test_orders(framework, name):
    cell, layout, order = CELLS[name], LAYOUTS[framework], ORDERS[framework, name]
    p = fresh(cell)
    weights = theirs(layout, cell, p)
    for key in ("Wx", "Wh"):
        blocks = np.split(p[key], len(order), axis=1)
        wanted = np.concatenate([blocks[n] for n in order], axis=1)
        np.testing.assert_array_equal(weights[key], wanted.T if framework != "keras" else wanted)
    first = "b" if "b" in weights else "bx"
    blocks = np.split(p["b" if "b" in p else "bx"], len(order))
    np.testing.assert_array_equal(weights[first], np.concatenate([blocks[n] for n in order]))


@pytest.mark.parametrize("name", PEEPHOLES)
def test_peepholes(name):
    cell, p = PEEPHOLES[name], fresh(PEEPHOLES[name])
    weights, again = backward(ONNX, cell, p)
    i, f, o = np.split(p["Wc"], 3)
    np.testing.assert_array_equal(weights["Wc"], np.concatenate([i, o, f]))
    same(again, p)


def test_projection():
    cell = cells.ProjectedLSTM(H, 2, double_bias=True)
    weights, again = backward(TORCH, cell, p := fresh(cell))
    np.testing.assert_array_equal(weights["Wp"], p["Wp"].T)
    same(again, p)


def test_biases():
    single, double = cells.LSTM(H), cells.LSTM(H, double_bias=True)
    p, q = fresh(single), fresh(double)
    np.testing.assert_array_equal(theirs(TORCH, single, p)["bx"], p["b"])
    np.testing.assert_array_equal(theirs(TORCH, single, p)["bh"], np.zeros(4 * H))
    np.testing.assert_array_equal(theirs(KERAS, double, q)["b"], q["bx"] + q["bh"])
    np.testing.assert_array_equal(ours(TORCH, single, theirs(TORCH, double, q))["b"], q["bx"] + q["bh"])
    assert theirs(KERAS, cells.GRU(H), fresh(cells.GRU(H))).keys() == {"Wx", "Wh", "bx", "bh"}


def test_what_does_not_fit():
    for have, want, width in (("ifgo", "ifg", 12), ("rzn", "rzm", 9), ("rzn", "zrn", 10)):
        with pytest.raises(ValueError, match="has no blocks"):
            reorder(np.zeros((2, width)), have, want)

    class Other(cells.Cell):
        hidden = 3

    with pytest.raises(TypeError, match="there is no table of weights for"):
        TORCH.gates(Other)
