"""Whole models run on the kernel for GPUs, emulated, as they run on the loop: training, prediction, streams."""

import numpy as np
import pytest
from emulation import MISSING, Emulated

import xprnn as xr
from xprnn import kernels
from xprnn.kernels import cuda, loop

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

B, T, D, V = 5, 9, 4, 6
LAYERS = {
    "stack": xr.Sequential(
        xr.LSTM(7, num_layers=2, bidirectional=True, dropout=0.2, recurrent_dropout=0.3), xr.GRU(5, learn_state=True),
        xr.Dense(2),
    ),
    "pieces": xr.Sequential(xr.PeepholeLSTM(6, segment=4), xr.GRU(5, reset_after=False, reverse=True), xr.Dense(2)),
    "zoneout": xr.Sequential(
        xr.Recurrent((xr.cells.Zoneout(xr.cells.LSTM(7), (0.1, 0.4)), xr.cells.Zoneout(xr.cells.GRU(5), (0.3,))),
                     bidirectional=True, recurrent_dropout=0.2), xr.Dense(2),
    ),
    "last": xr.Sequential(xr.RNN(6, activation="relu", return_sequences=False), xr.Dense(2)),
}  # fmt: skip


def on(kernel, monkeypatch, run):
    """What ``run`` gives where that kernel is asked before the loop."""
    monkeypatch.setattr(kernels, "KERNELS", {"first": kernel, "loop": loop})
    return run()


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_models_train_alike(name, dtype, monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3 * B, T, D)).astype(dtype)
    y = rng.normal(size=(3 * B, 2) if name == "last" else (3 * B, T, 2)).astype(dtype)
    lengths = rng.integers(1, T + 1, 3 * B)

    def run():
        model = xr.Model(LAYERS[name], dtype=dtype, input_shape=(None, D))
        model.fit(x, y, loss="mse", optimizer=xr.SGD(0.1), epochs=3, batch_size=B, lengths=lengths, verbose=False)
        return model.params, model(x, lengths=lengths)

    device = Emulated()
    met, wanted = on(cuda.CUDA(device=device), monkeypatch, run), on(loop, monkeypatch, run)
    assert next(device.launches) > 100
    for a, b in zip(xr.tree.leaves(met), xr.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 if dtype == "float64" else 1e-5)


ZONED = xr.Recurrent((xr.cells.Zoneout(xr.cells.LSTM(7), (0.1, 0.4)), xr.cells.Zoneout(xr.cells.RNN(33), (0.2,))))
STREAMS = [xr.LSTM(7, num_layers=2), xr.GRU(7), xr.GRU(7, reset_after=False), xr.RNN(33), ZONED]


@pytest.mark.parametrize("cell", STREAMS)
def test_streams_are_the_whole_sequence(cell, monkeypatch):
    model = xr.Model(xr.Sequential(xr.Embedding(V, D), cell, xr.Dense(3)), dtype="float64")
    ids = np.random.default_rng(0).integers(0, V, (B, T))

    def run():
        stream = model.stream()
        return model(ids), np.stack([stream(ids[:, t]) for t in range(T)], axis=1)

    whole, steps = on(cuda.CUDA(device=Emulated()), monkeypatch, run)
    np.testing.assert_allclose(steps, whole, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(whole, on(loop, monkeypatch, run)[0], rtol=1e-12, atol=1e-12)
