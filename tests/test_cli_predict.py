"""``xprnn predict``: what a model in a file makes of the samples in another."""

import os
import re

import numpy as np
import pytest
from cli_files import batch, needs, problem, sequences, tokens

from xprnn.cli import main
from xprnn.io.convert import FORMATS, write_model


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_predict_from_every_format(suffix, capsys):
    needs(suffix)
    model, x = sequences(), batch(5, 6, 4)
    write_model(model, "a" + suffix)
    np.save("x.npy", x.astype("float64"))
    assert main(["predict", "a" + suffix, "x.npy", "-o", "y.npy"]) == 0
    y = np.load("y.npy")
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, model(x), rtol=0, atol=1e-6)
    wanted = "y.npy: (5, 2) of float32, from x.npy: (5, 6, 4) of float64, on NumPy on cpu\n"
    assert capsys.readouterr().out == wanted


def test_predict_with_every_option():
    model, x = sequences().to("numpy", "float64"), batch(5, 6, 4, dtype="float64")
    sequences().save("a.npz")
    np.save("x.npy", x)
    np.save("lengths.npy", np.array([6, 1, 0, 3, 2]))
    os.symlink("y.npy", "link.npy")
    options = ["--lengths", "lengths.npy", "--batch-size", "2", "--dtype", "float64", "--backend", "numpy"]
    assert main(["predict", "a.npz", "x.npy", "--output", "link.npy", *options]) == 0
    wanted = model(x, lengths=[6, 1, 0, 3, 2])
    np.testing.assert_allclose(np.load("y.npy"), wanted, rtol=0, atol=1e-12)
    assert np.abs(wanted - model(x)).max() > 0.01 and os.path.islink("link.npy")


def test_predict_on_every_backend(backend, capsys):
    if backend.name == "array_api_strict":
        pytest.skip("it is for tests, and 'array_api_strict' alone means its first device")
    sequences().to("numpy", "float64").save("a.npz")
    np.save("x.npy", batch(2, 3, 4))
    assert main(["predict", "a.npz", "x.npy", "-o", "y.npy", "--backend", backend.name]) == 0
    np.testing.assert_allclose(np.load("y.npy"), sequences()(batch(2, 3, 4)), rtol=0, atol=1e-6)
    assert capsys.readouterr().out.endswith(f"on {backend}\n")


def test_predict_from_ids():
    model, ids = tokens(), np.array([[1, 6, 0], [2, 2, 5]], "uint8")
    model.save("a.npz")
    np.save("x.npy", ids)
    assert main(["predict", "a.npz", "x.npy", "-o", "y.npy"]) == 0
    np.testing.assert_array_equal(np.load("y.npy"), model(ids))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["a.npz", "wide.npy"], r"wide.npy: x has the shape \(2, 3, 5\); the model takes \(B, T, 4\)"),
        (["a.npz", "ids.npy"], "ids.npy holds int64; a.npz takes numbers, so float32 or float64"),
        (["ids.npz", "x.npy"], "x.npy holds float32; ids.npz takes token ids, so integers"),
        (["ids.npz", "ids.npy"], "ids.npy: .* 7"),
        (["a.npz", "complex.npy"], "complex.npy"),
        (["a.npz", "pickled.npy"], "pickled.npy cannot be read"),
        (["a.npz", "a.npz"], "a.npz"),
        (["a.npz", "none.npy"], "there is no file none.npy"),
        (["none.npz", "x.npy"], "there is no file none.npz"),
        (["x.npy", "x.npy"], "x.npy is an array and no model"),
        (["a.npz", "x.npy", "--lengths", "ids.npy"], "x.npy with the lengths in ids.npy: .*lengths"),
        (["a.npz", "x.npy", "--lengths", "none.npy"], "there is no file none.npy"),
        (["a.npz", "x.npy", "--backend", "abacus"], "no backend 'abacus'; to fix it"),
        (["a.npz", "x.npy", "--batch-size", "0"], "--batch-size: '0' is not a whole number, 1 or more"),
        (["a.npz", "x.npy", "-o", "no/y.npy"], "cannot write no/y.npy: no: No such file"),
        (["a.npz", "x.npy", "-o", "a.npz"], "a.npz would hold an array of NumPy's: call it a.npy"),
        (["a.npz", "x.npy", "-o", "y"], "y would hold an array of NumPy's: call it y.npy"),
        (["a.npz", "x.npy", "-o", "./x.npy"], "x.npy is read, and cannot be what is written as well"),
        (["a.npz", "x.npy", "--lengths", "ids.npy", "-o", "ids.npy"], "ids.npy is read, and cannot be what is written"),
        (["a.npz", "x.npy", "-o", "."], "cannot write .: that is a folder"),
    ],
)
def test_predict_refuses(capsys, argv, words):
    sequences().save("a.npz")
    tokens().save("ids.npz")
    np.save("x.npy", batch(2, 3, 4))
    np.save("wide.npy", batch(2, 3, 5))
    np.save("ids.npy", np.array([[1, 7]]))
    np.save("complex.npy", batch(2, 3, 4) * 1j)
    np.save("pickled.npy", np.array([{}]), allow_pickle=True)
    assert re.search(words, problem(capsys, "predict", "-o", "y.npy", *argv))


