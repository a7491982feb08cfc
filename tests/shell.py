"""Models, inputs and the one check that the tests of the shell share."""

import numpy as np
import pytest
from rows import opened

import xprnn as xr

B, T, D, H, V = 2, 5, 3, 4, 7
NUMPY = opened("numpy", "float64")


def recurrent(backend):
    """Two LSTMs over features and a dense layer."""
    return xr.Model(xr.Sequential(xr.LSTM(H, num_layers=2), xr.Dense(2)), backend, input_shape=(None, D))


def tokens(backend):
    """Token ids to logits of the next."""
    return xr.Model(xr.Sequential(xr.Embedding(V, D), xr.GRU(H), xr.Dense(V)), backend)


def both_ways(backend):
    return xr.Model(xr.GRU(H, bidirectional=True), backend, input_shape=(None, D))


def last(backend):
    return xr.Model(xr.Sequential(xr.RNN(H, return_sequences=False), xr.Dense(2)), backend, input_shape=(None, D))


def flat(backend):
    return xr.Model(xr.Dense(2), backend, input_shape=(D,))


class Arrays:
    """Inputs of one backend: right ones by name, others by shape."""

    def __init__(self, backend):
        self.backend = backend
        self.rng = np.random.default_rng(0)
        self.x, self.y, self.ids = self(B, T, D), self(B, T, 2), self.put(self.rng.integers(0, V, (B, T)))

    def __call__(self, *shape):
        return self.put(self.rng.normal(size=shape))

    def put(self, x, dtype=None):
        return self.backend.asarray(np.asarray(x), dtype)

    def state(self, batch=B, width=H, layers=2, cell=2):
        return (tuple(tuple(self(batch, width) for _ in range(cell)) for _ in range(layers)), ())


def same(a, b):
    return a is b or all(x is y for x, y in zip(xr.tree.leaves(a), xr.tree.leaves(b), strict=True))


def refused(model, call, error, words):
    """The call raises ``error`` with ``words`` in it, and the model is what it was."""
    before = model.params, model.run, model.input_shape
    with pytest.raises(error, match=words) as caught:
        call()
    assert type(caught.value) is error
    assert model.run is before[1] and model.input_shape == before[2] and same(model.params, before[0])


def data(backend=NUMPY, samples=7):
    """x and y to train ``recurrent`` on."""
    a = Arrays(backend)
    return a(samples, T, D), a(samples, T, 2)


def named(tree):
    """The leaves of a tree by name, arrays as NumPy arrays."""
    return {name: xr.to_numpy(leaf) if hasattr(leaf, "shape") else leaf for name, leaf in xr.tree.flatten(tree).items()}


def identical(a, b):
    """Raise unless two trees are equal bit for bit, with names, shapes and dtypes."""
    a, b = named(a), named(b)
    assert a.keys() == b.keys()
    for name in a:
        x, y = np.asarray(a[name]), np.asarray(b[name])
        assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes()), name


def same_params(a, b, tolerance=0.0):
    """Raise unless two models have parameters of the same values."""
    for name, leaf in named(a.params).items():
        np.testing.assert_allclose(named(b.params)[name], leaf, rtol=tolerance, atol=tolerance, err_msg=name)
