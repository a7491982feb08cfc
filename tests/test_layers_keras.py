"""The layers by Keras's names: which of the library's own they make, what they refuse; and the two made for them."""

import numpy as np
import pytest

import xprnn as xr
from xprnn import cells
from xprnn import layers as L
from xprnn.layers.base import Context
from xprnn.layers.catalog import LAYERS
from xprnn.layers.tail import bare, tail

MADE = {
    "rnn": (L.SimpleRNN(4, "relu"), xr.RNN(4, activation="relu", return_sequences=False)),
    "rnn linear": (L.SimpleRNN(4, None, False), xr.RNN(4, activation="identity", bias=False, return_sequences=False)),
    "lstm": (L.LSTM(4, recurrent_dropout=0.2), xr.LSTM(4, recurrent_dropout=0.2, return_sequences=False)),
    "lstm of numpy": (L.LSTM(np.int64(4), kernel_initializer="glorot_uniform"), xr.LSTM(4, return_sequences=False)),
    "gru": (L.GRU(4, return_sequences=True, reset_after=False), xr.GRU(4, reset_after=False)),
    "lstm bent": (
        L.LSTM(4, "relu", "hard_sigmoid", go_backwards=True),
        L.Recurrent(cells.GeneralLSTM(4, ("hard_sigmoid", "relu", "relu")), reverse=True, return_sequences=False),
    ),
    "gru bent": (
        L.GRU(4, None, "leaky_relu(0.3)", False, reset_after=False, recurrent_dropout=0.1, return_sequences=True),
        L.Recurrent(
            cells.GeneralGRU(4, ("leaky_relu(0.3)", "identity"), reset_after=False, bias=False), recurrent_dropout=0.1
        ),
    ),
    "two directions": (
        L.Bidirectional(
            L.GRU(4, return_sequences=True, name="a"),
            "mul",
            backward_layer=L.LSTM(4, use_bias=False, go_backwards=True, return_sequences=True),
        ),
        L.Shaped((L.Recurrent((cells.GRU(4),), (cells.LSTM(4, False),), bidirectional=True, merge="mul"),), name="a"),
    ),
    "two directions alike": (
        L.Bidirectional(L.GRU(4, dropout=0.1), backward_layer=L.GRU(4, dropout=0.1, go_backwards=True)),
        L.Bidirectional(L.GRU(4, dropout=0.1)),
    ),
    "both": (L.Bidirectional(L.GRU(4), "ave"), xr.GRU(4, bidirectional=True, merge="mean", return_sequences=False)),
    "dense": (L.Dense(4, "swish"), xr.Dense(4, "silu")),
    "dense leaky": (L.Dense(4, "leaky_relu"), xr.Dense(4, "leaky_relu(0.2)")),
    "each": (L.TimeDistributed(L.Dense(4)), xr.TimeDistributed(xr.Dense(4))),
    "embedding": (L.Embedding(9, 4, mask_zero=True), xr.Embedding(9, 4, mask_zero=True)),
    "norm": (L.LayerNormalization(), xr.LayerNorm(1e-3)),
    "norm alone": (L.LayerNormalization(center=False, scale=False), xr.LayerNorm(1e-3, gain=False, bias=False)),
    "norm scaled": (L.LayerNormalization(center=False), xr.LayerNorm(1e-3, bias=False)),
    "max": (L.GlobalMaxPooling1D(), xr.Pooling("max")),
    "spatial": (L.SpatialDropout1D(0.3), xr.SequenceDropout(0.3)),
    "input": (L.Input([3, 1]), L.Shaped((), (3, 1))),
    "shape": (L.Dense(4, input_dim=3), L.Shaped((xr.Dense(4),), (3,))),
    "steps": (L.GRU(4, input_dim=3, input_length=7), L.Shaped((xr.GRU(4, return_sequences=False),), (7, 3))),
    "tokens": (L.Embedding(9, 4, input_length=7), L.Shaped((xr.Embedding(9, 4),), (7,))),
    "backwards": (L.LSTM(4, go_backwards=True), xr.LSTM(4, reverse=True, return_sequences=False)),
    "backwards all": (
        L.LSTM(4, go_backwards=True, return_sequences=True),
        L.Shaped((xr.LSTM(4, reverse=True), xr.Flip())),
    ),
    "dropout both ways": (
        L.Bidirectional(L.LSTM(4, dropout=0.2, input_shape=(3, 1), name="a")),
        L.Shaped((xr.SequenceDropout(0.2), xr.LSTM(4, bidirectional=True, return_sequences=False)), (3, 1), "a"),
    ),
}


@pytest.mark.parametrize("name", MADE)
def test_the_layer_made(name):
    found, wanted = MADE[name]
    assert found == wanted


