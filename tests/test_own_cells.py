"""Cells of a user's own: whatever names and shapes their parameters have, all that is around a cell works with them."""

from dataclasses import dataclass

import numpy as np
import pytest

import xprnn as xr
from xprnn.testing import check_cell, check_layer


@dataclass(frozen=True)
class Adder(xr.cells.Cell):
    """h' = tanh(x + h): no parameters, and no field called hidden."""

    width: int

    @property
    def state_sizes(self):
        return (self.width,)

    def init(self, rng, features):
        return {}

    def project(self, xp, p, x):
        return x

    def step(self, xp, p, u, s):
        y = xp.tanh(u + s[0])
        return (y,), (y,)

    def step_vjp(self, xp, p, k, ds):
        dz = ds[0] * (1 - k[1] * k[1])
        return (dz,), (dz,)

    def project_vjp(self, xp, p, x, s, k, delta):
        return delta[0], {}


@dataclass(frozen=True)
class Nested(Adder):
    """h' = tanh(x A + x B + h), with A under a name that begins like the library's own, and B in a dict."""

    name: str = "state_gain"

    def init(self, rng, features):
        A, B = (rng.normal(size=(features, self.width)) for _ in range(2))
        return {self.name: A, "input": {"B": B}}

    def project(self, xp, p, x):
        return x @ p[self.name] + x @ p["input"]["B"]

    def project_vjp(self, xp, p, x, s, k, delta):
        dW = x.T @ delta[0]
        return delta[0] @ (p[self.name] + p["input"]["B"]).T, {self.name: dW, "input": {"B": 1 * dW}}


@pytest.mark.parametrize("cell", [Adder(4), Nested(4)], ids=str)
def test_the_laws_hold(cell):
    check_cell(cell, features=4)


def test_a_layer_without_parameters_that_has_a_state_obeys_them_too():
    check_layer(xr.Sequential(xr.Activation("tanh"), xr.Recurrent((Adder(4),)), xr.Dense(2)), (None, 4))


@pytest.mark.parametrize("options", [{"bidirectional": True}, {"learn_state": True}], ids=str)
@pytest.mark.parametrize("cell", [Adder(3), Nested(3)], ids=str)
def test_layers_and_models_take_them(cell, options, backend):
    model = xr.Model(xr.Recurrent((cell,), **options), backend, input_shape=(None, 3))
    x = backend.asarray(np.random.default_rng(0).normal(size=(2, 4, 3)))
    y, _, tape = model.forward(x)
    _, _, grads = model.backward(tape, backend.asarray(np.ones(y.shape)))
    flat, params = xr.to_numpy(xr.tree.flatten(grads)), xr.to_numpy(xr.tree.flatten(model.params))
    assert {name: a.shape for name, a in flat.items()} == {name: a.shape for name, a in params.items()}

    def loss(step):
        model.params = xr.to_device(xr.tree.map(lambda a: a + step, xr.to_numpy(start)), backend)
        return float(np.sum(xr.to_numpy(model(x))))

    start = model.params
    if flat:
        slope = (loss(1e-6) - loss(-1e-6)) / 2e-6  # along the direction of ones
        np.testing.assert_allclose(sum(a.sum() for a in flat.values()), slope, rtol=1e-7)


@pytest.mark.parametrize("name", ["keep", "state0"])
def test_names_that_are_the_librarys_own_are_refused(name):
    with pytest.raises(ValueError, match=rf"parameters of the names \['{name}'\], which are the library's own"):
        xr.Model(xr.Recurrent(Nested(3, name), learn_state=True), input_shape=(None, 2))


def test_recurrent_dropout_is_refused_where_it_would_do_nothing():
    with pytest.raises(ValueError, match=r"recurrent_dropout=0.5, but Adder\(width=3\) does not take it"):
        xr.Recurrent(Adder(3), recurrent_dropout=0.5)
