"""Zoneout against its equations in PyTorch, what is drawn for it, what is expected of it, and who declines it."""

import re

import numpy as np
import pytest
from emulation import MISSING, Emulated

import xprnn as xr
from xprnn import cells
from xprnn.cells import Zoneout
from xprnn.kernels import cpu, cuda, jax, loop
from xprnn.layers.base import Context
from xprnn.random import Key
from xprnn.scan import scan, scan_vjp

T, B, D, H = 6, 3, 2, 4
RATES = (0.2, 0.6)


def sigmoid(a):
    return 1 / (1 + (-a).exp())


def krueger(p, x, s, keep):
    """Krueger et al. (2017), equations 4 and 5: the masks say what stays, and h sees the c that would have been."""
    h, c = s
    ys = []
    for t in range(T):
        i, f, g, o = (x[t] @ p["Wx"] + h @ p["Wh"] + p["b"]).chunk(4, 1)
        candidate = sigmoid(f) * c + sigmoid(i) * g.tanh()
        stay_h, stay_c = keep[t, :, :H], keep[t, :, H:]
        h = stay_h * h + (1 - stay_h) * (sigmoid(o) * candidate.tanh())
        c = stay_c * c + (1 - stay_c) * candidate
        ys.append(h)
    return ys, (h, c)


