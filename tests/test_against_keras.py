"""The Keras-shaped door against Keras: one description of a model, built by both, with the same weights and numbers."""

import importlib
import os
import warnings

import numpy as np
import pytest

import xprnn as xr
from xprnn import cells
from xprnn.models import Sequential

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch", reason="Keras computes with PyTorch here, which is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    keras_dtypes = importlib.import_module("keras.src.backend.common.dtypes")

pytestmark = pytest.mark.filterwarnings("ignore")
B, T, D, V = 4, 5, 3, 7
STEPS, TOKENS = (T, D), (None,)
GATED = (cells.GRU, cells.GRUResetBefore, cells.GeneralGRU)

# Name -> one sample's shape, and the layers, of the namespace L.
MODELS = {
    "rnn": (STEPS, lambda L: [L.SimpleRNN(4)]),
    "rnn relu sequence": (STEPS, lambda L: [L.SimpleRNN(4, activation="relu", return_sequences=True)]),
    "rnn bare backwards": (STEPS, lambda L: [L.SimpleRNN(4, use_bias=False, go_backwards=True)]),
    "rnn linear": (STEPS, lambda L: [L.SimpleRNN(4, "linear"), L.Dense(2)]),
    "lstm": (STEPS, lambda L: [L.LSTM(4, return_sequences=True), L.LSTM(3)]),
    "lstm bare": (STEPS, lambda L: [L.LSTM(4, use_bias=False)]),
    "lstm backwards": (STEPS, lambda L: [L.LSTM(4, go_backwards=True, return_sequences=True), L.LSTM(3)]),
    "lstm with dropout": (STEPS, lambda L: [L.LSTM(4, dropout=0.3, recurrent_dropout=0.2, unroll=False)]),
    "lstm bent": (STEPS, lambda L: [L.LSTM(4, "relu", "hard_sigmoid", return_sequences=True), L.LSTM(3, None, "tanh")]),
    "gru bent": (STEPS, lambda L: [L.GRU(4, "softsign", "leaky_relu", return_sequences=True),
                                   L.GRU(3, "celu", "hard_sigmoid", reset_after=False)]),
    "two directions": (STEPS, lambda L: [L.Bidirectional(L.SimpleRNN(3), backward_layer=L.SimpleRNN(
        4, "elu", go_backwards=True))]),
    "gru": (STEPS, lambda L: [L.GRU(4, return_sequences=True)]),
    "gru before": (STEPS, lambda L: [L.GRU(4, reset_after=False, return_sequences=True), L.GRU(2, reset_after=False)]),
    "gru bare": (STEPS, lambda L: [L.GRU(4, use_bias=False)]),
    "gru backwards": (STEPS, lambda L: [L.GRU(4, go_backwards=True, return_sequences=True)]),
    "bidirectional": (STEPS, lambda L: [L.Bidirectional(L.LSTM(4)), L.Dense(2, activation="tanh")]),
    "bidirectional sum": (STEPS, lambda L: [L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode="sum")]),
    "bidirectional ave": (STEPS, lambda L: [L.Bidirectional(L.SimpleRNN(4), merge_mode="ave")]),
    "bidirectional mul": (STEPS, lambda L: [L.Bidirectional(L.GRU(4, reset_after=False), merge_mode="mul")]),
    "bidirectional sequence": (STEPS, lambda L: [L.Bidirectional(L.LSTM(4, return_sequences=True)), L.GRU(2)]),
    "dense": ((D,), lambda L: [L.Dense(4, "softplus"), L.Dense(2, use_bias=False), L.Activation("softmax")]),
    "norm": (STEPS, lambda L: [L.SimpleRNN(4, return_sequences=True), L.LayerNormalization(), L.Dropout(0.5)]),
    "norm alone": ((D,), lambda L: [L.LayerNormalization(center=False, scale=False)]),
    "norm with epsilon": ((D,), lambda L: [L.LayerNormalization(epsilon=0.1)]),
    "time distributed": (STEPS, lambda L: [L.TimeDistributed(L.Dense(2, activation="sigmoid"))]),
    "embedding": (TOKENS, lambda L: [L.Embedding(V, 4), L.SpatialDropout1D(0.5), L.GRU(3)]),
    "embedding of padding": (TOKENS, lambda L: [L.Embedding(V, 4, mask_zero=True), L.LSTM(3), L.Dense(2)]),
    "masking": (STEPS, lambda L: [L.Masking(0.5), L.GRU(4), L.Dense(2)]),
    "masking both ways": (STEPS, lambda L: [L.Masking(0.5), L.Bidirectional(L.LSTM(3, return_sequences=True))]),
    "masking zeros": (STEPS, lambda L: [L.Masking(), L.SimpleRNN(3, return_sequences=True, zero_output_for_mask=True)]),
    "mean": (STEPS, lambda L: [L.SimpleRNN(4, return_sequences=True), L.GlobalAveragePooling1D()]),
    "mean of real steps": (STEPS, lambda L: [L.Masking(0.5), L.GlobalAveragePooling1D(), L.Dense(2)]),
    "max": (STEPS, lambda L: [L.SimpleRNN(4, return_sequences=True), L.GlobalMaxPooling1D()]),
} | {
    name: ((D,), lambda L, name=name: [L.Activation(name)])
    for name in (
        "linear", "celu", "elu", "exponential", "hard_sigmoid", "hard_tanh", "leaky_relu", "relu", "selu", "sigmoid",
        "silu", "softmax", "softplus", "softsign", "swish", "tanh",
    )
}  # fmt: skip


