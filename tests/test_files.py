"""Model files: everything goes there and back, and damage is noticed."""

import json
import os
import tracemalloc
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest
import safetensors.numpy
from shell import NUMPY, Arrays, D, H, identical, named, recurrent
from subjects import CELLS, LAYERS

import xprnn as xr
from xprnn.io import files, formats


@pytest.fixture(params=formats.FORMATS)
def path(request, tmp_path):
    return tmp_path / f"model{request.param}"


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_goes_there_and_back(name, path):
    layer, shape = LAYERS[name]
    model = xr.Model(layer, NUMPY, seed=5, input_shape=shape)
    model.save(path)
    loaded = xr.load(path)
    assert loaded.layer == layer and loaded.layer is not layer and repr(loaded.layer) == repr(layer)
    assert (loaded.backend, loaded.seed, loaded.input_shape) == (NUMPY, 5, shape)
    assert loaded.output_shape == model.output_shape and loaded.run is None
    identical(loaded.params, model.params)
    assert loaded.summary() == model.summary()


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_goes_there_and_back(name, path):
    model = xr.Model(xr.Recurrent((CELLS[name], xr.cells.RNN(3)), bidirectional=True), NUMPY, input_shape=(None, D))
    model.save(path)
    assert xr.load(path).layer == model.layer
    identical(xr.load(path).params, model.params)


@dataclass(frozen=True)
class GRU(xr.cells.GRU):
    """A caller's own cell, called as one of the library's, that computes something else."""

    twist: tuple[float, ...] = (2.0,)

    def step(self, xp, p, u, s):
        return xr.cells.GRU.step(self, xp, p, self.twist[0] * u, s)


@dataclass(frozen=True)
class Scale(xr.Layer):
    """A caller's own layer."""

    by: float

    def init(self, rng, shape):
        return {}, shape

    def forward(self, p, x, state, ctx):
        return self.by * x, (), None

    def backward(self, p, tape, dy, dstate):
        return self.by * dy, (), {}


def test_own_classes_are_named_to_be_loaded(path):
    model = xr.Model(xr.Sequential(Scale(0.5), xr.Recurrent(GRU(H, twist=(3.0,)))), NUMPY, input_shape=(None, D))
    model.save(path)
    for custom in ((), (Scale,), (GRU,)):
        with pytest.raises(xr.FileError, match=r"holds a custom\.(GRU|Scale), which is not known here; give .*custom="):
            xr.load(path, custom=custom)
    loaded = xr.load(path, custom=[GRU, Scale])
    assert loaded.layer == model.layer
    x = Arrays(NUMPY).x
    np.testing.assert_array_equal(loaded(x), model(x))
    other = type("Scale", (Scale,), {})
    with pytest.raises(xr.FileError, match="two classes in custom are called Scale"):
        xr.load(path, custom=(GRU, Scale, other))


def test_what_cannot_be_written_is_refused_and_nothing_is_lost(path):
    recurrent(NUMPY).save(path)
    before = path.read_bytes()
    odd = xr.Model(Scale(np.ones(3)), NUMPY, input_shape=(D,))
    with pytest.raises(TypeError, match="cannot be written to a file: layers and cells are dataclasses of numbers"):
        odd.save(path)
    with pytest.raises(TypeError, match="not JSON serializable"):
        recurrent(NUMPY).save(path, extra={"x": np.ones(3)})
    with pytest.raises(OSError):
        recurrent(NUMPY).save(path.parent / "nowhere" / "model.safetensors")
    with pytest.raises(ValueError, match=r"saved as \.safetensors or \.npz, not as '.*model\.keras'"):
        recurrent(NUMPY).save(path.with_suffix(".keras"))
    for wrong, words in (
        (float("nan"), "could not be read again: its JSON holds NaN"),
        ({1: 0, "1": 1}, "'1' twice"),
        (2**64, "64 bits"),
    ):
        with pytest.raises(ValueError, match=words):
            recurrent(NUMPY).save(path, extra={"x": wrong})
    deep = xr.Dense(2)
    for _ in range(65):
        deep = xr.Sequential(deep)
    with pytest.raises(ValueError, match="layers are nested more than 64 deep"):
        xr.Model(deep, NUMPY, input_shape=(D,)).save(path)
    complex_model = xr.Model(xr.Dense(1, bias=False), NUMPY, input_shape=(D,))
    complex_model.params = {"W": np.ones((D, 1), complex)}
    with pytest.raises(ValueError, match=r"params\.W is of dtype complex128; a file holds real numbers"):
        complex_model.save(path)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_shared_layers_stay_shared(path):
    dense, rnn = xr.Dense(D), xr.RNN(D)
    model = xr.Model(xr.Sequential(dense, rnn, dense, rnn, xr.Dense(D)), NUMPY, input_shape=(None, D))
    model.save(path)
    layers = xr.load(path).layer.layers
    assert layers[0] is layers[2] and layers[1] is layers[3] and layers[4] is not layers[0]
    identical(xr.load(path).params, model.params)


