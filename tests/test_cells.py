"""Cells against their equations written out gate by gate, and how their parameters begin."""

import math
import re

import numpy as np
import pytest
from subjects import CELLS

from xprnn import cells
from xprnn.layers.base import Context
from xprnn.layers.dense import Dense
from xprnn.layers.recurrent import PeepholeLSTM
from xprnn.layers.sequential import Sequential

B, D, H = 2, 3, 4


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def drawn(cell, seed=0):
    """Random parameters, x (B, D) and state for one step."""
    rng = np.random.default_rng(seed)
    p = {name: 0.5 * rng.normal(size=a.shape) for name, a in cell.init(rng, D).items()}
    return p, rng.normal(size=(B, D)), tuple(rng.normal(size=(B, n)) for n in cell.state_sizes)


def stepped(cell, p, x, s):
    return cell.step(np, cell.prepare(np, p), cell.project(np, p, x), s)[0]


def gate(p, n, x, h, bias="b"):
    """x W + h W + b of the n-th gate."""
    block = slice(n * H, (n + 1) * H)
    return x @ p["Wx"][:, block] + h @ p["Wh"][:, block] + p[bias][block]


@pytest.mark.parametrize(
    "name, f", [("tanh", np.tanh), ("relu", lambda a: np.maximum(a, 0)), ("softplus", lambda a: np.log(1 + np.exp(a)))]
)
def test_rnn(name, f):
    cell = cells.RNN(H, name)
    p, x, (h,) = drawn(cell)
    (new,) = stepped(cell, p, x, (h,))
    np.testing.assert_allclose(new, f(x @ p["Wx"] + h @ p["Wh"] + p["b"]), rtol=1e-13)


def test_lstm():
    cell = cells.LSTM(H)
    p, x, (h, c) = drawn(cell)
    i, f, g, o = (gate(p, n, x, h) for n in range(4))
    new_c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    got = stepped(cell, p, x, (h, c))
    np.testing.assert_allclose(got, (sigmoid(o) * np.tanh(new_c), new_c), rtol=1e-13)


def test_peephole_lstm():
    cell = cells.PeepholeLSTM(H)
    p, x, (h, c) = drawn(cell)
    wi, wf, wo = p["Wc"][:H], p["Wc"][H : 2 * H], p["Wc"][2 * H :]
    i, f = sigmoid(gate(p, 0, x, h) + wi * c), sigmoid(gate(p, 1, x, h) + wf * c)
    new_c = f * c + i * np.tanh(gate(p, 2, x, h))
    o = sigmoid(gate(p, 3, x, h) + wo * new_c)
    np.testing.assert_allclose(stepped(cell, p, x, (h, c)), (o * np.tanh(new_c), new_c), rtol=1e-13)


def test_gru():
    cell = cells.GRU(H)
    p, x, (h,) = drawn(cell)
    from_x, from_h = x @ p["Wx"] + p["bx"], h @ p["Wh"] + p["bh"]
    r, z = sigmoid(from_x[:, :H] + from_h[:, :H]), sigmoid(from_x[:, H : 2 * H] + from_h[:, H : 2 * H])
    n = np.tanh(from_x[:, 2 * H :] + r * from_h[:, 2 * H :])
    np.testing.assert_allclose(stepped(cell, p, x, (h,)), [(1 - z) * n + z * h], rtol=1e-13)


def test_gru_reset_before():
    cell = cells.GRUResetBefore(H)
    p, x, (h,) = drawn(cell)
    r, z, n = (
        sigmoid(gate(p, 0, x, h)),
        sigmoid(gate(p, 1, x, h)),
        np.tanh(gate(p, 2, x, sigmoid(gate(p, 0, x, h)) * h)),
    )
    assert not np.allclose(r, 1)
    np.testing.assert_allclose(stepped(cell, p, x, (h,)), [(1 - z) * n + z * h], rtol=1e-13)


