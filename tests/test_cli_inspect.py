"""``xprnn inspect``: all that a file says of its model, and none of its numbers."""

import json
import os
import re
import tracemalloc

import numpy as np
import pytest
from cli_files import batch, needs, problem, sequences, tokens

import xprnn as xr
from xprnn.cli import main
from xprnn.io.convert import FORMATS, write_model


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_inspect_shows_all_that_a_model_is(suffix, capsys):
    layers = xr.Sequential(xr.LSTM(5), xr.GRU(3, return_sequences=False), xr.Dense(2))
    model = xr.Model(layers, dtype="float64", seed=7, input_shape=(None, 4))
    for _ in model.training(batch(4, 3, 4, dtype="float64"), batch(4, 2, dtype="float64"), loss="mse", optimizer="sgd"):
        pass
    name = "a" + suffix
    model.save(name, run=True, extra={"kind": "test", "long": "x" * 100})
    assert main(["inspect", name]) == 0
    wanted = f"""\
{name}: {FORMATS[suffix].title}, {os.path.getsize(name):,} bytes

input       (batch, any, 4)
output      (batch, 2)
parameters  298
dtype       float64
seed        7
run         epoch: 1, update: 0
extra       kind: "test", long: "{"x" * 59}...

name   layer                                       parameters  output           shapes
lstm   LSTM(hidden=5)                                     200  (batch, any, 5)  0.Wx 4×20, 0.Wh 5×20, 0.b 20
gru    GRU(return_sequences=False, hidden=3)               90  (batch, 3)       0.Wx 5×9, 0.Wh 3×9, 0.bx 9, 0.bh 9
dense  Dense(units=2, activation=None, bias=True)           8  (batch, 2)       W 3×2, b 2
"""
    assert capsys.readouterr().out == wanted


def test_inspect_for_programs(capsys):
    model = tokens()
    model.save("a.npz")
    assert main(["inspect", "a.npz", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    layers = found.pop("layers")
    assert found == {
        "file": "a.npz", "bytes": os.path.getsize("a.npz"), "format": FORMATS[".npz"].title, "input": [None],
        "output": [None, 7], "parameters": model.count_params(), "dtype": "float32", "seed": 0, "extra": {},
        "run": None,
    }  # fmt: skip
    assert [(layer["name"], layer["type"], layer["parameters"]) for layer in layers] == [
        ("embedding", "Embedding", 28), ("rnn", "RNN", 50), ("dense", "Dense", 42)
    ]  # fmt: skip
    assert layers[1]["shapes"] == {"0.Wx": [4, 5], "0.Wh": [5, 5], "0.b": [5]}
    assert layers[1]["layer"] == "RNN(hidden=5)" and layers[1]["output"] == [None, 5]


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_inspect_leaves_the_numbers_in_the_file(suffix, capsys):
    xr.Model(xr.Embedding(4000, 500)).save("large" + suffix)
    assert os.path.getsize("large" + suffix) > 8_000_000
    tracemalloc.start()
    try:
        assert main(["inspect", "large" + suffix]) == 0
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    out = capsys.readouterr().out
    assert "W 4000×500" in out and re.search("^seed +0$", out, re.M)


def test_inspect_arrays_without_layers(capsys):
    foreign = pytest.importorskip("safetensors.numpy")
    arrays = {"rnn.weight_ih_l0": batch(8, 3), "steps": np.asarray(5)}
    foreign.save_file(arrays, "torch.safetensors", {"format": "pt"})
    assert main(["inspect", "torch.safetensors"]) == 0
    wanted = f"""\
torch.safetensors: safetensors, arrays without layers, {os.path.getsize("torch.safetensors")} bytes

parameters  24
metadata    format: "pt"

array             dtype    shape
steps             int64    ()
rnn.weight_ih_l0  float32  (8, 3)
"""
    assert capsys.readouterr().out == wanted
    assert "no model of xprnn's" in problem(capsys, "convert", "torch.safetensors", "b.npz")


def test_inspect_an_onnx_graph(capsys):
    needs(".onnx")
    xr.Model(xr.Sequential(xr.LSTM(5), xr.Dense(2)), input_shape=(None, 4)).save_onnx("a.onnx")
    assert main(["inspect", "a.onnx", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["opset"], found["format"]) == (17, "ONNX")
    assert found["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["batch", "time", 4]}]
    assert found["outputs"] == [{"name": "y", "dtype": "float32", "shape": ["batch", "time", 2]}]
    assert found["operators"]["LSTM"] == 1 and found["operators"]["MatMul"] == 1
    assert {"dtype": "float32", "shape": [1, 20, 5]} in found["tensors"].values()
    assert found["parameters"] == 20 * (4 + 5 + 2) + 12
    assert main(["inspect", "a.onnx"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^inputs +x \(batch, time, 4\) float32$", out, re.M)
    assert re.search("^operators .*LSTM 1", out, re.M)


def test_inspect_a_keras_model(capsys):
    needs(".keras")
    write_model(sequences(), "a.keras")
    assert main(["inspect", "a.keras", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["dtype"], found["input"], found["output"]) == ("Keras 3", "float32", [None, 4], [2])
    assert found["parameters"] == sequences().count_params()
    assert [layer["type"] for layer in found["layers"]] == ["LSTM", "GRU", "Dense"]


def test_what_a_file_says_does_not_move_the_cursor(capsys):
    odd = "a\n\x1b[31mred\x07"
    xr.Model(xr.Sequential(xr.Dense(2), names=(odd,)), input_shape=(3,)).save("a.npz", extra={odd: odd})
    assert main(["inspect", "a.npz"]) == 0
    out = capsys.readouterr().out
    assert r"a\n\x1b[31mred\x07  Dense" in out and not set(out) & set("\x1b\x07")
