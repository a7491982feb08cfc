"""What Keras wrote and computed, once: its files read and its numbers met, where there is no Keras."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import xprnn as xr
from xprnn import layers as L
from xprnn.backend import to_numpy
from xprnn.io.keras import load, save
from xprnn.io.keras.described import entries
from xprnn.io.keras.weights import to_keras

pytest.importorskip("h5py")
ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "golden" / "keras"
# Name -> the layers, under Keras's names; what it was computed in; Keras's version.
WANTED = {
    "lstm": ({"masking": xr.Masking(0.5), "first": xr.LSTM(3), "layer_normalization": xr.LayerNorm(1e-3, gain=False),
              "each": xr.TimeDistributed(xr.Dense(2, "tanh"))}, "float64", "3.15.1"),
    "gru": ({"embedding": xr.Embedding(7, 3, True), "gru_dropout": xr.SequenceDropout(0.2), "gru": xr.GRU(3),
             "gru_1": L.GRU(2, "softsign", reset_after=False), "dense_1": xr.Dense(2, "softmax")}, "float64", "3.15.1"),
    "both": ({"masking_1": xr.Masking(), "bidirectional": xr.LSTM(2, bias=False, bidirectional=True, merge="mul"),
              "two": L.Recurrent((xr.cells.GRU(2),), (xr.cells.RNN(3, "relu"),), bidirectional=True,
                                 return_sequences=False)}, "float64", "3.15.1"),
    "backwards": ({"lstm_1": L.Recurrent(xr.cells.GeneralLSTM(3, ("hard_sigmoid", "leaky_relu(0.1)",
                                                                  "leaky_relu(0.1)")), reverse=True),
                   "lstm_1_flip": xr.Flip(), "layer_normalization_1": xr.LayerNorm(0.1, bias=False),
                   "gru_3": xr.GRU(2, reverse=True), "gru_3_flip": xr.Flip(),
                   "global_max_pooling1d": xr.Pooling("max")}, "float64", "3.15.1"),
    "old": ({"tokens": xr.Embedding(7, 3, True), "bidirectional": xr.LSTM(2, bidirectional=True),
             "gru": xr.GRU(2, return_sequences=False), "dense": xr.Dense(3, "elu"), "dense_1": xr.Dense(1, "identity")},
            "float32", "3.0.0"),
}  # fmt: skip


@pytest.fixture(params=WANTED)
def name(request):
    return request.param


def computed(name):
    """What Keras computed."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def test_keras_numbers(backend, name):
    layers, dtype, _ = WANTED[name]
    model, wanted = load(FOLDER / f"{name}.keras", backend), computed(name)
    assert (model.layer, model.layer.names) == (xr.Sequential(*layers.values(), names=tuple(layers)), tuple(layers))
    y, _, tape = model.forward(backend.asarray(wanted["x"]))
    dx, _, grads = model.backward(tape, backend.asarray(wanted["dy"]))
    limit = {"rtol": 1e-12, "atol": 1e-13} if dtype == "float64" else {"rtol": 1e-5, "atol": 1e-6}
    real = wanted["mask"] if y.ndim == 3 else slice(None)
    np.testing.assert_allclose(backend.to_numpy(y)[real], wanted["y"][real], **limit)
    if name == "backwards":
        limit = {"rtol": 1e-5, "atol": 1e-8}  # the slope of PyTorch's hard sigmoid is 1/6 in float32
    if "dx" in wanted:
        np.testing.assert_allclose(backend.to_numpy(dx), wanted["dx"], **limit)
    met = {
        ".".join(("grad", entry.name, *path, str(n))): a
        for entry in entries(model.layer, to_numpy(grads))
        for path, arrays in to_keras(entry.layer, entry.params).items()
        for n, a in enumerate(arrays)
    }
    assert met.keys() == {key for key in wanted if key.startswith("grad.")}
    for key, a in met.items():
        np.testing.assert_allclose(a, wanted[key], **limit, err_msg=key)


def test_precision_is_that_of_the_file(name):
    _, dtype, version = WANTED[name]
    assert load(FOLDER / f"{name}.keras").backend.dtype == dtype
    assert load(FOLDER / f"{name}.keras", dtype="float32").backend.dtype == "float32"
    about = json.loads(zipfile.ZipFile(FOLDER / f"{name}.keras").read("metadata.json"))
    assert about["keras_version"] == version


def test_there_and_back(name, tmp_path):
    """What is read, written and read again is the same, and the same bytes each time."""
    first, dtype = load(FOLDER / f"{name}.keras"), WANTED[name][1]
    save(first, tmp_path / "a.keras")
    save(first, tmp_path / "b.keras")
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()
    again = load(tmp_path / "a.keras")
    assert again.layer == first.layer or again.layer.layers == first.layer.layers
    assert again.backend.dtype == dtype
    ours, theirs = xr.tree.leaves(again.params), xr.tree.leaves(first.params)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.keras", "b.keras"]


def test_none_of_it_needs_keras():
    """A process in which no framework can be imported."""
    code = f"""
import sys

class Nothing:
    def find_spec(name, *rest):
        if name.split(".")[0] in ("torch", "keras", "tensorflow", "jax"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nothing)
sys.path.insert(0, {str(ROOT / "tests")!r})
import test_golden_keras as golden
model, wanted = golden.load(golden.FOLDER / "both.keras"), golden.computed("both")
print(abs(model(wanted["x"]) - wanted["y"]).max())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1e-13


def test_without_h5py_the_package_to_install_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'xprnn\[keras\]'"):
        load(FOLDER / "lstm.keras")
    with pytest.raises(ImportError, match=r"pip install 'xprnn\[keras\]'"):
        save(xr.Model(xr.Dense(2), input_shape=(3,)), tmp_path / "a.keras")
    assert not list(tmp_path.iterdir())


def test_the_files_are_small():
    assert max(path.stat().st_size for path in FOLDER.iterdir()) < 20_000
