"""Parameters that are there already: checked against layers without drawing others, whatever sizes these ask for."""

import numpy as np
import pytest
from shell import NUMPY, D, H, identical, named
from subjects import CELLS, LAYERS

import xprnn as xr
from xprnn import tree
from xprnn.door import check_params
from xprnn.initializers import Outline, hollow


def shapes(params):
    return {name: a.shape for name, a in tree.flatten(params).items()}


@pytest.mark.parametrize("name", LAYERS)
def test_an_outline_has_the_shapes_that_are_drawn(name):
    layer, shape = LAYERS[name]
    drawn, output = layer.init(np.random.default_rng(0), shape)
    outline, told = layer.init(Outline(), shape)
    assert shapes(outline) == shapes(drawn) and list(tree.flatten(outline)) == list(tree.flatten(drawn))
    assert told == output == check_params(layer, shape, drawn)


@pytest.mark.parametrize("name", CELLS)
def test_an_outline_of_a_cell(name):
    cell = CELLS[name]
    assert shapes(cell.init(Outline(), D)) == shapes(cell.init(np.random.default_rng(0), D))


def test_an_outline_takes_no_memory_and_draws_nothing(monkeypatch):
    monkeypatch.setattr(np.random, "default_rng", None)
    params, output = xr.LSTM(2**24, 3, bidirectional=True).init(Outline(), (None, 2**20))
    assert output == (None, 2**25) and params["2"]["backward"]["Wx"].shape == (2**25, 2**26)
    assert hollow((3, 2**40)).nbytes == 3 * 2**43 and hollow((), np.float32).dtype == np.float32
    with pytest.raises(
        ValueError, match=r"a parameter of shape \(3, 16\) is wanted, and there is none nearly as large"
    ):
        xr.LSTM(4).init(Outline(47), (None, 3))
    assert xr.LSTM(4).init(Outline(64), (None, 3))


def test_who_draws_by_other_means_draws():
    assert Outline().normal(size=3).shape == (3,)


def test_a_model_takes_parameters_as_they_are(backend):
    model = xr.Model(xr.GRU(H), NUMPY, seed=1, input_shape=(None, D))
    taken = xr.Model(xr.GRU(H), backend, seed=2, input_shape=(None, D), params=model.params)
    identical(xr.to_numpy(taken.params), model.params)
    assert taken.output_shape == model.output_shape
    other = xr.Model(xr.GRU(H), backend)
    other.build((None, D), model.params)
    identical(named(other.params), named(taken.params))


def test_parameters_that_do_not_fit():
    model = xr.Model(xr.GRU(H), NUMPY, input_shape=(None, D))
    with pytest.raises(ValueError, match="give input_shape= too"):
        xr.Model(xr.GRU(H), NUMPY, params=model.params)
    for layer, words in (
        (xr.GRU(H + 1), r"0\.Wx: \(3, 12\), wanted \(3, 15\)"),
        (xr.GRU(H, 2), r"1\.Wx: missing, wanted \(4, 12\)"),
        (xr.GRU(H, bias=False), r"0\.bx: \(12,\), wanted no such parameter"),
        (xr.GRU(10**9), r"of shape \(3, 3000000000\) is wanted, and there is none nearly as large"),
    ):
        with pytest.raises(ValueError, match=words):
            xr.Model(layer, NUMPY, input_shape=(None, D), params=model.params)


def test_nested_layers_are_asked_for_their_rank_once():
    """Twice each would be twice as often with every level: forty levels would take days."""
    layer = xr.RNN(D)
    for _ in range(40):
        layer = xr.Sequential(layer)
    assert layer.rank == 2 and not layer.takes_ids
