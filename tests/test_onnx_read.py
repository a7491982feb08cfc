"""ONNX files with something wrong: each is refused with the file and the reason; those beside them are read."""

import os

import numpy as np
import pytest

from xprnn.io.onnx import OnnxModel, load_graph
from xprnn.io.onnx.read import read
from xprnn.io.store import FileError

pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper
from onnx_files import BAD, GOOD, model, node, outside, tensor


@pytest.fixture
def folder(tmp_path):
    """A folder with data beside the model, and other things that are no data."""
    home = tmp_path / "home"
    (home / "folder").mkdir(parents=True)
    (tmp_path / "w.bin").write_bytes(bytes(32))
    (home / "w.bin").write_bytes(np.arange(8, dtype="float32").tobytes())
    (home / "link.bin").symlink_to(tmp_path / "w.bin")
    return home


def written(folder, made):
    path = folder / "model.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    return path


@pytest.mark.parametrize("name", BAD)
def test_refused(name, folder):
    make, words = BAD[name]
    path = written(folder, make())
    with pytest.raises(FileError, match=words) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path} cannot be read as an ONNX model: ")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", GOOD)
def test_not_refused(name, folder):
    graph = read(written(folder, GOOD[name]()))
    assert [value.name for value in graph.inputs] == ["x"] and graph.inputs[0].shape == ("batch", 3)
    assert graph.opset == 18 and [value.name for value in graph.outputs] == ["y"]


def test_no_such_file(folder):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing\.onnx"):
        read(folder / "nothing.onnx")


def test_no_regular_file(folder):
    os.mkfifo(folder / "model.onnx")
    with pytest.raises(FileError, match="no regular file"):
        read(folder / "model.onnx")


DTYPES = (
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
)


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers(dtype, folder):
    """Each dtype, as bytes, as a list and from a file beside, at its extremes."""
    kind = np.dtype(dtype).kind
    limits = np.finfo(dtype) if kind == "f" else np.iinfo(dtype) if kind in "iu" else None
    values = np.array([[limits.min, 1, limits.max]] if limits else [[True, False, True]], dtype)
    number = helper.np_dtype_to_tensor_dtype(values.dtype)
    raw = numpy_helper.from_array(values, "raw")
    numbers = values.view("uint16") if dtype == "float16" else values.astype("uint8") if dtype == "bool" else values
    listed = tensor(number, (1, 3), "listed", **{helper.tensor_dtype_to_field(number): numbers.ravel().tolist()})
    beside = tensor(number, (1, 3), "beside")
    beside.data_location = TensorProto.EXTERNAL
    beside.external_data.add(key="location", value="numbers")
    (folder / "numbers").write_bytes(values.tobytes())
    graph = read(written(folder, model([node("Identity", ["x"])], [raw, listed, beside])))
    for name in ("raw", "listed", "beside"):
        np.testing.assert_array_equal(graph.constants[name], values, strict=True)
        assert not graph.constants[name].flags.writeable


def test_bfloat16_is_widened(folder):
    values = np.array([1.0, -0.15625, 3.0e38], "float32")
    made = tensor(TensorProto.BFLOAT16, (3,), raw_data=(values.view("uint32") >> 16).astype("uint16").tobytes())
    got = read(written(folder, model([node("Identity", ["x"])], [made]))).constants["w"]
    np.testing.assert_array_equal(got, (values.view("uint32") & 0xFFFF0000).view("float32"), strict=True)


def test_what_is_shared_is_read_once(folder):
    again = outside(location="w.bin", offset="0", length="24")
    again.name = "v"
    graph = read(written(folder, model([node("Identity", ["x"])], [outside(location="w.bin"), again])))
    np.testing.assert_array_equal(graph.constants["w"], np.arange(6, dtype="float32").reshape(3, 2))
    assert np.shares_memory(graph.constants["w"], graph.constants["v"])


def test_a_link_within_the_folder_is_followed(folder):
    (folder / "inside.bin").symlink_to(folder / "w.bin")
    graph = read(written(folder, model(tensors=[outside(location="inside.bin", offset="8")])))
    np.testing.assert_array_equal(graph.constants["w"], np.arange(2, 8, dtype="float32").reshape(3, 2))


def test_names_in_messages_are_short_and_printable(folder):
    strange = "\x1b[2J" * 1000
    path = written(folder, model([node(inputs=(strange, "w"), outputs=(strange * 2,))]))
    with pytest.raises(FileError) as caught:
        read(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


def big(op, *numbers, **attributes):
    """A model in which an operator makes an array of 2**40 numbers, or as many as its input has, ten times over."""
    constants = [numpy_helper.from_array(np.asarray(a), f"c{n}") for n, a in enumerate(numbers)]
    first = node(op, [f"c{n}" for n in range(len(numbers))], ["a0"], **attributes)
    grown = [node("Concat", [f"a{n}"] * 10, [f"a{n + 1}"], axis=0) for n in range(12)]
    return model([first, *grown, node("Add", ["x", "a12"])], constants)


VAST = np.array([2**20, 2**20])
GROWING = {
    "ConstantOfShape": (VAST,), "Expand": (np.ones((1, 1), "float32"), VAST),
    "Tile": (np.ones((1, 1), "float32"), VAST),
    "Range": (np.array(0), np.array(2**40), np.array(1)), "Pad": (np.ones(1, "float32"), np.array([2**40, 0])),
    "OneHot": (np.arange(9), np.array(2**40), np.ones(2, "float32")), "Identity": (np.ones(1, "float32"),),
    "Add": (np.ones((2**17, 1), "float32"), np.ones((1, 2**17), "float32")),
    "MatMul": (np.ones((2**17, 1), "float32"), np.ones((1, 2**17), "float32")),
    "Gather": (np.ones((2, 2**17), "float32"), np.zeros(2**17, int)),
}  # fmt: skip


@pytest.mark.parametrize("op", GROWING)
def test_constants_that_grow_without_bound_are_not_computed(op, folder):
    loaded = load_graph(written(folder, big(op, *GROWING[op])))
    assert isinstance(loaded, OnnxModel)
    assert sum(a.nbytes for a in loaded._plan.values if isinstance(a, np.ndarray)) < 2**26
