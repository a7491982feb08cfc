"""Every recurrent case of ONNX's own tests of its operators, and all others of operators that are known here."""

import functools
import os
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from xprnn.backend import BackendError
from xprnn.io.onnx import load_graph
from xprnn.io.onnx.operators import OPERATORS
from xprnn.io.store import FileError

onnx = pytest.importorskip("onnx")

RECURRENT = ("RNN", "LSTM", "GRU")
FEWEST_RECURRENT, FEWEST = 18, {"jax": 90}
FEWEST_ELSEWHERE = 800
# Bools have no order in the standard. An empty array has no largest element; ONNX says that it is -inf.
NOT_IN_STANDARD = ("test_reduce_max_bool_inputs", "test_reduce_min_bool_inputs")
ROUNDED = ("test_averagepool_2d_ceil_last_window_starts_on_pad",)  # to four digits
# Why a file of the package's is refused here.
REFUSED = (
    "is not known", "known are", "known is", "its element type has", "operators are of version", "of which version",
    "a graph of", "it is no tensor", "of the domain",
)  # fmt: skip


class Case(NamedTuple):
    """A model, and arrays that go in and come out."""

    name: str
    model: object
    inputs: list
    outputs: list


@functools.cache
def cases():
    """The cases of the installed package: newer ones make them, older ones have them as files."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "node"
    if folder.is_dir():
        return [stored(one) for one in sorted(folder.iterdir()) if (one / "model.onnx").is_file()]
    path = Path(os.environ["XPRNN_KEPT"], f"onnx-{onnx.__version__}.pickle")
    if not path.exists():  # it takes some seconds, for which no other worker has to wait again
        own = path.with_name(f"{os.getpid()}-{path.name}")
        own.write_bytes(pickle.dumps(collected()))
        own.replace(path)
    return pickle.loads(path.read_bytes())


def collected():
    """The cases as the package makes them."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings(action="ignore"):  # what the package warns of while it makes them is its own affair
        return [Case(case.name, case.model, *map(arrays, case.data_sets[0])) for case in collect_testcases()]


def arrays(values):
    """Values as the package has them, tensors of its own as arrays."""
    return [onnx.numpy_helper.to_array(a) if isinstance(a, onnx.TensorProto) else a for a in values]


def stored(folder):
    """A case that is a folder."""

    def tensors(what):
        paths = sorted(folder.glob(f"test_data_set_0/{what}_*.pb"), key=lambda path: int(path.stem.split("_")[1]))
        return [onnx.numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes())) for path in paths]

    return Case(folder.name, onnx.load(folder / "model.onnx"), tensors("input"), tensors("output"))


def operators(case):
    return {node.op_type for node in case.model.graph.node}


def plain(case):
    """Whether all that goes in and out is arrays of dtypes that NumPy has, some of them not empty."""
    ends = [*case.inputs, *case.outputs]
    known = all(isinstance(a, np.ndarray | np.generic) and a.dtype.kind in "biuf" for a in ends)
    return known and "bfloat16" not in [a.dtype.name for a in ends] and "empty_set" not in case.name


def check(case, backend, path, tolerance):
    """Run a case from its file, and compare all outputs, their dtypes and shapes."""
    onnx.save(case.model, path)
    wide = any(a.dtype == "float64" for a in case.inputs)
    backend = replace(backend, dtype="float64" if wide else "float32")
    model = load_graph(path, backend)
    inputs = [backend.asarray(np.asarray(a), None if a.dtype.kind == "f" else a.dtype.name) for a in case.inputs]
    found = model(*inputs)
    for got, wanted in zip(found if isinstance(found, tuple) else (found,), case.outputs, strict=True):
        half = wanted.dtype == "float16"
        dtype = backend.dtype if wanted.dtype.kind == "f" else wanted.dtype
        assert got.dtype == getattr(backend.xp, str(dtype)), case.name
        values, tolerant = backend.to_numpy(got), 3e-3 if half else tolerance
        np.testing.assert_allclose(values, wanted, rtol=tolerant, atol=tolerant, err_msg=case.name)
        assert values.shape == wanted.shape, case.name


def test_recurrent_cases(backend, tmp_path):
    count = 0
    for case in cases():
        if operators(case) & set(RECURRENT):
            check(case, backend, tmp_path / "model.onnx", 1e-6)
            count += 1
    assert count >= FEWEST_RECURRENT


@pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")  # some cases divide by 0, or cast NaN
def test_other_cases(backend, tmp_path):
    """JAX compiles each case anew, so there it is one for each operator."""
    met, count = set(), 0
    for case in filter(plain, cases()):
        fresh = operators(case) & OPERATORS.keys() - met
        if backend.name == "jax" and (not fresh or len(case.model.graph.node) > 1):
            continue
        if backend.name == "array_api_strict" and case.name in NOT_IN_STANDARD:
            continue
        try:
            check(case, backend, tmp_path / "model.onnx", 1e-4 if case.name in ROUNDED else 2e-6)
        except FileError as error:
            assert any(words in str(error) for words in REFUSED), error
        except BackendError as error:  # PyTorch has few operators for uint16, uint32 and uint64
            assert "uint" in str(error) and backend.name == "torch", (case.name, error)
        except ValueError as error:
            assert "training_mode is on" in str(error), case.name
        else:
            met |= operators(case)
            count += 1
    assert count >= FEWEST.get(backend.name, FEWEST_ELSEWHERE)
    assert met >= OPERATORS.keys() - ({"Not"} if backend.name == "jax" else set())  # alone it is of opset 1
