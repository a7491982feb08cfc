"""A direction that gives its last output alone, by itself and where it may not stand."""

import numpy as np
import pytest

import xprnn as xr
from xprnn import cells, kernels
from xprnn.kernels import loop
from xprnn.layers.direction import Direction

LENGTHS = [4, 0, 6, 1]
X = np.random.default_rng(0).normal(size=(4, 6, 3))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", [cells.LSTM(5), cells.GRU(5), cells.ProjectedLSTM(5, 2)], ids=str)
def test_the_last_output_is_that_of_each_sequences_end(backend, cell, reverse):
    whole = xr.Model(Direction(cell, reverse), backend, seed=3, input_shape=(None, 3))
    last = xr.Model(Direction(cell, reverse, return_sequences=False), backend, seed=3, input_shape=(None, 3))
    assert last.output_shape == (cell.state_sizes[0],)
    x = backend.asarray(X)
    y, _, tape = whole.forward(x, lengths=LENGTHS)
    z, state, last_tape = last.forward(x, lengths=LENGTHS)
    ends = [0 if reverse else max(n - 1, 0) for n in LENGTHS]
    wanted = backend.to_numpy(y)[np.arange(4), ends] * (np.array(LENGTHS) > 0)[:, None]
    np.testing.assert_allclose(backend.to_numpy(z), wanted, rtol=1e-13)

    dz = np.random.default_rng(1).normal(size=z.shape)
    dy = np.zeros(tuple(y.shape))
    dy[np.arange(4), ends] = dz
    dstate = xr.tree.map(lambda a: 0.5 * a, state)
    met = last.backward(last_tape, backend.asarray(dz), dstate)
    wanted = whole.backward(tape, backend.asarray(dy), dstate)
    for a, b in zip(xr.tree.leaves(met), xr.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(backend.to_numpy(a), backend.to_numpy(b), rtol=1e-12, atol=1e-14)


def test_two_directions_give_the_same_kind_of_output():
    last = Direction(cells.GRU(2), return_sequences=False)
    with pytest.raises(ValueError, match="the whole sequence both, or the last output alone"):
        xr.Bidirectional(last, Direction(cells.GRU(2), reverse=True))


class Asked:
    """The loop, which writes down whether outputs and dx are asked for."""

    def __init__(self):
        self.outputs, self.inputs = [], []

    def accepts(self, cell, x, mask):
        return True

    def forward(self, cell, p, x, s, mask, reverse, tape=True, outputs=True):
        self.outputs.append(outputs)
        return loop.forward(cell, p, x, s, mask, reverse, tape, outputs)

    def backward(self, cell, p, tape, dys, ds, inputs=True):
        self.inputs.append(inputs)
        return loop.backward(cell, p, tape, dys, ds, inputs)


@pytest.mark.parametrize("segment, pieces", [(None, 1), (4, 2)])
@pytest.mark.parametrize(
    "layer, outputs, inputs",
    [
        (xr.GRU(5, 2, return_sequences=False), [True, False], [True, False]),
        (xr.Sequential(xr.Dense(3), xr.GRU(5)), [True], [True]),
        (xr.Sequential(xr.Activation("tanh"), xr.GRU(5, return_sequences=False)), [False], [False]),
    ],
    ids=["stack", "above parameters", "above none"],
)
def test_training_asks_for_no_more_than_it_needs(layer, outputs, inputs, segment, pieces, monkeypatch):
    kernel = Asked()
    monkeypatch.setattr(kernels, "KERNELS", {"loop": kernel})
    model = xr.Model(layer, xr.backend("numpy", "float64"), input_shape=(None, 3))
    y = np.zeros((4, 5) if layer.shortens else (4, 6, 5))
    model.fit(X, y, loss="mse", optimizer="sgd", segment=segment, verbose=False)
    assert kernel.inputs == inputs * pieces
    assert kernel.outputs == outputs * (pieces if segment is None else 2 * pieces)
    kernel.inputs.clear()
    _, _, tape = model.forward(X)
    model.backward(tape, y)
    assert kernel.inputs == [True] * len(inputs)
