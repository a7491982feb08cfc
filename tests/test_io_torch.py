"""PyTorch's names of weights: there and back, what PyTorch has not, and models' state_dicts, all without PyTorch."""

import numpy as np
import pytest

import xprnn as xr
from xprnn import cells, tree
from xprnn.io import torch as io
from xprnn.io.torch import names
from xprnn.layers.direction import Direction
from xprnn.layers.recurrent import GRU, LSTM, RNN, LayerNormLSTM, PeepholeLSTM, Recurrent

PROJECTED = (cells.ProjectedLSTM(4, 2, double_bias=True),)
CASES = {
    "RNN": RNN(4, 2, bidirectional=True),
    "LSTM": LSTM(4, 3),
    "LSTM with two biases": LSTM(4, 2, double_bias=True, bidirectional=True),
    "LSTM with a projection": Recurrent(PROJECTED * 2, bidirectional=True),
    "GRU": GRU(4, 2, bidirectional=True),
    "GRU without biases": GRU(4, bias=False),
    "cell": Direction(cells.LSTM(4)),
}


@pytest.fixture(params=CASES)
def layer(request):
    return CASES[request.param]


def fresh(layer, seed=0):
    """Parameters of which no two are alike, biases included."""
    rng = np.random.default_rng(seed)
    return tree.map(lambda a: rng.normal(size=a.shape), layer.init(rng, (None, 3))[0])


def put(backend, p):
    return tree.map(backend.asarray, p)


def test_there_and_back(backend, layer):
    p = fresh(layer)
    weights = names.to_torch(layer, put(backend, p))
    assert {name: tuple(a.shape) for name, a in weights.items()} == names.shapes(layer, 3)
    assert list(weights) == list(names.shapes(layer, 3))
    again = tree.flatten(names.from_torch(layer, weights))
    assert again.keys() == tree.flatten(p).keys()
    for name, a in tree.flatten(p).items():
        np.testing.assert_array_equal(backend.to_numpy(again[name]), a)


def test_names_and_places():
    """PyTorch's names spelled out, in its order, and one block of each weight where its documentation says."""
    layer = Recurrent((cells.ProjectedLSTM(2, 1, double_bias=True),), bidirectional=True)
    p = fresh(layer)
    stems = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_hr_l0")
    weights = names.to_torch(layer, p)
    assert list(weights) == [*stems, *(f"{stem}_reverse" for stem in stems)]
    for suffix, way in (("", "forward"), ("_reverse", "backward")):
        own = p["0"][way]
        np.testing.assert_array_equal(weights[f"weight_ih_l0{suffix}"][2:4], own["Wx"][:, 2:4].T)  # the forget gate
        np.testing.assert_array_equal(weights[f"weight_hh_l0{suffix}"][:, 0], own["Wh"][0])
        np.testing.assert_array_equal(weights[f"weight_hr_l0{suffix}"], own["Wp"].T)
        np.testing.assert_array_equal(weights[f"bias_ih_l0{suffix}"], own["bx"])
        np.testing.assert_array_equal(weights[f"bias_hh_l0{suffix}"], own["bh"])
    assert list(names.to_torch(Direction(cells.GRU(2)), fresh(Direction(cells.GRU(2))))) == [
        "weight_ih", "weight_hh", "bias_ih", "bias_hh",
    ]  # fmt: skip


def test_two_biases_are_one_unless_they_are_kept():
    for layer, merged in ((RNN(2), True), (LSTM(2), True), (LSTM(2, double_bias=True), False), (GRU(2), False)):
        weights = {name: np.full(shape, 1.0 + n) for n, (name, shape) in enumerate(names.shapes(layer, 3).items())}
        p = names.from_torch(layer, weights)["0"]
        assert {name: a[0] for name, a in p.items() if name[0] == "b"} == ({"b": 7.0} if merged else {"bx": 3, "bh": 4})
        back = names.to_torch(layer, {"0": p})
        assert (back["bias_ih_l0"][0], back["bias_hh_l0"][0]) == ((7.0, 0.0) if merged else (3.0, 4.0))