def test_numpys_numbers_in_a_layer(path):
    model = xr.Model(xr.Sequential(xr.Dense(np.int64(4)), Scale(np.float32(0.5))), NUMPY, input_shape=(D,))
    model.save(path)
    assert xr.load(path, custom=[Scale]).layer == xr.Sequential(xr.Dense(4), Scale(0.5))


def test_odd_memory_is_written_as_it_reads(path):
    model = xr.Model(xr.Dense(4), NUMPY, input_shape=(D,))
    views = (lambda w: w[::-1, ::-1], lambda w: np.repeat(w, 2, 1)[:, ::2], lambda w: np.broadcast_to(w[0], w.shape))
    for odd in (np.asfortranarray, lambda w: w.T.copy().T, lambda w: w.astype(">f8"), *views):
        model.params = {"W": odd(Arrays(NUMPY)(D, 4)), "b": np.arange(8.0)[::-2]}
        model.save(path)
        identical(xr.load(path).params, {"W": model.params["W"].astype("=f8"), "b": model.params["b"]})


def test_extras_links_and_rights(path, tmp_path):
    extra = {"words": ["a", "é"], "n": {"x": 1.5, "none": None}}
    link = tmp_path / f"link{path.suffix}"
    link.symlink_to(path)
    recurrent(NUMPY).save(link, extra=extra)
    assert link.is_symlink() and files.read_extra(path) == extra
    umask = os.umask(0o022)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    recurrent(NUMPY).save(path)
    one = path.read_bytes()
    recurrent(NUMPY).save(str(path))
    assert path.read_bytes() == one  # the same model is the same file


def test_a_look_leaves_the_numbers_in_the_file(path):
    model = recurrent(NUMPY)
    model.save(path, extra={"a": 1})
    looked, loaded = files.load(path, empty=True), files.load(path)
    assert (looked.layer, looked.about) == (loaded.layer, loaded.about)
    for name, a in named(loaded.params).items():
        seen = named(looked.params)[name]
        assert (seen.shape, seen.dtype, seen.strides) == (a.shape, a.dtype, (0,) * a.ndim)


def refused(path, words):
    with pytest.raises(xr.FileError, match=words) as caught:
        xr.load(path)
    assert str(path) in str(caught.value)


def test_what_is_no_model(path, tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"there is no file .*model\{path.suffix}"):
        xr.load(path)
    refused(tmp_path, "cannot be read as a model: it is no regular file")
    for content in (b"", b"hello", b"\xff" * 100, b"PK\x03\x04" + b"\0" * 100, b"\0" * 8 + b"{}", b"[" * 999):
        path.write_bytes(content)
        refused(path, "cannot be read as a model: it is damaged or no (.npz|safetensors) file")


def test_arrays_that_are_no_model(tmp_path):
    path = tmp_path / "w.safetensors"
    safetensors.numpy.save_file({"w": np.ones(3)}, path)
    refused(path, "it is a safetensors file, but no model of xprnn's")
    safetensors.numpy.save_file({"w": np.ones(3)}, path, {"xprnn": "00000000{}"})
    refused(path, "it is a safetensors file, but no model of xprnn's|it is damaged")
    np.savez(tmp_path / "w.npz", w=np.ones(3))
    refused(tmp_path / "w.npz", r"it is a zip file, but no model of xprnn's, which has a member xprnn\.json")


