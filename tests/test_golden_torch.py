"""What PyTorch wrote and computed, once: its files read and its numbers met, where there is no PyTorch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xprnn as xr
from xprnn import cells
from xprnn.io import torch as io

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "golden" / "torch"
PROJECTED = cells.ProjectedLSTM(3, 2, double_bias=True)
LAYERS = {
    "projected": xr.Sequential(
        xr.Recurrent((PROJECTED, PROJECTED), bidirectional=True), xr.Dense(2), names=("rnn", "head")
    ),
    "tokens": xr.Sequential(
        xr.Embedding(7, 3), xr.GRU(4, bidirectional=True), xr.LayerNorm(), xr.Dense(3), names=("0", "1", "2", "3")
    ),
    "last": xr.Sequential(
        xr.Direction(cells.LSTM(4)),
        xr.RNN(2, activation="relu", bias=False, return_sequences=False),
        names=("cell", "rnn"),
    ),
}


def loaded(name, backend):
    """The model of a name with PyTorch's weights, and what PyTorch computed with them."""
    weights = io.read(FOLDER / f"{name}.safetensors")
    model = xr.Model(LAYERS[name], backend, input_shape=(None,) if name == "tokens" else (None, 3))
    io.load_state_dict(model, weights)
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        return model, weights, dict(file)


@pytest.mark.parametrize("name", LAYERS)
def test_torch_numbers(backend, name):
    model, weights, wanted = loaded(name, backend)
    lengths = wanted["lengths"].tolist()
    y, _, tape = model.forward(backend.asarray(wanted["x"]), lengths=lengths)
    dx, _, grads = model.backward(tape, backend.asarray(wanted["dy"]))
    real = np.arange(5) < np.array(lengths)[:, None] if y.ndim == 3 else [True] * 3
    np.testing.assert_allclose(backend.to_numpy(y)[real], wanted["y"][real], rtol=1e-12, atol=1e-14)
    if name != "tokens":
        np.testing.assert_allclose(backend.to_numpy(dx), wanted["dx"], rtol=1e-12, atol=1e-14)
    model.params = grads
    met = io.state_dict(model)
    assert met.keys() == weights.keys()
    for weight, a in met.items():
        if name == "last" and weight == "cell.bias_hh":  # one bias here, two there
            continue
        np.testing.assert_allclose(backend.to_numpy(a), wanted[f"grad.{weight}"], rtol=1e-12, atol=1e-14)


def test_dtypes():
    kinds = {name: {a.dtype.name for a in io.read(FOLDER / f"{name}.safetensors").values()} for name in LAYERS}
    assert kinds == {"projected": {"float64"}, "tokens": {"float32"}, "last": {"float32"}}  # bfloat16, widened


def test_none_of_it_needs_torch():
    """A process in which PyTorch cannot be imported."""
    code = f"""
import sys

class Nothing:
    def find_spec(name, *rest):
        if name.split(".")[0] in ("torch", "keras"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Nothing)
sys.path.insert(0, {str(ROOT / "tests")!r})
import test_golden_torch as golden
model, _, wanted = golden.loaded("tokens", "numpy")
print(abs(model(wanted["x"], lengths=wanted["lengths"].tolist())[0] - wanted["y"][0]).max())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1e-6


def test_what_is_no_state_dict_is_refused(tmp_path):
    xr.Model(xr.Dense(2), input_shape=(3,)).save(tmp_path / "own.safetensors")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        io.read(tmp_path / "absent.safetensors")
    with pytest.raises(xr.FileError, match=r"own\.safetensors is a model file of xprnn's .*use xprnn.load"):
        io.read(tmp_path / "own.safetensors")
    with pytest.raises(xr.FileError, match=r"make_torch\.py cannot be read as a safetensors file"):
        io.read(FOLDER.parent / "make_torch.py")