def test_lstm_is_that_of_the_paper():
    torch = pytest.importorskip("torch")
    rng, cell = np.random.default_rng(0), Zoneout(cells.LSTM(H), RATES)
    p = {name: 0.5 * rng.normal(size=a.shape) for name, a in cell.init(rng, D).items()}
    x, s = rng.normal(size=(T, B, D)), tuple(rng.normal(size=(B, H)) for _ in range(2))
    stay = (rng.random((T, B, 2 * H)) < 0.5).astype(float)
    dys, ds = rng.normal(size=(T, B, H)), tuple(rng.normal(size=(B, H)) for _ in range(2))
    ys, end, tape = scan(cell, p, np.concatenate([x, 1 - stay], axis=-1), s)
    dx, begin, dp = scan_vjp(cell, p, tape, dys, ds)

    leaves = xr.tree.map(lambda a: torch.tensor(a, requires_grad=True), {"p": p, "x": x, "s": s})
    their_ys, their_end = krueger(leaves["p"], leaves["x"], leaves["s"], torch.tensor(stay))
    pairs = zip((*their_ys, *their_end), (*dys, *ds), strict=True)
    sum((y * torch.tensor(d)).sum() for y, d in pairs).backward()
    grads = xr.tree.map(lambda a: a.grad.numpy(), leaves)
    np.testing.assert_allclose(ys, torch.stack(their_ys).detach(), rtol=1e-12, atol=1e-14)
    ours = xr.tree.flatten({"end": end, "p": dp, "x": dx[..., :D], "s": begin})
    theirs = xr.tree.flatten({"end": xr.tree.map(lambda a: a.detach().numpy(), their_end)} | grads)
    assert ours.keys() == theirs.keys()
    for name, a in ours.items():
        np.testing.assert_allclose(a, theirs[name], rtol=1e-11, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("inner", [cells.RNN(H), cells.GRU(H), cells.GRUResetBefore(H), cells.LSTM(H)], ids=str)
@pytest.mark.parametrize("training", [False, True])
def test_units_that_never_stay_are_those_of_the_cell(inner, training):
    rng, ctx = np.random.default_rng(0), Context(key=Key(0) if training else None)
    plain, zoned = (xr.Direction(cell) for cell in (inner, Zoneout(inner, (0.0,) * len(inner.state_sizes))))
    p, shape = zoned.init(rng, (None, D))
    assert shape == plain.init(rng, (None, D))[1] == (None, H)
    x = rng.normal(size=(B, T, D))
    for a, b in zip(zoned.forward(p, x, None, ctx)[:2], plain.forward(p, x, None, Context())[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def copier(rate, width):
    """A layer and its parameters whose units would all be x, were it not for zoneout."""
    p = {"Wx": np.ones((1, width)), "Wh": np.zeros((width, width))}
    return xr.Direction(Zoneout(cells.RNN(width, "identity", bias=False), (rate,))), p


def test_units_stay_by_chance_each_by_itself_at_every_step():
    rate, width, steps, rows = 0.3, 40, 50, 30
    layer, p = copier(rate, width)
    x = np.broadcast_to(1.0 + np.arange(steps)[:, None], (rows, steps, 1))
    y, _, _ = layer.forward(p, x, None, Context(key=Key(3)))
    goes = y == x
    before = np.concatenate([np.zeros((rows, 1, width)), y[:, :-1]], axis=1)
    np.testing.assert_array_equal(y, np.where(goes, x, before))
    assert abs(goes.mean() - (1 - rate)) < 4 * (rate * (1 - rate) / goes.size) ** 0.5
    for axis in range(3):
        one = np.moveaxis(goes, axis, 0).reshape(goes.shape[axis], -1)
        assert len(np.unique(one, axis=0)) == len(one)
        assert np.abs(one.mean(axis=1) - (1 - rate)).max() < 0.1
    again, other = (layer.forward(p, x, None, Context(key=Key(seed)))[0] for seed in (3, 4))
    np.testing.assert_array_equal(again, y)
    assert np.any(other != y)


def test_h_and_c_have_rates_and_draws_of_their_own():
    layer = xr.Direction(Zoneout(cells.LSTM(50, bias=False), (0.5, 0.5)))
    p, _ = layer.init(np.random.default_rng(0), (None, 1))
    _, (h, c), _ = layer.forward(p, np.ones((20, 1, 1)), None, Context(key=Key(0)))
    assert 0.2 < ((h == 0) & (c == 0)).mean() < 0.3  # 0.5 where both are one draw
    layer = xr.Direction(Zoneout(cells.LSTM(50, bias=False), (0.1, 0.8)))
    _, (h, c), _ = layer.forward(p, np.ones((20, 1, 1)), None, Context(key=Key(0)))
    assert abs((h == 0).mean() - 0.1) < 0.03 and abs((c == 0).mean() - 0.8) < 0.04


def test_inference_takes_the_expectation():
    layer, p = copier(0.3, 2)
    x = np.random.default_rng(0).normal(size=(1, T, 1))
    y, h = layer.forward(p, x, None, Context())[0], np.zeros(2)
    for t in range(T):
        h = 0.3 * h + 0.7 * x[0, t]
        np.testing.assert_allclose(y[0, t], h, rtol=1e-14)


def test_a_model_trains_streams_and_saves_with_it(tmp_path):
    rng = np.random.default_rng(0)
    layer = xr.Recurrent((Zoneout(cells.LSTM(H), RATES), Zoneout(cells.GRU(H), (0.1,))), return_sequences=False)
    x = rng.normal(size=(64, T, D))
    model = xr.Model(xr.Sequential(layer, xr.Dense(1)), backend=xr.backend("numpy", "float64"))
    reports = list(model.training(x, x.sum(axis=(1, 2))[:, None], loss=xr.mse, optimizer=xr.Adam(0.03), epochs=30))
    assert reports[-1].loss < 0.3 * reports[0].loss
    model.save(tmp_path / "zoned.npz")
    loaded, stream = xr.load(tmp_path / "zoned.npz"), model.stream()
    assert loaded.layer == model.layer
    np.testing.assert_array_equal(loaded(x), model(x))
    for t in range(T):
        y = stream(x[:, t])
    np.testing.assert_allclose(y, model(x), rtol=1e-12, atol=1e-14)


def test_compiled_kernels_take_what_they_know():
    x, known = np.zeros((T, B, D)), Zoneout(cells.LSTM(H), RATES)
    for cell in (known, Zoneout(cells.ProjectedLSTM(H, 2), RATES), cells.LayerNormLSTM(H)):
        assert not cpu.CPU().accepts(cell, x, None)
        assert MISSING or cuda.CUDA(device=Emulated()).accepts(cell, x, None) == (cell is known)
        assert loop.accepts(cell, x, None)
        assert jax.accepts(cell, xr.backend("jax").asarray(x), None) if "jax" in usable() else True


def usable():
    return {status.name for status in xr.available() if status.usable}


WRONG = {
    "has a rate from 0 to below 1 for each leaf of its state, a tuple of 2, not (0.1,)": (cells.LSTM(H), (0.1,)),
    "a tuple of 1, not 0.1": (cells.GRU(H), 0.1),
    "not (1.0,)": (cells.GRU(H), (1.0,)),
    "not (nan,)": (cells.GRU(H), (float("nan"),)),
    "wants a cell that has none yet, not Zoneout(": (Zoneout(cells.RNN(H), (0.1,)), (0.1,)),
    "wants a cell that has none yet, not LSTM(": (xr.LSTM(H), (0.1, 0.1)),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_makes_no_sense_is_refused(words):
    with pytest.raises((ValueError, TypeError), match=re.escape(words)):
        Zoneout(*WRONG[words])
