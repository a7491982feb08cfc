"""What PyTorch and Keras write as ONNX files runs here, and gives the numbers that they gave."""

import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from rows import opened

from xprnn.io.onnx import load_graph

pytest.importorskip("onnx")

FOLDER = Path(__file__).parent / "golden"
MODELS = (
    "activations", "attention", "bare", "classifier", "fixed", "gru", "keras_lstm", "keras_tokens", "lstm", "packed",
    "pooling", "rnn", "states", "steps",
)  # fmt: skip


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """A folder with the files, and by name and number what goes in and comes out."""
    folder = tmp_path_factory.mktemp("golden")
    with zipfile.ZipFile(FOLDER / "onnx" / "models.zip") as archive:
        assert sorted(archive.namelist()) == [f"{name}.onnx" for name in MODELS]
        archive.extractall(folder)
    kept: dict = {}
    with np.load(FOLDER / "onnx" / "golden.npz", allow_pickle=False) as file:
        for key in file.files:
            name, n, place = key.split()
            kept.setdefault((name, int(n)), {})[place] = file[key]
    return folder, kept


def check(model, backend, found, tolerance=1e-5):
    """Run a model by the names of its inputs, and compare all its outputs."""
    named = {value.name: backend.asarray(found[value.name]) for value in model.inputs}
    got = model(**named)
    outputs = got if isinstance(got, tuple) else (got,)
    assert len(outputs) == len(found) - len(named)
    for place, a in enumerate(outputs):
        wanted = found[str(place)]
        assert tuple(a.shape) == wanted.shape and a.dtype == getattr(backend.xp, backend.dtype)
        np.testing.assert_allclose(backend.to_numpy(a), wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_golden(name, backend, golden):
    """In float32 as the file has it, and all in float64; JAX, which compiles each shape, runs a few of them once."""
    folder, kept = golden
    few = backend.name == "jax"
    if few and name not in ("classifier", "packed", "states"):
        pytest.skip("JAX takes seconds to compile this, and knows all of its operators from other tests")
    for dtype in ("float32",) if few else ("float32", "float64"):
        here = opened(f"{backend.name}:{backend.device}", dtype)
        model = load_graph(folder / f"{name}.onnx", here)
        for n in (0,) if few else (0, 1):
            if (name, n) in kept:
                check(model, here, kept[name, n])


@pytest.mark.parametrize("name", [name for name in MODELS if name != "packed"])
def test_nothing_waits_for_the_device(name, shapes_row, golden):
    """Without values only shapes can be known, and they are enough, but for the lengths of packed sequences."""
    folder, kept = golden
    here = opened(shapes_row.spec, "float32")
    model = load_graph(folder / f"{name}.onnx", here)
    found = kept[name, 0]
    got = model(**{value.name: here.asarray(found[value.name]) for value in model.inputs})
    for place, a in enumerate(got if isinstance(got, tuple) else (got,)):
        assert tuple(a.shape) == found[str(place)].shape


@pytest.fixture(scope="module")
def maker():
    """The script that made the files; it needs PyTorch."""
    pytest.importorskip("torch")
    sys.path.insert(0, str(FOLDER))
    try:
        import make_onnx

        return make_onnx
    finally:
        sys.path.remove(str(FOLDER))


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("keras")])
def test_fresh_exports(name, maker, tmp_path):
    """What the installed PyTorch writes, with each version of the operators that it knows for the model."""
    backend, path = opened("numpy", "float32"), tmp_path / "model.onnx"
    example = maker.EXAMPLES[name]
    for opset in sorted({max(example.opset, 9), max(example.opset, 12), 17, max(example.opset, 18)}):
        data, kept = maker.made(example._replace(opset=max(opset, 14) if name == "activations" else opset))
        path.write_bytes(data)
        for found in kept:
            check(load_graph(path), backend, found)