def test_numbers_by_hand():
    p, zero, cell = {"Wx": np.zeros((1, 4)), "Wh": np.zeros((1, 4))}, np.zeros((1, 1)), np.ones((1, 1))
    h, c = stepped(cells.LSTM(1, bias=False), p, zero, (zero, cell))
    assert c.item() == 0.5
    assert h.item() == pytest.approx(0.5 * math.tanh(0.5), rel=1e-15)
    p = {"Wx": np.zeros((1, 3)), "Wh": np.zeros((1, 3))}
    assert stepped(cells.GRU(1, bias=False), p, zero, (cell,))[0].item() == 0.5
    p = {"Wx": np.zeros((1, 3)), "Wh": np.zeros((1, 3)), "b": np.array([0.0, -math.log(3), 1.0])}
    expected = 0.75 * math.tanh(1) + 0.25
    assert stepped(cells.GRUResetBefore(1), p, zero, (cell,))[0].item() == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("name", ["LSTM", "PeepholeLSTM", "GRU", "GRUResetBefore", "RNN"])
def test_dropped_units_reach_no_recurrent_weight(name):
    cell = getattr(cells, name)(H)
    p, x, s = drawn(cell)
    gone = np.zeros_like(s[0])
    without = p | {"Wh": np.zeros_like(p["Wh"])}
    np.testing.assert_allclose(stepped(cell, p | {"keep": gone}, x, s), stepped(cell, without, x, s), rtol=1e-14)


class Graves:
    """Equations 3 to 7 and 8 to 11 of Graves, Mohamed and Hinton (2013), for one sequence, a step at a time."""

    def __init__(self, p):
        self.W = {q: p["Wx"][:, n * H : (n + 1) * H] for n, q in enumerate("ifco")}
        self.U = {q: p["Wh"][:, n * H : (n + 1) * H] for n, q in enumerate("ifco")}
        self.b = {q: p["b"][n * H : (n + 1) * H] for n, q in enumerate("ifco")}
        self.V = {q: np.diag(p["Wc"][n * H : (n + 1) * H]) for n, q in enumerate("ifo")}

    def run(self, xs):
        h = c = np.zeros(H)
        hs = []
        for x in xs:
            i = sigmoid(x @ self.W["i"] + h @ self.U["i"] + c @ self.V["i"] + self.b["i"])
            f = sigmoid(x @ self.W["f"] + h @ self.U["f"] + c @ self.V["f"] + self.b["f"])
            c = f * c + i * np.tanh(x @ self.W["c"] + h @ self.U["c"] + self.b["c"])
            o = sigmoid(x @ self.W["o"] + h @ self.U["o"] + c @ self.V["o"] + self.b["o"])
            h = o * np.tanh(c)
            hs.append(h)
        return hs


def test_deep_bidirectional_peephole_network_of_graves():
    net, K, lengths = Sequential(PeepholeLSTM(H, num_layers=3, bidirectional=True), Dense(5)), 5, (6, 4)
    rng = np.random.default_rng(1)
    p, _ = net.init(rng, (None, D))
    for way in (p["peephole_lstm"][n][way] for n in "012" for way in ("forward", "backward")):
        way |= {name: 0.7 * rng.normal(size=a.shape) for name, a in way.items()}
    p["dense"]["b"] = rng.normal(size=K)
    x = rng.normal(size=(2, 6, D))
    mask = np.arange(6) < np.array(lengths)[:, None]
    y, _, _ = net.forward(p, x, None, Context(mask))
    for row, length in enumerate(lengths):
        below = list(x[row, :length])
        for n in "012":
            ahead = Graves(p["peephole_lstm"][n]["forward"]).run(below)
            back = Graves(p["peephole_lstm"][n]["backward"]).run(below[::-1])[::-1]
            below = [np.concatenate(both) for both in zip(ahead, back, strict=True)]
        wanted = [h[:H] @ p["dense"]["W"][:H] + h[H:] @ p["dense"]["W"][H:] + p["dense"]["b"] for h in below]
        np.testing.assert_allclose(y[row, :length], wanted, rtol=1e-12, atol=1e-13)


