"""``xprnn convert``: any format into any other."""

import os
import re
import zipfile

import numpy as np
import pytest
from cli_files import batch, needs, problem, sequences

import xprnn as xr
from xprnn.cli import main
from xprnn.io import files
from xprnn.io.convert import FORMATS, read_model, write_model

PAIRS = [(a, b) for a in FORMATS for b in FORMATS]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_pair_of_formats(source, target, capsys):
    needs(source, target)
    model, x = sequences(), batch(3, 6, 4)
    write_model(model, "source" + source)
    assert main(["convert", "source" + source, "target" + target]) == 0
    found = read_model("target" + target)
    np.testing.assert_allclose(found(x), model(x), rtol=0, atol=1e-6)
    assert found.backend.dtype == "float32" and found.count_params() == model.count_params()
    out = capsys.readouterr().out
    size = os.path.getsize("target" + target)
    assert re.fullmatch(rf"target{target}: .*Dense.*; [\d,]+ parameters, float32, {size:,} bytes\n", out)


@pytest.mark.parametrize(("source", "target"), [(".safetensors", ".npz"), (".npz", ".safetensors")])
def test_own_formats_keep_everything(source, target, capsys):
    model = sequences(seed=9)
    for _ in model.training(batch(4, 3, 4), batch(4, 2), loss="mse", optimizer="adam", epochs=2):
        pass
    model.save("a" + source, run=True, extra={"kind": "test", "n": [1, 2]})
    assert main(["convert", "a" + source, "b" + target]) == 0
    assert main(["convert", "b" + target, "c" + source]) == 0
    with open("a" + source, "rb") as first, open("c" + source, "rb") as last:
        assert first.read() == last.read()
    assert files.read_extra("b" + target) == {"kind": "test", "n": [1, 2]}
    assert "left behind" not in capsys.readouterr().out


@pytest.mark.parametrize("target", ["b.onnx", "b.keras"])
def test_what_is_lost_is_said(target, capsys):
    needs(target)
    model = sequences()
    next(model.training(batch(4, 3, 4), batch(4, 2), loss="mse", optimizer="adam"))
    model.save("a.npz", run=True, extra={"kind": "test", "n": 1})
    assert main(["convert", "a.npz", target]) == 0
    assert capsys.readouterr().out.endswith("; left behind: the training run, 'kind', 'n'\n")
    np.testing.assert_allclose(read_model(target)(batch(2, 3, 4)), model(batch(2, 3, 4)), rtol=0, atol=1e-6)


def test_convert_to_the_other_precision(capsys):
    model = sequences()
    model.save("a.npz")
    assert main(["convert", "a.npz", "a.safetensors", "--dtype", "float64"]) == 0
    found = xr.load("a.safetensors")
    for name, a in xr.tree.flatten(model.params).items():
        met = xr.tree.flatten(found.params)[name]
        assert met.dtype == np.float64 and (met == a).all()
    assert "float64" in capsys.readouterr().out


def test_a_target_that_is_there_is_replaced(capsys):
    sequences(1).save("a.npz")
    sequences(2).save("b.safetensors")
    os.symlink("b.safetensors", "link.safetensors")
    assert main(["convert", "a.npz", "link.safetensors"]) == 0
    assert os.path.islink("link.safetensors") and xr.load("b.safetensors").seed == 1
    assert sorted(os.listdir()) == ["a.npz", "b.safetensors", "link.safetensors"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["a.npz", "a.npz"], "a.npz and a.npz are the same file"),
        (["a.npz", "link.npz"], "a.npz and link.npz are the same file"),
        (["a.npz", "./a.npz"], "are the same file"),
        (["a.npz", "b.pt"], r"cannot write b.pt: a model is written as .safetensors, .npz, .onnx, .keras$"),
        (["a.npz", "b"], "cannot write b: a model is written as"),
        (["a.npz", "no/b.npz"], "cannot write no/b.npz: no: No such file"),
        (["a.npz", "folder.npz"], "cannot write folder.npz: that is a folder"),
        (["a.npz"], "the following arguments are required: TARGET"),
        (["a.npz", "b.npz", "--dtype", "int8"], "invalid choice: 'int8'"),
        (["none.npz", "b.npz"], "there is no file none.npz"),
        (["folder.npz", "b.npz"], "folder.npz"),
        (["half.npz", "b.npz"], "half.npz cannot be read as a model"),
        (["pickle.pkl", "b.npz"], "pickle.pkl holds a pickle, which can run any program"),
        (["weights.pt", "b.npz"], "weights.pt holds a pickle, .* in PyTorch, save"),
        (["old.h5", "b.npz"], "old.h5 is Keras's old format: in Keras, load it"),
        (["words.txt", "b.npz"], "words.txt cannot be read as a model"),
    ],
)
def test_convert_refuses(capsys, argv, words):
    sequences().save("a.npz")
    os.symlink("a.npz", "link.npz")
    os.mkdir("folder.npz")
    with open("a.npz", "rb") as whole:
        half = whole.read()[:3000]
    pickle = b"\x80\x02}q\x00."
    contents = {"half.npz": half, "pickle.pkl": pickle, "old.h5": b"\x89HDF\r\n\x1a\n", "words.txt": b"hello"}
    for name, content in contents.items():
        with open(name, "wb") as file:
            file.write(content)
    with zipfile.ZipFile("weights.pt", "w") as archive:
        archive.writestr("weights/data.pkl", pickle)
    assert re.search(words, problem(capsys, "convert", *argv).rstrip())


@pytest.mark.parametrize("name", ["half.onnx", "half.keras", "none.onnx", "none.keras"])
def test_foreign_files_that_cannot_be_read_are_named(name, capsys):
    needs(name)
    if name.startswith("half"):
        with open(name, "wb") as file:
            file.write(b"PK\x03\x04 and no more")
    assert name in problem(capsys, "convert", name, "b.npz")
    assert name in problem(capsys, "inspect", name)


@pytest.mark.parametrize("target", ["b.onnx", "b.keras"])
def test_a_layer_that_a_format_has_not_is_named(target, capsys):
    needs(target)
    xr.Model(xr.Recurrent(xr.cells.ProjectedLSTM(3, 2)), input_shape=(None, 2)).save("a.npz")
    assert re.search(f"{target}: .*ProjectedLSTM", problem(capsys, "convert", "a.npz", target))
