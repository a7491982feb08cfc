"""The install without a compiler: it succeeds, leaves nothing behind, and says what is missing and what mends it."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "xprnn")
NO_COMPILER = {"PATH": "/nonexistent", "CC": "/nonexistent", "CXX": "/nonexistent"}
LEFT_OUT = {"XPRNN_NATIVE": "0"}

CODE = """
import numpy as np
from xprnn import LSTM, Model, kernels
from xprnn.kernels import cpu
assert "xprnn-" in cpu.__file__ and "cpu" not in kernels.KERNELS, (cpu.__file__, kernels.KERNELS)
model = Model(LSTM(5), "numpy", input_shape=(None, 3))
x = np.ones((2, 4, 3), "float32")
y, _, tape = model.forward(x)
assert np.array_equal(y, model(x)) and y.shape == (2, 4, 5) and y.any()
assert model.backward(tape, y)[0].shape == x.shape
print(cpu.MISSING)
"""


def has_setuptools():
    """Whether the setuptools that is installed can read pyproject.toml; pip brings its own."""
    try:
        return int(metadata.version("setuptools").partition(".")[0]) >= 77
    except metadata.PackageNotFoundError:
        return False


def run(command, folder, environment):
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not has_setuptools(), reason="it takes setuptools 77 or newer")
@pytest.mark.parametrize("settings", [NO_COMPILER, LEFT_OUT], ids=["no compiler", "left out"])
def test_it_succeeds_and_the_loop_runs(settings, tmp_path):
    for part in PARTS:
        (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, tmp_path / part)
    for built in tmp_path.rglob("*.so"):
        built.unlink()
    plain = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "XPRNN_NATIVE")}
    run([sys.executable, "setup.py", "-q", "bdist_wheel"], tmp_path, plain | settings)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl") == (settings is LEFT_OUT)
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("xprnn/")}
    written = [path for ending in ("*.py", "*.cu", "*.cuh") for path in (ROOT / "xprnn").rglob(ending)]
    sources = {str(path.relative_to(ROOT)) for path in written}
    assert packed == sources | {"xprnn/py.typed"}
    said = run([sys.executable, "-c", CODE], "/", plain | {"PYTHONPATH": str(wheel), "PYTHONSAFEPATH": "1"})
    assert said == "no compiler built it when xprnn was installed\n"