COUNTS = {
    "RNN": H * (D + H + 1), "RNN-bare": H * (D + H),
    "LSTM-double": 4 * H * (D + H + 2),
    "LSTM": 4 * H * (D + H + 1), "LSTM-bare": 4 * H * (D + H),
    "PeepholeLSTM": 4 * H * (D + H + 1) + 3 * H,
    "GRU": 3 * H * (D + H + 2), "GRU-bare": 3 * H * (D + H),
    "GRUResetBefore": 3 * H * (D + H + 1),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_number_of_parameters(name):
    cell = type(CELLS[name])(H, bias="bare" not in name, **({"double_bias": True} if "double" in name else {}))
    p = cell.init(np.random.default_rng(0), D)
    assert sum(a.size for a in p.values()) == COUNTS[name]
    assert {a.dtype for a in p.values()} == {np.dtype("float64")}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_weights_begin_gate_by_gate(cell):
    p = cell.init(np.random.default_rng(0), D)
    gates = p["Wh"].shape[1] // cell.hidden
    for wx, wh in zip(np.split(p["Wx"], gates, axis=1), np.split(p["Wh"], gates, axis=1), strict=True):
        wh = wh if wh.shape[0] <= wh.shape[1] else wh.T
        np.testing.assert_allclose(wh @ wh.T, np.eye(wh.shape[0]), atol=1e-13)
        bound = math.sqrt(6 / (D + cell.hidden))
        assert 0.5 * bound < np.max(np.abs(wx)) <= bound
    again, other = (cell.init(np.random.default_rng(seed), D) for seed in (0, 1))
    for name, a in p.items():
        np.testing.assert_array_equal(again[name], a)
        assert name[0] in "bg" or name == "Wc" or not np.any(other[name] == a)


def test_biases_begin_at_zero_but_for_the_forget_gate():
    rng = np.random.default_rng(0)
    forget = np.repeat([0.0, 1.0, 0.0, 0.0], H)
    np.testing.assert_array_equal(cells.LSTM(H).init(rng, D)["b"], forget)
    np.testing.assert_array_equal(cells.PeepholeLSTM(H).init(rng, D)["b"], forget)
    np.testing.assert_array_equal(cells.PeepholeLSTM(H).init(rng, D)["Wc"], np.zeros(3 * H))
    gru = cells.GRU(H).init(rng, D)
    for b in (cells.RNN(H).init(rng, D)["b"], gru["bx"], gru["bh"], cells.GRUResetBefore(H).init(rng, D)["b"]):
        assert not np.any(b)


def test_cells_are_values():
    assert cells.LSTM(4) == cells.LSTM(4) != cells.LSTM(5)
    assert len({cells.GRU(4), cells.GRU(4), cells.GRU(4, bias=False)}) == 2
    assert cells.LSTM(4).state_sizes == cells.PeepholeLSTM(4).state_sizes == (4, 4)
    assert cells.RNN(4).state_sizes == cells.GRU(4).state_sizes == cells.GRUResetBefore(4).state_sizes == (4,)
    with pytest.raises(ValueError, match="no activation 'tahn'"):
        cells.RNN(4, "tahn")


@pytest.mark.parametrize("units", [0, -1, 2.5, "4", True, None, np.float64(4.0)], ids=repr)
@pytest.mark.parametrize("name", [name for name in cells.__all__ if name not in ("Cell", "Zoneout")])
def test_units_are_a_whole_number(name, units):
    kind = getattr(cells, name)
    more = (3,) if kind is cells.ProjectedLSTM else ()
    said = rf"{name} has a whole number of units, 1 or more, not {re.escape(repr(units))}"
    with pytest.raises(ValueError, match=said):
        kind(units, *more)
    if more:
        with pytest.raises(ValueError, match="ProjectedLSTM has a whole number of units"):
            kind(3, units)
    assert kind(np.int64(4), *more).state_sizes[-1] == 4