@pytest.fixture(params=["float32", "float64"])
def dtype(request, monkeypatch):
    """The precision that both compute in."""
    # Without TensorFlow, Keras rounds products of float64 to float32; this is its table of what is rounded to what.
    monkeypatch.setitem(keras_dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def cell_params(layer, kernel, recurrent, bias=None):
    """The parameters of one direction of ``layer`` from Keras's."""
    if not isinstance(layer.cell_stack()[0], GATED):
        return {"Wx": kernel, "Wh": recurrent} | ({} if bias is None else {"b": bias})
    kernel, recurrent = (np.concatenate([np.split(w, 3, -1)[n] for n in (1, 0, 2)], -1) for w in (kernel, recurrent))
    p = {"Wx": kernel, "Wh": recurrent}
    if bias is None:
        return p
    bias = np.concatenate([np.split(bias, 3, -1)[n] for n in (1, 0, 2)], -1)
    return p | ({"bx": bias[0], "bh": bias[1]} if bias.ndim == 2 else {"b": bias})


def params(layer, weights):
    """The parameters of ``layer`` from the list of weights of the same layer of Keras."""
    if not isinstance(layer, xr.layers.Stack):
        names = ("g", "b") if isinstance(layer, xr.LayerNorm) else ("W", "b")
        return dict(zip(names, weights, strict=False))
    if not layer.bidirectional:
        return {"0": cell_params(layer, *weights)}
    half = len(weights) // 2
    return {"0": {"forward": cell_params(layer, *weights[:half]), "backward": cell_params(layer, *weights[half:])}}


def pair(shape, describe, dtype, seed=0):
    """Keras's model and this library's of one description, with Keras's weights, made random."""
    rng = np.random.default_rng(seed)
    theirs = keras.Sequential([keras.Input(shape, dtype="int32" if shape == TOKENS else None), *describe(keras.layers)])
    theirs.set_weights([rng.normal(size=w.shape) * 0.5 for w in theirs.get_weights()])
    ours = Sequential([xr.layers.Input(shape), *describe(xr.layers)], dtype=dtype)
    layers = iter([layer for layer in theirs.layers if layer.get_weights()])
    for name, layer in zip(ours.model.layer.names, ours.layers, strict=True):
        if ours.model.params[name]:
            converted = params(layer, next(layers).get_weights())
            fresh, found = xr.tree.flatten(ours.model.params[name]), xr.tree.flatten(converted)
            assert {path: a.shape for path, a in fresh.items()} == {path: a.shape for path, a in found.items()}
            ours.model.params[name] = xr.to_device(converted, ours.model.backend)
    return theirs, ours


def data(shape, seed=1):
    """Samples; steps 3 and 4 of row 0 and step 2 of row 1 hold what is padding for some models."""
    rng = np.random.default_rng(seed)
    if shape == TOKENS:
        x = rng.integers(1, V, (B, T))
        x[0, 3:] = x[1, 2] = 0
        return x
    x = rng.normal(size=(B, *shape))
    if shape == STEPS:
        x[0, 3:], x[1, 2], x[3, 3:] = 0.5, 0.5, 0.0
    return x


@pytest.mark.parametrize("name", MODELS)
def test_outputs_and_parameter_counts_are_keras(name, dtype):
    shape, describe = MODELS[name]
    theirs, ours = pair(shape, describe, dtype)
    assert ours.count_params() == theirs.count_params()
    x = data(shape)
    wanted = keras.ops.convert_to_numpy(theirs(x.astype(dtype) if x.dtype.kind == "f" else x))
    found = ours.predict(x)
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype == dtype
    tolerance = 1e-5 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def one_hot(classes, count):
    return np.eye(count)[classes]


CLASSES = np.asarray([0, 2, 1, 1, 0, 2, 2, 1])
# Name -> the loss (of the namespace K), the last layers, targets.
LOSSES = {
    "softmax": (lambda K: "categorical_crossentropy", lambda L: [L.Dense(3, "softmax")], one_hot(CLASSES, 3)),
    "softmax layer": (lambda K: K.CategoricalCrossentropy(label_smoothing=0.1),
                      lambda L: [L.Dense(3), L.Activation("softmax")], one_hot(CLASSES, 3)),
    "sparse": (lambda K: "sparse_categorical_crossentropy", lambda L: [L.Dense(3, "softmax")], CLASSES),
    "sparse column": (lambda K: K.SparseCategoricalCrossentropy(), lambda L: [L.Dense(3, "softmax")], CLASSES[:, None]),
    "logits": (lambda K: K.SparseCategoricalCrossentropy(from_logits=True), lambda L: [L.Dense(3)], CLASSES),
    "binary": (lambda K: "binary_crossentropy", lambda L: [L.Dense(1, "sigmoid")], CLASSES % 2),
    "binary of many": (lambda K: K.BinaryCrossentropy(), lambda L: [L.Dense(3, "sigmoid")], one_hot(CLASSES, 3)),
    "mse": (lambda K: "mse", lambda L: [L.Dense(1)], 0.3 * CLASSES),
    "mse of sigmoid": (lambda K: "mse", lambda L: [L.Dense(1, "sigmoid")], CLASSES % 2),
    "mae": (lambda K: K.MeanAbsoluteError(), lambda L: [L.Dense(1)], 0.3 * CLASSES[:, None]),
    "huber": (lambda K: K.Huber(0.5), lambda L: [L.Dense(1)], 1.3 * CLASSES),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", ["float64"], indirect=True)
def test_training_gives_keras_losses_and_metrics(name, dtype):
    loss, end, y = LOSSES[name]
    theirs, ours = pair(STEPS, lambda L: [L.Masking(), L.LSTM(4), *end(L)], dtype)
    x = np.random.default_rng(2).normal(size=(8, *STEPS))
    x[2, 3:] = 0.0
    names = {"mse": ["mae"], "mae": ["mse"], "huber": ["mae"], "sparse": ["accuracy"], "sparse column": ["accuracy"],
             "logits": ["accuracy"]}.get(name, ["accuracy", "mae"])  # fmt: skip
    theirs.compile(keras.optimizers.SGD(0.1), loss(keras.losses), metrics=names)
    ours.compile(xr.optimizers.SGD(0.1), loss(xr.losses), metrics=names)
    settings = {"batch_size": 3, "epochs": 4, "shuffle": False, "verbose": 0}
    wanted, found = theirs.fit(x, y, **settings), ours.fit(x, y, **settings)
    tolerance = 2e-6 if "binary" in name or "softmax" in name or "sparse" in name else 1e-10  # Keras cuts at 1e-7
    np.testing.assert_allclose(found.history["loss"], wanted.history["loss"], rtol=tolerance)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x, verbose=0), rtol=1e-5)
    np.testing.assert_allclose(ours.evaluate(x, y), theirs.evaluate(x, y, verbose=0), rtol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "adagrad", "adamw"])
@pytest.mark.parametrize("dtype", ["float64"], indirect=True)
def test_optimizers_by_name_are_keras(name, dtype):
    theirs, ours = pair(STEPS, lambda L: [L.SimpleRNN(4), L.Dense(1)], dtype)
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(8, *STEPS)), rng.normal(size=(8,))
    for model in (theirs, ours):
        model.compile(optimizer=name, loss="mse")
    settings = {"batch_size": 4, "shuffle": False, "verbose": 0}
    losses = [[model.fit(x, y, epochs=n, **settings).history["loss"] for n in (3, 4)] for model in (theirs, ours)]
    tolerance = (
        5e-4 if name == "rmsprop" else 2e-5
    )  # Keras's ε stands under RMSprop's root, PyTorch's and ours beside it
    np.testing.assert_allclose(np.concatenate(losses[1]), np.concatenate(losses[0]), rtol=tolerance)
    assert losses[1][1][-1] < 0.9999 * losses[1][0][0]
