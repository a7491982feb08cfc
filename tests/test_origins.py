"""What the library started from, in literal numbers: the answers that small recurrent networks must give."""

import numpy as np
import pytest

import xprnn as xr


def model(backend, layer, params=None, features=None):
    """A model of ``layer``; ``params`` are NumPy arrays by path name."""
    made = xr.Model(layer, backend, input_shape=(None, features))
    if params is not None:
        met = {name: a.shape for name, a in xr.tree.flatten(made.params).items()}
        assert met == {name: a.shape for name, a in params.items()}
        made.params = xr.to_device(xr.tree.fill(made.params, params), backend)
    return made


def elman_loop(x, p, activation=np.tanh):
    """The plain NumPy loop over one sequence x (T, D) -> (T, H)."""
    h, hs = np.zeros(p["Wh"].shape[0]), []
    for x_t in x:
        h = activation(x_t @ p["Wx"] + h @ p["Wh"] + p["b"])
        hs.append(h)
    return np.stack(hs)


def test_two_stacked_layers_of_ones_give_4_20_64(backend):
    net = xr.Sequential(
        xr.RNN(2, activation="identity", bias=False),
        xr.Activation("relu"),
        xr.RNN(1, activation="identity", bias=False),
    )
    ones = {"rnn.0.Wx": (2, 2), "rnn.0.Wh": (2, 2), "rnn_1.0.Wx": (2, 1), "rnn_1.0.Wh": (1, 1)}
    made = model(backend, net, {name: np.ones(shape) for name, shape in ones.items()}, features=2)
    y = made(backend.asarray([[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]]))
    assert xr.to_numpy(y).tolist() == [[[4.0], [20.0], [64.0]]]


@pytest.mark.parametrize("sequences", [False, True])
def test_a_simple_rnn_of_100_units_on_250_steps_of_32_equals_the_plain_loop(backend, sequences):
    x = np.random.default_rng(0).normal(size=(250, 32))
    made = model(backend, xr.RNN(100, return_sequences=sequences), features=32)
    wanted = elman_loop(x, xr.to_numpy(made.params)["0"])
    y = xr.to_numpy(made(backend.asarray(x)))
    assert y.shape == ((250, 100) if sequences else (100,))
    np.testing.assert_allclose(y, wanted if sequences else wanted[-1], rtol=0, atol=1e-12)


def test_100_steps_of_32_features_become_100_of_64(backend):
    x = np.random.default_rng(1).normal(size=(100, 32))
    made = model(backend, xr.RNN(64), features=32)
    wanted = elman_loop(x, xr.to_numpy(made.params)["0"])
    np.testing.assert_allclose(xr.to_numpy(made(backend.asarray(x))), wanted, rtol=0, atol=1e-12)


class EpyNN:
    """The simple RNN of EpyNN, from the equations of its documentation.

        h_s  = tanh(X_s U + h_{s-1} V + b)
        dh_s = (dA_s + dh_{s+1} V^T) (1 - h_s^2)
        dX_s = dh_s U^T,  dU = sum X_s^T dh_s,  dV = sum h_{s-1}^T dh_s,  db = sum dh_s
    """

    def __init__(self, U, V, b):
        self.U, self.V, self.b = U, V, b

    def forward(self, X):
        h = [np.zeros((X.shape[0], self.V.shape[0]))]
        for s in range(X.shape[1]):
            h.append(np.tanh(X[:, s] @ self.U + h[-1] @ self.V + self.b))
        return np.stack(h, axis=1)

    def backward(self, X, dA):
        h, dX, coming = self.forward(X), np.zeros_like(X), 0.0
        g = {"dU": np.zeros_like(self.U), "dV": np.zeros_like(self.V), "db": np.zeros_like(self.b)}
        for s in reversed(range(X.shape[1])):
            dh = (dA[:, s] + coming) * (1 - h[:, s + 1] ** 2)
            coming = dh @ self.V.T
            dX[:, s] = dh @ self.U.T
            g["dU"] += X[:, s].T @ dh
            g["dV"] += h[:, s].T @ dh
            g["db"] += dh.sum(axis=0)
        return dX, g


@pytest.mark.parametrize("sequences", [False, True])
def test_epynn_form_forward_gradients_and_clipping(backend, sequences):
    rng = np.random.default_rng(2)
    X, U, V, b = (rng.normal(size=size) for size in [(5, 7, 3), (3, 4), (4, 4), (4,)])
    made = model(
        backend, xr.RNN(4, return_sequences=sequences), {"0.Wx": U, "0.Wh": V, "0.b": b}, features=3
    )
    theirs = EpyNN(U, V, b)
    A = theirs.forward(X)[:, 1:]
    y, _, tape = made.forward(backend.asarray(X))
    np.testing.assert_allclose(xr.to_numpy(y), A if sequences else A[:, -1], rtol=0, atol=1e-12)

    dA = rng.normal(size=A.shape)
    if not sequences:
        dA[:, :-1] = 0
    dX, g = theirs.backward(X, dA)
    dx, _, grads = made.backward(tape, backend.asarray(dA if sequences else dA[:, -1]))
    wanted = {"Wx": g["dU"], "Wh": g["dV"], "b": g["db"]}
    np.testing.assert_allclose(xr.to_numpy(dx), dX, rtol=0, atol=1e-12)
    for name, value in wanted.items():
        np.testing.assert_allclose(xr.to_numpy(grads["0"][name]), value, rtol=0, atol=1e-12)

    norm = np.sqrt(sum(np.sum(value**2) for value in wanted.values()))
    assert norm > 0.25  # else there is nothing to clip
    clipped = xr.to_numpy(xr.clip_by_norm(grads, 0.25))
    for name, value in wanted.items():
        np.testing.assert_allclose(clipped["0"][name], value * 0.25 / (norm + 1e-6), rtol=0, atol=1e-12)
