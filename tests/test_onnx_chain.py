"""Graphs that are chains become Models: there and back is the identity, and a Model gives what its graph gives."""

import zipfile
from pathlib import Path

import numpy as np
import onnx_models
import onnx_mutations
import pytest
from shell import identical

import xprnn as xr
from xprnn.io.onnx import load_model, load_onnx
from xprnn.io.onnx.chain import NoChainError, to_model
from xprnn.io.onnx.model import OnnxModel
from xprnn.io.onnx.write import to_graph


def graph_of(model, **options):
    return to_graph(model.layer, *model.built(), model.backend.dtype, **options)


def inputs(model, ragged, batch=3, time=5):
    """x and what is said of its lengths."""
    x = onnx_models.sample(model, batch, time)
    if not ragged:
        return x, {}
    lengths = onnx_models.lengths(batch, x.shape[1])
    return onnx_models.padded(x, lengths), {"lengths": lengths}


def held(params):
    """The arrays of a tree of parameters in no order."""
    return sorted((a.shape, a.tobytes()) for a in xr.tree.leaves(params))


CASES = [(name, False) for name in onnx_models.MODELS] + [(name, True) for name in onnx_models.SEQUENCES]


@pytest.mark.parametrize(("name", "ragged"), CASES)
def test_there_and_back(name, ragged):
    """The same function, in padding too, of the same parameters, bit for bit."""
    model = onnx_models.made(name)
    again = to_model(graph_of(model, lengths=ragged))
    assert held(again.params) == held(model.params)
    assert again.input_shape == model.input_shape and again.backend == model.backend
    for batch in (1, 3):
        x, given = inputs(model, ragged, batch)
        np.testing.assert_allclose(again(x, **given), model(x, **given), rtol=1e-6, atol=1e-6)


PLAIN = {
    "lstm": xr.LSTM(3, bidirectional=True, merge="mean", return_sequences=False, learn_state=True),
    "gru": xr.GRU(3, reverse=True, bias=False),
    "gru-before": xr.GRU(3, reset_after=False, bidirectional=True),
    "rnn": xr.RNN(3, activation="leaky_relu(0.3)", double_bias=True),
    "peephole": xr.PeepholeLSTM(3, double_bias=True),
    "cells": xr.Recurrent(onnx_models.GENERAL["clipped"], bidirectional=True, merge="mul"),
    "two": xr.Recurrent(xr.cells.GRU(3), xr.cells.RNN(2, "clip(2) hard_sigmoid"), bidirectional=True),
    "dense": xr.Dense(4, "gelu_tanh"),
    "norm": xr.LayerNorm(1e-3, bias=False),
    "activation": xr.Activation("clip(0.5) hard_sigmoid(0.2, 0.4)"),
    "flip": xr.Flip(),
    "pooling": xr.Pooling("max"),
    "steps": xr.TimeDistributed(xr.LSTM(2)),
}


@pytest.mark.parametrize("name", PLAIN)
def test_the_same_layer(name):
    """What is one layer and one node or pattern comes back as it was, names of parameters included."""
    layer = PLAIN[name]
    shape = (None, 4, 3) if name == "steps" else (None, 3)
    model = xr.Model(xr.Sequential(layer), input_shape=shape)
    model.params = xr.tree.map(lambda a: a + np.float32(0.1), model.params)
    again = to_model(graph_of(model))
    assert again.layer == model.layer
    identical(again.params, model.params)


def test_a_shared_layer_is_shared_again():
    again = to_model(graph_of(onnx_models.made("shared")))
    assert again.layer.names == ("dense", "gru", "dense", "pooling") and again.layer.layers[0] is again.layer.layers[2]


def test_what_comes_back_in_other_words():
    layer = xr.Sequential(
        xr.LSTM((4, 2)), xr.Sequential(xr.Dense(3), xr.Dropout(0.1), xr.Activation("relu")), xr.GRU(2),
        xr.Pooling("last"),
    )  # fmt: skip
    wanted = xr.Sequential(xr.LSTM(4), xr.LSTM(2), xr.Dense(3, "relu"), xr.GRU(2, return_sequences=False))
    assert to_model(graph_of(xr.Model(layer, input_shape=(None, 3)))).layer == wanted


LEARN = ("embedding", "different", "words", "general-clipped", "shared-lstm", "steps-of-steps", "norms", "dense-silu")


