"""Networks that PyTorch and Keras have trained on a real task give the same predictions where neither is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
DIGITS = HERE / "golden" / "digits"  # what golden/make_digits.py has made
FRAMEWORKS = ("torch", "keras", "tensorflow", "onnxruntime", "jax", "sklearn")
NEEDS = {".onnx": "onnx", ".keras": "h5py"}
FILES = ["torch.safetensors", "torch.onnx", "keras.keras"]

SCRIPT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {frameworks!r}:
            raise ImportError(name + " is not to be had here")

sys.meta_path.insert(0, Refuse())
import numpy as np
import xprnn as xr
from xprnn.io.convert import read_model

x = np.load({test!r})["pictures"].astype("float32") / 16
y = read_model({file!r})(x)
np.save({output!r}, y)
import json
print(json.dumps(sorted(sys.modules)))
"""


def alone(file, folder):
    """What the model in ``file`` makes of the test pictures in a process without frameworks, and what that imported."""
    paths = {"test": str(DIGITS / "test.npz"), "file": str(DIGITS / file), "output": str(folder / "y.npy")}
    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", SCRIPT.format(frameworks=FRAMEWORKS, **paths)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return np.load(folder / "y.npy"), json.loads(done.stdout)


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("file", FILES)
def test_the_same_predictions_where_no_framework_can_be_imported(file, tmp_path):
    for suffix, package in NEEDS.items():
        if file.endswith(suffix):
            pytest.importorskip(package)
    framework = file.partition(".")[0]
    test = np.load(DIGITS / "test.npz")
    y, modules = alone(file, tmp_path)
    found = softmax(y) if framework == "torch" else y  # its module gives logits, Keras's model probabilities
    assert found.dtype == np.float32 and found.shape == (360, 10)
    np.testing.assert_allclose(found, test[framework], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(found.argmax(axis=1), test[framework].argmax(axis=1))
    accuracy = np.mean(found.argmax(axis=1) == test["labels"])
    assert accuracy == test[f"{framework}_accuracy"] > 0.97
    assert not {name.partition(".")[0] for name in modules} & set(FRAMEWORKS)


def test_a_model_runs_without_what_only_training_needs(tmp_path):
    _, modules = alone("torch.safetensors", tmp_path)
    heavy = {"tqdm", "importlib.metadata", "array_api_compat.numpy", "numpy.random", "numpy.ma", "numpy.testing"}
    assert not heavy & set(modules)


def test_the_golden_files_are_small():
    sizes = [file.stat().st_size for file in DIGITS.iterdir()]
    assert max(sizes) < 100_000 and sum(sizes) < 250_000
