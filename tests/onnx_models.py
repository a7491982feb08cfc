"""Models that can be ONNX files: each layer and cell with each option, sizes down to 1, and random stacks of them."""

import functools
import zlib

import numpy as np

import xprnn as xr
from xprnn import cells
from xprnn.ops.activations import ACTIVATIONS

_SHARED, _SHARED_RNN = xr.Dense(3, "tanh"), xr.LSTM(3)
_DIFFERENT = xr.Bidirectional(
    xr.Direction(cells.GRU(2), learn_state=True), xr.Direction(cells.LSTM(3, double_bias=True), reverse=True)
)
IN_CELLS = (
    "relu", "sigmoid", "identity", "leaky_relu", "leaky_relu(0.3)", "elu", "elu(0.5)", "softplus", "softsign",
    "hard_sigmoid", "hard_sigmoid(0.2, 0.4)", "affine(0.5, 0.1)", "scaled_tanh(1.2, 0.7)", "thresholded_relu(0.2)",
    "clip(0.5) tanh", "clip(0.25) elu(0.5)",
)  # fmt: skip
AFTERWARDS = (
    "affine(1.5, -0.25)", "clip(0.5) softsign", "clip(0.5) identity", "elu(0.7)", "hard_sigmoid(0.2, 0.5)",
    "leaky_relu(0.3)", "scaled_tanh(1.7159, 0.6667)", "thresholded_relu(0.5)", "softmax",
)  # fmt: skip
GENERAL = {
    "lstm": cells.GeneralLSTM(3, ("hard_sigmoid(0.2, 0.5)", "softsign", "elu"), peepholes=True),
    "coupled": cells.GeneralLSTM(3, coupled=True, double_bias=True),
    "coupled-peepholes": cells.GeneralLSTM(2, ("sigmoid", "leaky_relu(0.2)", "tanh"), coupled=True, peepholes=True),
    "clipped": cells.GeneralLSTM(3, ("clip(0.5) sigmoid", "clip(0.5) tanh", "tanh"), bias=False),
    "gru": cells.GeneralGRU(3, ("clip(0.9) hard_sigmoid", "clip(0.9) scaled_tanh(1.2, 0.6)")),
    "gru-before": cells.GeneralGRU(3, ("sigmoid", "affine(0.5, 0.1)"), reset_after=False, double_bias=True),
}

# Name -> the layer, over steps of 3 features unless another sample's shape stands beside it.
RECURRENT = {
    "rnn": xr.RNN(4),
    "rnn-1": xr.RNN(1, 3, reverse=True, double_bias=True),
    "rnn-bare": xr.RNN(2, bias=False, learn_state=True),
    "lstm": xr.LSTM(4, 2, dropout=0.3, recurrent_dropout=0.2, segment=2),
    "lstm-double": xr.LSTM((4, 1, 3), double_bias=True, bidirectional=True),
    "lstm-last": xr.LSTM(3, 2, bidirectional=True, return_sequences=False, learn_state=True),
    "lstm-reverse-last": xr.LSTM(3, reverse=True, return_sequences=False, bias=False),
    "gru": xr.GRU(4, 2, learn_state=True),
    "gru-bare": xr.GRU(3, bias=False, bidirectional=True, merge="mul"),
    "gru-before": xr.GRU(3, 2, reset_after=False, bidirectional=True, merge="mean"),
    "gru-sum-last": xr.GRU(3, bidirectional=True, merge="sum", return_sequences=False),
    "peephole": xr.PeepholeLSTM(3, 2, bidirectional=True, merge="sum", double_bias=True),
    "peephole-bare": xr.PeepholeLSTM(1, bias=False, learn_state=True),
    "mixed": xr.Recurrent((cells.LSTM(4), cells.GRU(1), cells.RNN(3, "relu")), bidirectional=True),
    "backward-cells": xr.Recurrent(
        cells.RNN(3), cells.GRU(3), bidirectional=True, merge="mul", return_sequences=False, learn_state=True
    ),
    "direction": xr.Direction(cells.PeepholeLSTM(3), reverse=True, learn_state=True),
    "direction-last": xr.Direction(cells.GRU(3), return_sequences=False),
    "different": _DIFFERENT,
    "nested": xr.Sequential(xr.Sequential(xr.LSTM(2), xr.Dropout(0.5)), xr.SequenceDropout(0.5), xr.GRU(3)),
    "shared-lstm": xr.Sequential(_SHARED_RNN, _SHARED_RNN, xr.Dense(2)),
} | {f"rnn-{name}": xr.RNN(3, activation=name) for name in IN_CELLS}
RECURRENT |= {f"general-{name}": xr.Recurrent(cell, bidirectional=True) for name, cell in GENERAL.items()}

