"""The general cells are the plain ones where nothing special is asked of them, and the formulas where it is."""

import numpy as np
import pytest

from xprnn import cells, tree
from xprnn.scan import scan
from xprnn.testing import Case

H = 5
SAME = [
    (cells.GeneralLSTM(H), cells.LSTM(H)),
    (cells.GeneralLSTM(H, bias=False), cells.LSTM(H, bias=False)),
    (cells.GeneralLSTM(H, peepholes=True, double_bias=True), cells.PeepholeLSTM(H, double_bias=True)),
    (cells.GeneralLSTM(H, ("sigmoid", "clip(1e9) tanh", "tanh")), cells.LSTM(H)),
    (cells.GeneralGRU(H), cells.GRU(H)),
    (cells.GeneralGRU(H, bias=False), cells.GRU(H, bias=False)),
    (cells.GeneralGRU(H, reset_after=False), cells.GRUResetBefore(H)),
    (cells.GeneralGRU(H, reset_after=False, double_bias=True), cells.GRUResetBefore(H, double_bias=True)),
]


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("general, plain", SAME, ids=str)
def test_general_is_plain(general, plain, dropout):
    case = Case(plain, dropout=dropout, padding="ragged")
    a = case.draw()
    wanted, got = case.run(a), Case(general, dropout=dropout, padding="ragged").run(a)
    tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-14), got, wanted)


@pytest.mark.parametrize("kind", [cells.RNN, cells.LSTM, cells.PeepholeLSTM, cells.GRUResetBefore])
def test_two_biases_are_their_sum(kind):
    rng = np.random.default_rng(0)
    double, single = kind(H, double_bias=True), kind(H)
    p = tree.map(lambda a: rng.normal(size=a.shape), double.init(rng, 3))
    merged = {name: a for name, a in p.items() if name not in ("bx", "bh")} | {"b": p["bx"] + p["bh"]}
    x = rng.normal(size=(6, 2, 3))
    np.testing.assert_allclose(scan(double, p, x)[0], scan(single, merged, x)[0], rtol=1e-12)
    with pytest.raises(ValueError, match="double_bias=True means two biases, bias=False none"):
        kind(H, bias=False, double_bias=True).init(rng, 3)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_coupled_lstm_by_its_formula():
    rng = np.random.default_rng(1)
    cell = cells.GeneralLSTM(H, ("clip(0.7) sigmoid", "softsign", "clip(0.7) tanh"), coupled=True, peepholes=True)
    p = tree.map(lambda a: rng.normal(size=a.shape), cell.init(rng, 3))
    h, c = rng.normal(size=(2, 4, H))
    x = rng.normal(size=(1, 4, 3))
    zi, _, zg, zo = np.split(x[0] @ p["Wx"] + h @ p["Wh"] + p["b"], 4, axis=1)
    wi, _, wo = np.split(p["Wc"], 3)
    i = sigmoid(np.clip(zi + wi * c, -0.7, 0.7))
    wanted_c = (1 - i) * c + i * (zg / (1 + np.abs(zg)))
    o = sigmoid(np.clip(zo + wo * wanted_c, -0.7, 0.7))
    _, (got_h, got_c), _ = scan(cell, p, x, (h, c))
    np.testing.assert_allclose(got_c, wanted_c, rtol=1e-12)
    np.testing.assert_allclose(got_h, o * np.tanh(np.clip(wanted_c, -0.7, 0.7)), rtol=1e-12)


def test_projection_by_its_formula():
    rng = np.random.default_rng(2)
    cell = cells.ProjectedLSTM(H, 2)
    p = tree.map(lambda a: rng.normal(size=a.shape), cell.init(rng, 3))
    h, c, x = rng.normal(size=(4, 2)), rng.normal(size=(4, H)), rng.normal(size=(1, 4, 3))
    i, f, g, o = np.split(x[0] @ p["Wx"] + h @ p["Wh"] + p["b"], 4, axis=1)
    wanted = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    _, (got_h, got_c), _ = scan(cell, p, x, (h, c))
    np.testing.assert_allclose(got_c, wanted, rtol=1e-12)
    np.testing.assert_allclose(got_h, (sigmoid(o) * np.tanh(wanted)) @ p["Wp"], rtol=1e-12)


@pytest.mark.parametrize("kind, count", [(cells.GeneralLSTM, 3), (cells.GeneralGRU, 2)])
def test_activations_are_looked_at(kind, count):
    for wrong in ("tanh", ("tanh",), ["tanh"] * count):
        with pytest.raises(ValueError, match="activations, F"):
            kind(H, wrong)
    with pytest.raises(ValueError, match="no activation 'nothing'"):
        kind(H, ("nothing",) * count)