BACK = L.LSTM(3, go_backwards=True, return_sequences=True)
REFUSED = {
    r"LSTM\(activation='mish'": lambda: L.LSTM(4, activation="mish"),
    r"GRU\(recurrent_activation='mish'": lambda: L.GRU(4, recurrent_activation="mish"),
    "no activation 'softmax'": lambda: L.GRU(4, "softmax"),
    r"no activation 'elu_like\(3\)'": lambda: L.Dense(4, "elu_like(3)"),
    "activation='mish'": lambda: L.Dense(4, activation="mish"),
    "activation=<built-in": lambda: L.SimpleRNN(4, activation=max),
    "kernel_initializer='he_normal'": lambda: L.Dense(4, kernel_initializer="he_normal"),
    "embeddings_initializer='uniform'": lambda: L.Embedding(9, 4, embeddings_initializer="uniform"),
    "recurrent_regularizer=": lambda: L.SimpleRNN(4, recurrent_regularizer="l2"),
    "forward returns the states": lambda: L.LSTM(4, return_state=True),
    "stream": lambda: L.LSTM(4, stateful=True),
    "unit_forget_bias=False": lambda: L.LSTM(4, unit_forget_bias=False),
    "units=0": lambda: L.LSTM(0),
    "units=4.0": lambda: L.SimpleRNN(4.0),
    "rate": lambda: L.LSTM(4, dropout=1.0),
    "axis=1": lambda: L.LayerNormalization(axis=1),
    "same return_sequences": lambda: L.Bidirectional(L.GRU(4), backward_layer=BACK),
    "same recurrent_dropout": lambda: L.Bidirectional(L.GRU(4, recurrent_dropout=0.1, return_sequences=True),
                                                      backward_layer=BACK),
    "same dropout": lambda: L.Bidirectional(L.GRU(4, dropout=0.1, return_sequences=True), backward_layer=BACK),
    "backward_layer with go_backwards=False": lambda: L.Bidirectional(L.GRU(4), backward_layer=L.GRU(4)),
    "merge_mode=None": lambda: L.Bidirectional(L.LSTM(4), merge_mode=None),
    "go_backwards=True": lambda: L.Bidirectional(L.LSTM(4, go_backwards=True)),
    "input_shape=3": lambda: L.LSTM(4, input_shape=3),
    "input_shape=.*0": lambda: L.LSTM(4, input_shape=(0, 1)),
    "TimeDistributed takes one": lambda: L.TimeDistributed(L.Dense(4, input_shape=(3,))),
    "trainable=False": lambda: L.Dense(4, trainable=False),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_refused(words):
    with pytest.raises(ValueError, match=words):
        REFUSED[words]()


def test_what_is_no_argument_or_layer():
    with pytest.raises(TypeError, match="LSTM has no argument 'hidden_size'"):
        L.LSTM(4, hidden_size=3)
    with pytest.raises(TypeError, match="runs forwards"):
        L.Bidirectional(L.Dense(4))
    with pytest.raises(TypeError, match="Sequential takes layers"):
        xr.Sequential(L.LSTM(4, input_shape=(3, 1)))


def test_the_catalog_has_every_layer():
    assert {kind.__name__ for kind in LAYERS} <= set(xr.__all__)
    assert len(set(LAYERS)) == len(LAYERS)


def test_flip_exchanges_the_real_steps(row):
    x = np.asarray([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, np.nan, np.nan], [np.inf, 2.0, 3.0, 4.0], [np.nan] * 4])[..., None]
    mask = np.asarray([[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0]], dtype=bool)
    y, _, tape = xr.Flip().forward({}, row.put(x), None, Context(row.put(mask)))
    wanted = [[4.0, 3.0, 2.0, 1.0], [2.0, 1.0, np.nan, np.nan], [np.inf, 4.0, 3.0, 2.0], [np.nan] * 4]
    np.testing.assert_array_equal(row.get(y)[..., 0], np.asarray(wanted))
    np.testing.assert_array_equal(row.get(xr.Flip().backward({}, tape, y, ())[0]), x)
    whole, _, tape = xr.Flip().forward({}, row.put(x[:1]), None, Context())
    np.testing.assert_array_equal(row.get(whole)[0, :, 0], wanted[0])
    np.testing.assert_array_equal(row.get(xr.Flip().backward({}, tape, whole, ())[0]), x[:1])


def test_sequence_dropout_has_one_mask_a_sequence(row):
    layer, x = xr.SequenceDropout(0.4), np.ones((50, 3, 40))
    y, _, tape = layer.forward({}, row.put(x), None, Context(key=xr.Key(1)))
    found = row.get(y)
    np.testing.assert_array_equal(found, np.broadcast_to(found[:, :1], x.shape))
    assert set(np.unique(found)) == {0.0, found.dtype.type(1 / 0.6)}
    assert abs(np.mean(found == 0.0) - 0.4) < 0.03
    assert len(np.unique(found[:, 0], axis=0)) == 50
    np.testing.assert_array_equal(row.get(layer.backward({}, tape, row.put(x), ())[0]), found)
    still = row.put(x)
    assert layer.forward({}, still, None, Context())[0] is still


def test_tail_and_what_stands_before_it():
    for end, without in (
        (xr.Dense(3, "softmax"), xr.Dense(3)),
        (xr.Activation("sigmoid"), xr.Activation("identity")),
        (xr.TimeDistributed(xr.Dense(2, "tanh")), xr.TimeDistributed(xr.Dense(2))),
        (xr.Dense(2), xr.Dense(2)),
        (xr.Activation("linear"), xr.Activation("identity")),
        (xr.RNN(2, activation="relu"), xr.RNN(2, activation="relu")),
    ):
        model = xr.Sequential(xr.Dense(4, "relu"), end, names=("a", "b"))
        assert tail(model) == {"softmax": "softmax", "sigmoid": "sigmoid", "tanh": "tanh"}.get(tail(end))
        assert bare(model) == xr.Sequential(xr.Dense(4, "relu"), without, names=("a", "b"))
    assert [tail(xr.Dense(3, "softmax")), tail(xr.Activation("sigmoid")), tail(xr.Dense(2))] == [
        "softmax",
        "sigmoid",
        None,
    ]
    assert tail(xr.Sequential()) is None
    assert bare(xr.Sequential()) == xr.Sequential()