def test_the_contents_say_what_a_file_is(path):
    """Whatever it is called: a model is read, and what is another's is told how to read."""
    model = recurrent(NUMPY)
    model.save(path)
    odd = path.rename(path.with_suffix(".onnx"))
    identical(xr.load(odd).params, model.params)
    others = {
        "torch.bin": (b"PK\x03\x04", r"holds a pickle.* so it is not: in PyTorch, save module\.state_dict\(\)"),
        "old.pt": (b"\x80\x02}q\x00.", "holds a pickle, which can run any program.* numpy.savez"),
        "new.pth": (b"?", r"xprnn\.io\.torch\.read"),
        "odd.model": (b"\x80\x05\x95", "holds a pickle"),
        "x.h5": (b"?", r"save it as \.keras"),
        "x.safetensors": (b"\x89HDF\r\n\x1a\n", r"save it as \.keras"),
        "x.onnx": (b"\x08\x07", r"use xprnn\.load_onnx"),
        "x.keras": (b"", r"use xprnn\.io\.keras\.load"),
        "x.npy": (b"\x93NUMPY", "use numpy.load"),
    }
    for name, (content, words) in others.items():
        other = path.with_name(name)
        other.write_bytes(content)
        if content[:2] == b"PK":
            with zipfile.ZipFile(other, "w") as archive:
                archive.writestr("archive/data.pkl", b"\x80\x02.")
        refused(other, words)


def test_the_package_reads_what_is_written(tmp_path):
    """Both formats are what they are called, for their own readers."""
    model = recurrent(NUMPY)
    wanted = {f"params.{name}": a for name, a in named(model.params).items()}
    model.save(tmp_path / "m.safetensors")
    identical(safetensors.numpy.load_file(tmp_path / "m.safetensors"), wanted)
    model.save(tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz") as archive:
        header = json.loads(archive["xprnn.json"])
        identical({name: archive[name] for name in archive.files if name != "xprnn.json"}, wanted)
    with safetensors.safe_open(tmp_path / "m.safetensors", "numpy") as file:
        assert json.loads(file.metadata()["xprnn"][8:]) == header
    assert header["version"] == 1 and header["layer"]["names"] == ["lstm", "dense"]


def test_every_truncation_is_noticed(path):
    xr.Model(xr.GRU(2), NUMPY, input_shape=(None, 1)).save(path)
    whole = path.read_bytes()
    for size in range(0, len(whole), 3):
        path.write_bytes(whole[:size])
        refused(path, "cannot be read as a model")
    path.write_bytes(whole + b"\0")
    refused(path, "cannot be read as a model")


def test_every_flipped_bit_is_noticed(path):
    xr.Model(xr.GRU(2), NUMPY, input_shape=(None, 1)).save(path)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        refused(path, "cannot be read as a model|holds a pickle")


def rewritten(path, change):
    """The file of a model with its header changed on purpose, and its checksum right."""
    arrays, header = formats.read(path)
    change(header, arrays)
    formats.write(path, arrays, header)


def test_files_of_another_kind(path):
    changes = {
        "is of version 2; this xprnn reads version 1": lambda h, a: h.update(version=2),
        r"holds a layers\.Nothing, which is not known": lambda h, a: h["layer"].update(type="layers.Nothing"),
        "does not fit the one known here": lambda h, a: h["layer"].update(colour="red"),
        "hidden=-4": lambda h, a: h["layer"].update(hidden=-4),
        r"0\.Wh: \(4, 12\), wanted \(5, 15\)": lambda h, a: h["layer"].update(hidden=5),
        "1.Wx: missing": lambda h, a: h["layer"].update(num_layers=2),
        "contradicts itself": lambda h, a: a.pop("params.0.Wx"),
        "contradicts itself: .*layer": lambda h, a: h.pop("layer"),
        "contradicts itself: .*seed": lambda h, a: h["about"].pop("seed"),
    }
    for words, change in changes.items():
        xr.Model(xr.GRU(H), NUMPY, input_shape=(None, D)).save(path)
        rewritten(path, change)
        refused(path, words)


def test_precision_is_the_files_unless_told(path, backend):
    model = recurrent(NUMPY)
    model.save(path)
    assert xr.load(path, backend.name).backend.dtype == "float64"
    assert xr.load(path, backend.name, "float32").backend.dtype == "float32"
    single = xr.load(path, xr.backend(backend.name, "float32"))
    assert single.backend.dtype == "float32"
    for name, leaf in named(single.params).items():
        np.testing.assert_array_equal(leaf, named(model.params)[name].astype("float32"))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere to write model.safetensors to"):
        recurrent(NUMPY).save(tmp_path / "nowhere" / "model.safetensors")


def test_loading_takes_little_more_memory_than_what_is_loaded(path):
    xr.Model(xr.Sequential(*(xr.Dense(1000) for _ in range(4))), input_shape=(1000,)).save(path)
    tracemalloc.start()
    try:
        loaded = xr.load(path)
        assert tracemalloc.get_traced_memory()[1] < 4 * loaded.count_params() + 6_000_000
    finally:
        tracemalloc.stop()
    assert loaded.count_params() == 4 * 1001 * 1000