def test_what_was_there_stays_where_writing_fails(capsys, monkeypatch):
    sequences().save("a.npz")
    np.save("x.npy", batch(2, 3, 4))
    np.save("y.npy", batch(1))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "y.npy: No space left on device" in problem(capsys, "predict", "a.npz", "x.npy", "-o", "y.npy")
    np.testing.assert_array_equal(np.load("y.npy"), batch(1))


def graph(name):
    """Write y = x + tanh(x), which is no chain of layers."""
    onnx = pytest.importorskip("onnx")
    helper, shape = onnx.helper, ["batch", 3]
    nodes = [helper.make_node("Tanh", ["x"], ["t"]), helper.make_node("Add", ["x", "t"], ["y"])]
    x, y = (helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, shape) for end in "xy")
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=[opset], ir_version=8), name)


def test_predict_by_a_graph_that_is_no_chain(capsys):
    graph("g.onnx")
    x = batch(4, 3)
    np.save("x.npy", x)
    assert main(["predict", "g.onnx", "x.npy", "-o", "y.npy"]) == 0
    np.testing.assert_allclose(np.load("y.npy"), x + np.tanh(x), rtol=0, atol=1e-6)
    capsys.readouterr()
    np.save("wide.npy", batch(4, 5))
    for argv, words in (
        (["g.onnx", "wide.npy"], r"g.onnx on wide.npy: `x` is of shape \(4, 5\); the file wants \(batch, 3\)"),
        (["g.onnx", "x.npy", "--lengths", "x.npy"], "--lengths is for chains of layers, and g.onnx is another graph"),
        (["g.onnx", "x.npy", "--batch-size", "2"], "--batch-size is for chains of layers"),
    ):
        assert re.search(words, problem(capsys, "predict", *argv, "-o", "z.npy"))
    assert re.search("g.onnx is no chain of layers: .*Add", problem(capsys, "convert", "g.onnx", "g.npz"))


def test_a_graph_that_fails_says_where(capsys):
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    np.save("x.npy", np.ones((1, 1), "float32"))
    x, y = (helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, None) for end in "xy")
    for op, numbers, words in (("Gather", [7], "7 is out of bounds"), ("Expand", [2**20, 2**30], "allocate")):
        constant = helper.make_tensor("n", onnx.TensorProto.INT64, [len(numbers)], numbers)
        graph = helper.make_graph([helper.make_node(op, ["x", "n"], ["z"]), helper.make_node("Neg", ["z"], ["y"])],
                                  "g", [x], [y], [constant])  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, "f.onnx")
        error = problem(capsys, "predict", "f.onnx", "x.npy", "-o", "y.npy")
        assert re.search(rf"f\.onnx on x\.npy: (Gather|Neg) node .* cannot be computed: .*{words}", error)


def test_predict_wants_one_input_and_one_output(capsys):
    needs(".onnx")
    sequences().save_onnx("s.onnx", states=True)
    np.save("x.npy", batch(2, 3, 4))
    error = problem(capsys, "predict", "s.onnx", "x.npy", "-o", "y.npy")
    assert re.search("s.onnx has inputs x, state.* and outputs y, last_state.*; predict is for one of each", error)


def test_lengths_of_an_onnx_file():
    needs(".onnx")
    model, x = sequences(), batch(3, 6, 4)
    model.save_onnx("a.onnx", lengths=True)
    np.save("x.npy", x)
    np.save("lengths.npy", np.array([2, 6, 1]))
    assert main(["predict", "a.onnx", "x.npy", "-o", "y.npy", "--lengths", "lengths.npy"]) == 0
    np.testing.assert_allclose(np.load("y.npy"), model(x, lengths=[2, 6, 1]), rtol=0, atol=1e-6)