@pytest.mark.parametrize("name", LEARN)
@pytest.mark.parametrize("ragged", [False, True])
def test_it_learns(name, ragged):
    """Update by update as the model that was written, and the loss falls."""
    model = onnx_models.made(name, "float64")
    twins = to_model(graph_of(model, lengths=ragged)), xr.Model(model.layer, model.backend, params=model.params,
                                                               input_shape=model.input_shape)  # fmt: skip
    x, given = inputs(model, ragged)
    y = np.random.default_rng(3).normal(size=model(x, **given).shape)
    before = model.evaluate(x, y, **given)["loss"]
    again, other = (twin.fit(x, y, optimizer=xr.Adam(1e-2), epochs=3, verbose=False, **given)["loss"] for twin in twins)
    np.testing.assert_allclose(again, other, rtol=1e-6)
    assert again[-1] < before


def test_backends_and_dtypes(backend):
    model = onnx_models.made("embedding")
    again = to_model(graph_of(model), backend)
    assert again.backend == backend
    x = onnx_models.sample(model, 2, 4)
    np.testing.assert_allclose(xr.to_numpy(again(backend.asarray(x))), model(x), rtol=1e-5, atol=1e-5)
    assert to_model(graph_of(onnx_models.made("lstm", "float64"))).backend.dtype == "float64"
    assert to_model(graph_of(model), dtype="float64").backend.dtype == "float64"


BASES = (
    "random-1",
    "random-7",
    "everything",
    "steps-lstm",
    "words",
    "flip-dense",
    "rnn-pooling-max",
    "lstm-last",
    "norms",
)


@pytest.mark.parametrize("name", BASES)
@pytest.mark.parametrize("ragged", [False, True])
def test_no_other_graph_is_taken_for_a_chain(name, ragged):
    """Of graphs with one or two things changed at random, those that still are chains give what the graph gives."""
    model, known = onnx_models.made(name), {"chain": 0, "none": 0}
    graph = graph_of(model, lengths=ragged)
    x, given = inputs(model, ragged)
    x = np.minimum(x, 6) if x.dtype.kind == "i" else np.nan_to_num(x, nan=3)
    for seed in range(40):
        changed = onnx_mutations.changed(graph, seed)
        try:
            again = to_model(changed)
        except NoChainError:
            known["none"] += 1
            continue
        known["chain"] += 1
        wanted = onnx_mutations.run(OnnxModel, changed, [x, *given.values()])
        if wanted is not None:
            np.testing.assert_allclose(again(x, **given), wanted, rtol=1e-4, atol=1e-4, err_msg=str(changed.nodes))
    assert min(known.values()) > 4, known


GOLDEN = Path(__file__).parent / "golden" / "onnx"
CHAINS = {"bare": 2, "fixed": 2, "lstm": 3, "rnn": 3, "gru": 2}
OTHERS = {
    "activations": "Celu node .* is no layer: there is no layer for it",
    "attention": "its second input, 'mask', is not the lengths of rows",
    "classifier": "Add node .* is no layer",
    "keras_lstm": "Add node .* is no layer",
    "packed": "it has 2 outputs",
    "pooling": "AveragePool node .* is no layer",
    "states": "it has 3 outputs",
    "steps": "Add node .* is no layer",
}


@pytest.mark.parametrize("name", [*CHAINS, *OTHERS])
def test_golden(name, tmp_path):
    """Files of PyTorch and Keras: chains become Models, whether they have the batch first or not; others are named."""
    pytest.importorskip("onnx")
    with zipfile.ZipFile(GOLDEN / "models.zip") as archive:
        path = archive.extract(f"{name}.onnx", tmp_path)
    if name in OTHERS:
        assert isinstance(load_onnx(path), OnnxModel)
        with pytest.raises(xr.FileError, match=f"{name}.onnx is no chain of layers: {OTHERS[name]}"):
            load_model(path)
        return
    with np.load(GOLDEN / "golden.npz") as file:
        kept = {key: file[key] for key in file.files if key.startswith(f"{name} ")}
    turned, model = name == "gru", load_model(path)
    assert isinstance(xr.load_onnx(path), OnnxModel if turned else xr.Model) and len(model.layer.layers) == CHAINS[name]
    for n in (0, 1):
        if f"{name} {n} x" in kept:
            x, y = kept[f"{name} {n} x"], kept[f"{name} {n} 0"]
            x, y = (np.swapaxes(a, 0, 1) if turned else a for a in (x, y))
            np.testing.assert_allclose(model(x), y, rtol=1e-5, atol=1e-6)


def test_numbers_keep_their_precision():
    """Of an activation in float64; what ONNX has as an attribute is float32, and is read as it was written."""
    layer = xr.Sequential(xr.Dense(2, "scaled_tanh(0.3333333333333333, 1.1)"), xr.Activation("affine(1.00000001, 0.1)"))
    model = xr.Model(layer, dtype="float64", input_shape=(3,))
    assert to_model(graph_of(model)).layer == layer
    assert to_model(graph_of(xr.Model(xr.Activation("leaky_relu(0.1)"), input_shape=(3,)))).layer.layers[0].name == (
        "leaky_relu(0.1)"
    )