SEQUENCES = RECURRENT | {
    "dense": xr.Dense(2),
    "dense-1": xr.Sequential(xr.Dense(1, bias=False), xr.Dense(1, "relu")),
    "norms": xr.Sequential(xr.LayerNorm(1e-3), xr.Dense(3), xr.LayerNorm(gain=False), xr.LayerNorm(bias=False)),
    "norm-of-one": xr.Sequential(xr.Dense(1), xr.LayerNorm(gain=False, bias=False), xr.RNN(2)),
    "flip": xr.Sequential(xr.Flip(), xr.LSTM(3), xr.Flip()),
    "flip-dense": xr.Sequential(xr.Dense(2), xr.Flip(), xr.Activation("exp")),
    "shared": xr.Sequential(_SHARED, xr.GRU(3), _SHARED, xr.Pooling("mean")),
    "embedding": (xr.Sequential(xr.Embedding(7, 3), xr.LSTM(4), xr.Dense(7, "softmax")), (None,)),
    "embedding-alone": (xr.Embedding(7, 1), (None,)),
    "embedding-flip": (xr.Sequential(xr.Embedding(7, 2), xr.Flip(), xr.Dense(2), xr.Pooling("last")), (None,)),
    "fixed-time": (xr.Sequential(xr.LSTM(3), xr.Dense(2)), (5, 3)),
    "steps": xr.TimeDistributed(xr.Sequential(xr.Dense(4, "relu"), xr.LayerNorm())),
    "steps-lstm": (xr.TimeDistributed(xr.LSTM(3, return_sequences=False)), (None, 4, 3)),
    "steps-of-steps": (
        xr.Sequential(xr.TimeDistributed(xr.GRU(2)), xr.TimeDistributed(xr.Pooling("max")), xr.LSTM(3)),
        (None, None, 3),
    ),
    "words": (
        xr.Sequential(xr.TimeDistributed(xr.Sequential(xr.Embedding(7, 3), xr.RNN(2, return_sequences=False))),
                      xr.GRU(2)),
        (None, 4),
    ),
    "everything": (
        xr.Sequential(xr.Embedding(7, 3), xr.SequenceDropout(0.1), xr.LSTM(4, bidirectional=True), xr.LayerNorm(),
                      xr.Dense(3, "gelu"), xr.GRU(3, 2), xr.Pooling("max"), xr.Dense(2, "softmax")),
        (None,),
    ),
} | {f"pooling-{kind}": xr.Sequential(xr.Pooling(kind), xr.Dense(2)) for kind in ("last", "mean", "max")}  # fmt: skip
SEQUENCES |= {f"rnn-pooling-{kind}": xr.Sequential(xr.RNN(2), xr.Pooling(kind)) for kind in ("last", "mean", "max")}
SEQUENCES |= {f"activation-{name}": xr.Activation(name) for name in (*ACTIVATIONS, *AFTERWARDS)}
SEQUENCES |= {f"dense-{name}": xr.Dense(3, name) for name in ("silu", "clip(0.5) softsign", "hard_tanh", "softmax")}


def _random(seed):
    """A random stack over token ids or features."""
    rng = np.random.default_rng(seed)

    def pick(*values):
        return values[rng.integers(len(values))]

    def recurrent(last):
        size, count = int(rng.integers(1, 6)), int(rng.integers(1, 3))
        both = pick(True, False)
        common = {
            "bidirectional": both, "reverse": not both and pick(True, False), "bias": pick(True, True, False),
            "learn_state": pick(True, False), "return_sequences": not last,
            "merge": pick("concat", "sum", "mean", "mul"),
        }  # fmt: skip
        two = {"double_bias": common["bias"] and pick(True, False)}
        return pick(
            lambda: xr.RNN(size, count, activation=pick(*IN_CELLS), **common, **two),
            lambda: xr.LSTM(size, count, **common, **two),
            lambda: xr.PeepholeLSTM(size, count, **common, **two),
            lambda: xr.GRU(size, count, reset_after=pick(True, False), **common),
        )()

    ids, layers = pick(True, False), []
    layers += [xr.Embedding(7, int(rng.integers(1, 5)))] if ids else []
    for _ in range(rng.integers(1, 4)):
        more = (
            xr.Dense(int(rng.integers(1, 5)), pick(None, "tanh", "relu")),
            xr.LayerNorm(),
            xr.Dropout(0.2),
            xr.Flip(),
        )
        layers += [recurrent(False), *(layer for layer in more if pick(True, False, False))]
    layers += pick([], [recurrent(True)], [xr.Pooling(pick("last", "mean", "max"))])
    return xr.Sequential(*layers, xr.Dense(2)), (None,) if ids else (None, 3)


RANDOM = {f"random-{seed}": _random(seed) for seed in range(60)}
SEQUENCES |= RANDOM
MODELS = SEQUENCES | {
    "samples": (xr.Sequential(xr.Dense(4, "tanh"), xr.LayerNorm(), xr.Dense(1)), (3,)),
    "nothing": (xr.Sequential(xr.Dropout(0.5)), (None, 3)),
    "embedding-samples": (xr.Sequential(xr.Embedding(7, 3), xr.Dense(2)), ()),
}
STATEFUL = (*RECURRENT, "everything", "fixed-time", "random-1", "random-2", "random-3")


@functools.cache
def made(name, dtype="float32", backend="numpy"):
    """The model of a name, with parameters of which no two are alike."""
    layer, shape = MODELS[name] if isinstance(MODELS[name], tuple) else (MODELS[name], (None, 3))
    model = xr.Model(layer, backend, dtype, input_shape=shape)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    model.params = xr.tree.map(lambda a: model.backend.asarray(0.6 * rng.normal(size=a.shape)), model.params)
    return model


def sample(model, batch, time, seed=1):
    """An input of ``batch`` samples of ``time`` steps, or of as many as the model wants."""
    rng = np.random.default_rng(seed)
    sizes = [n or (time if place == 0 else 3) for place, n in enumerate(model.input_shape)]
    if model.layer.takes_ids:
        return rng.integers(0, 7, (batch, *sizes))
    return rng.normal(size=(batch, *sizes)).astype(model.backend.dtype)


def lengths(batch, time):
    """As many as there are rows, from all steps down to none."""
    return np.maximum(time - 2 * np.arange(batch) - (batch == 1), 0) if batch > 1 else np.array([max(time - 1, 1)])


def padded(x, lengths):
    """x with what a model must not look at in its padding."""
    x = x.copy()
    for row, length in zip(x, lengths, strict=True):
        row[length:] = 99 if x.dtype.kind == "i" else np.nan
    return x


def leaf(path):
    """The name in a file of a state's leaf: "1.0.0" is "1.0.h"."""
    *place, last = path.split(".")
    return ".".join([*place, "hc"[int(last)]])