REFUSED = [
    (PeepholeLSTM(4), TypeError, r"PyTorch has no PeepholeLSTM\(hidden=4.*only RNN with tanh or relu, LSTM"),
    (GRU(4, reset_after=False), TypeError, "GRUResetBefore"),
    (LayerNormLSTM(4), TypeError, "PyTorch has no LayerNormLSTM"),
    (Recurrent(cells.Zoneout(cells.GRU(4), (0.1,))), TypeError, "PyTorch has no Zoneout"),
    (RNN(4, activation="softplus"), TypeError, "activation='softplus'"),
    (LSTM(4, bidirectional=True, merge="sum"), ValueError, "merge='sum'"),
    (LSTM(4, reverse=True), ValueError, "only runs backwards"),
    (LSTM(4, learn_state=True), ValueError, "no learned initial state"),
    (LSTM((4, 5)), ValueError, "all layers and directions have the same cell"),
    (Recurrent(cells.LSTM(4), cells.GRU(4), bidirectional=True), ValueError, "the same cell"),
]


@pytest.mark.parametrize(("layer", "error", "words"), REFUSED)
def test_what_torch_has_not(layer, error, words):
    p = fresh(layer)
    for call in (lambda: names.shapes(layer, 3), lambda: names.to_torch(layer, p), lambda: names.from_torch(layer, {})):
        with pytest.raises(error, match=words):
            call()
    model = xr.Model(xr.Sequential(xr.Dropout(0.5), layer, names=("drop", "rnn")), input_shape=(None, 3))
    for call in (lambda: io.state_dict(model), lambda: io.load_state_dict(model, {})):
        with pytest.raises(error, match=f"layer 'rnn': .*{words}"):
            call()


def chain(backend="numpy", seed=0):
    """A model with every kind of layer that has names in PyTorch, and some without, nested and shared."""
    shared = xr.Dense(5, "relu")
    inner = xr.Sequential(xr.LSTM(5, double_bias=True), xr.Dropout(0.5), xr.TimeDistributed(xr.Dense(5, bias=False)))
    norms = (xr.LayerNorm(), xr.LayerNorm(bias=False), xr.LayerNorm(gain=False, bias=False))
    rest = xr.Sequential(shared, xr.Activation("tanh"), shared, *norms, names=("0", "1", "0", "3", "4", "5"))
    layers = xr.Sequential(
        xr.Embedding(9, 4), inner, rest, xr.GRU(2, return_sequences=False), names=("e", "in", "re", "out")
    )
    return xr.Model(layers, backend, seed=seed)


SHAPES = {
    "e.weight": (9, 4),
    "in.lstm.weight_ih_l0": (20, 4), "in.lstm.weight_hh_l0": (20, 5), "in.lstm.bias_ih_l0": (20,),
    "in.lstm.bias_hh_l0": (20,), "in.time_distributed.weight": (5, 5),
    "re.0.weight": (5, 5), "re.0.bias": (5,), "re.2.weight": (5, 5), "re.2.bias": (5,),
    "re.3.weight": (5,), "re.3.bias": (5,), "re.4.weight": (5,),
    "out.weight_ih_l0": (6, 5), "out.weight_hh_l0": (6, 2), "out.bias_ih_l0": (6,), "out.bias_hh_l0": (6,),
}  # fmt: skip


def drawn(seed=1):
    rng = np.random.default_rng(seed)
    state = {name: rng.normal(size=shape) for name, shape in SHAPES.items()}
    return state | {f"re.2.{name}": state[f"re.0.{name}"] for name in ("weight", "bias")}


def test_a_model_takes_and_gives_a_state_dict(backend):
    model, other, state = chain(backend), chain(backend, seed=7), drawn()
    assert {name: tuple(a.shape) for name, a in io.state_dict(model).items()} == SHAPES
    assert list(io.state_dict(model)) == list(SHAPES)
    assert io.load_state_dict(model, state) == ([], [])
    for name, a in io.state_dict(model).items():
        backend.check(a, name)
        np.testing.assert_array_equal(backend.to_numpy(a), state[name])
    ids = backend.asarray(np.arange(8).reshape(2, 4))
    io.load_state_dict(other, io.state_dict(model))
    y = backend.to_numpy(model(ids))
    assert y.shape == (2, 2) and np.all(np.isfinite(y))
    np.testing.assert_array_equal(backend.to_numpy(other(ids)), y)
    np.testing.assert_array_equal(backend.to_numpy(model.params["re"]["0"]["W"]), state["re.0.weight"].T)
    assert np.any(backend.to_numpy(chain(backend)(ids)) != y)


def test_a_state_dict_shares_no_memory_and_lies_in_order():
    model, state = chain(xr.backend("numpy", "float64")), drawn()
    io.load_state_dict(model, state)
    given = io.state_dict(model)
    for a in (*state.values(), *given.values()):
        assert a.flags.c_contiguous and a.flags.writeable
        assert not any(np.shares_memory(a, b) for b in tree.leaves(model.params))
        a += 1
    for name, a in io.state_dict(model).items():
        np.testing.assert_array_equal(a, drawn()[name])


def test_weights_are_cast_and_what_was_kept_to_resume_is_dropped():
    model, state = chain(), drawn()
    ids = np.arange(8).reshape(2, 4)
    model.fit(ids, np.zeros((2, 2), np.float32), epochs=1, verbose=False)
    assert model.run is not None
    integers = {name: np.arange(a.size).reshape(a.shape) for name, a in state.items() if name[0] == "e"}
    io.load_state_dict(model, state | integers)
    assert model.run is None and all(a.dtype == np.float32 for a in tree.leaves(model.params))
    np.testing.assert_array_equal(model.params["in"]["lstm"]["0"]["Wx"], state["in.lstm.weight_ih_l0"].T.astype("f4"))
    with pytest.raises(TypeError, match="complex128"):
        io.load_state_dict(model, state | {"e.weight": state["e.weight"] + 1j})


def test_a_state_dict_that_does_not_fit_changes_nothing():
    model, state = chain(), drawn()
    before = model.params
    del state["in.lstm.bias_hh_l0"]
    state |= {"other": np.zeros(2), "out.weight_ih_l0": np.zeros((6, 4)), "e.weight": np.zeros((4, 9))}
    with pytest.raises(ValueError) as caught:
        io.load_state_dict(model, state)
    for words in (
        "missing: in.lstm.bias_hh_l0; unexpected: other; ",
        "e.weight has the shape (4, 9), not (9, 4); ",
        "out.weight_ih_l0 has the shape (6, 4), not (6, 5)",
    ):
        assert words in str(caught.value)
    with pytest.raises(ValueError, match=r"e\.weight has the shape"):
        io.load_state_dict(model, state, strict=False)
    with pytest.raises(TypeError, match="a dict of arrays by PyTorch's names, not a str"):
        io.load_state_dict(model, "m.safetensors")
    assert model.params is before
    with pytest.raises(ValueError, match="no parameters before it has seen data"):
        io.load_state_dict(xr.Model(xr.LSTM(3)), {})


def test_a_state_dict_in_parts_says_what_it_left():
    model = chain(xr.backend("numpy", "float64"))
    before = io.state_dict(model)
    loaded = io.load_state_dict(model, {"e.weight": np.ones((9, 4)), "other": np.ones(3)}, strict=False)
    assert loaded == ([name for name in SHAPES if name != "e.weight"], ["other"])
    np.testing.assert_equal(io.state_dict(model), before | {"e.weight": np.ones((9, 4))})
