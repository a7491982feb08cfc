"""Files for Keras, and from it, where there is no Keras: what is written, what is read again, and what is refused."""

import io
import json
import zipfile

import numpy as np
import pytest
from shell import refused

import xprnn as xr
from xprnn import cells
from xprnn import layers as L
from xprnn.io.keras import load, save
from xprnn.io.store import FileError
from xprnn.models import Sequential, load_model

h5py = pytest.importorskip("h5py")
IDS, STEPS, SAMPLE = (None,), (None, 3), (3,)

# Name -> layers, a sample's shape, and the layers that a file gives back, where they are others.
WRITTEN = {
    "dense": ([xr.Dense(2, "leaky_relu"), xr.Dense(2, bias=False), xr.Activation("softmax")], SAMPLE,
              [xr.Dense(2, "leaky_relu(0.01)"), xr.Dense(2, "identity", False), xr.Activation("softmax")]),
    "bends": ([xr.Activation(name) for name in ("exp", "elu(0.3)", "thresholded_relu(0.2)", "leaky_relu(0.2)", "gelu")],
              SAMPLE, None),
    "norms": ([xr.LayerNorm(), xr.LayerNorm(0.1, gain=False), xr.LayerNorm(bias=False), xr.Dropout(0.3)], SAMPLE, None),
    "tokens": ([xr.Embedding(5, 3, True), xr.SequenceDropout(0.1), xr.Pooling("mean")], IDS, None),
    "masking": ([xr.Masking(0.5), xr.TimeDistributed(xr.Dense(2, "relu"))], STEPS, None),
    "backwards": ([xr.GRU(4, reverse=True), xr.Flip(), xr.RNN(2, reverse=True, return_sequences=False)], STEPS, None),
    "bent": ([L.LSTM(3, "relu", "hard_sigmoid", return_sequences=True), L.GRU(2, None, reset_after=False)],
             STEPS, None),
    "two biases": ([xr.LSTM(3, double_bias=True), xr.RNN(2, double_bias=True, return_sequences=False)], STEPS,
                   [xr.LSTM(3), xr.RNN(2, return_sequences=False)]),
    "stacked": ([xr.GRU((4, 2), dropout=0.2, bidirectional=True, merge="mul", recurrent_dropout=0.1,
                        return_sequences=False)], STEPS,
                [xr.GRU(4, bidirectional=True, merge="mul", recurrent_dropout=0.1), xr.Dropout(0.2),
                 xr.GRU(2, bidirectional=True, merge="mul", recurrent_dropout=0.1, return_sequences=False)]),
    "bare": ([xr.Direction(cells.LSTM(3)), L.Recurrent((cells.GeneralLSTM(3), cells.RNN(2)))], STEPS,
             [xr.LSTM(3), xr.LSTM(3), xr.RNN(2)]),
    "inside": ([xr.Sequential(xr.GRU(2), xr.Sequential(xr.Dense(2, "tanh")))], STEPS, [xr.GRU(2), xr.Dense(2, "tanh")]),
    "two directions": ([L.Recurrent((cells.GRUResetBefore(3),), (cells.LSTM(3),), bidirectional=True, merge="mean")],
                       STEPS, None),
}  # fmt: skip


def model_of(layers, shape, **options):
    """A model with parameters of which no two are alike."""
    rng = np.random.default_rng(0)
    model = xr.Model(xr.Sequential(*layers), input_shape=shape, **options)
    model.params = xr.tree.map(lambda a: rng.normal(size=a.shape).astype(a.dtype), model.params)
    return model


def data(shape, dtype):
    rng = np.random.default_rng(1)
    return (
        rng.integers(1, 5, (2, 4)) if shape == IDS else rng.normal(size=(2, 4, 3)[3 - len(shape) - 1 :]).astype(dtype)
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_is_read(name, dtype, tmp_path):
    layers, shape, wanted = WRITTEN[name]
    model = model_of(layers, shape, dtype=dtype)
    save(model, tmp_path / "m.keras")
    again = load(tmp_path / "m.keras")
    assert list(again.layer.layers) == (wanted or layers)
    assert (again.input_shape, again.output_shape, again.backend.dtype) == (shape, model.output_shape, dtype)
    x = data(shape, dtype)
    limit = 1e-12 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(again(x), model(x), rtol=limit, atol=limit)


NAMES = [
    (xr.Sequential(xr.Dense(2), xr.Dense(2), names=("input_layer", "Ausgang")), ("input_layer", "Ausgang")),
    (xr.Sequential(xr.LSTM(2, 2, dropout=0.1), xr.Sequential(xr.RNN(2))),
     ("lstm_layer0", "lstm_layer1_dropout", "lstm_layer1", "sequential_rnn")),
    (xr.GRU(2), ("gru",)),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "names"), NAMES)
def test_names_are_kept(layer, names, tmp_path):
    save(xr.Model(layer, input_shape=STEPS), tmp_path / "m.keras")
    assert load(tmp_path / "m.keras").layer.names == names


def test_what_is_in_a_file(tmp_path):
    save(model_of([xr.Embedding(5, 3, True), xr.GRU(2, bidirectional=True)], IDS), tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        described = json.loads(archive.read("config.json"))
        archive.extract("model.weights.h5", tmp_path)
    first, *others = described["config"]["layers"]
    assert first["config"] == {"batch_shape": [None, None], "dtype": "int32", "name": "input_layer"}
    assert [(one["module"], one["class_name"], one["config"]["dtype"]) for one in others] == [
        ("keras.layers", "Embedding", "float32"), ("keras.layers", "Bidirectional", "float32"),
    ]  # fmt: skip
    found = {}
    with h5py.File(tmp_path / "model.weights.h5") as root:
        root.visititems(lambda name, a: found.update({name: a.shape}) if isinstance(a, h5py.Dataset) else None)
    cell = dict(enumerate([(3, 6), (2, 6), (2, 6)]))
    assert found == {"layers/embedding/vars/0": (5, 3)} | {
        f"layers/bidirectional/{way}_layer/cell/vars/{n}": shape
        for way in ("forward", "backward") for n, shape in cell.items()
    }  # fmt: skip


def shared():
    one = xr.Dense(3)
    return [one, one]


NO_DROPOUT, SOME = xr.Direction(cells.GRU(2)), xr.Direction(cells.GRU(2), reverse=True, recurrent_dropout=0.1)
REFUSED = {
    "Keras has no PeepholeLSTM": [xr.PeepholeLSTM(2)],
    "Keras has no LayerNormLSTM": [xr.LayerNormLSTM(2)],
    "Keras has no Zoneout": [xr.Recurrent(cells.Zoneout(cells.RNN(2), (0.1,)))],
    "Keras has no ProjectedLSTM": [xr.Recurrent(cells.ProjectedLSTM(3, 2))],
    "Keras has no GeneralLSTM.*coupled=True": [xr.Recurrent(cells.GeneralLSTM(3, coupled=True))],
    "Keras has no GeneralLSTM.*'relu'": [xr.Recurrent(cells.GeneralLSTM(3, ("sigmoid", "tanh", "relu")))],
    "no activation 'gelu_tanh'": [xr.Dense(2, "gelu_tanh")],
    r"no activation 'clip\(2\) tanh'": [xr.RNN(2, activation="clip(2) tanh")],
    r"no activation 'affine\(1, 2\)'": [xr.Activation("affine(1, 2)")],
    r"no activation 'hard_sigmoid\(0.2, 0.5\)'": [L.GRU(2, "tanh", "hard_sigmoid(0.2, 0.5)")],
    "Keras has no Pooling.*return_sequences=False": [xr.Pooling("last")],
    "'rnn' gives outputs in the order of x": [xr.RNN(2, reverse=True), xr.Dense(2)],
    "'gru' gives outputs in the order of x": [xr.GRU(2, reverse=True)],
    "Keras has no Flip": [xr.Flip()],
    "backwards one behind the other": [xr.GRU(2, 2, reverse=True, return_sequences=False)],
    "no initial state that is learned": [xr.GRU(2, learn_state=True)],
    "have different options": [xr.Bidirectional(NO_DROPOUT, SOME)],
    "used twice": shared(),
    "'pooling', a GlobalMaxPooling1D, cannot be had after a mask": [xr.Masking(), xr.RNN(2), xr.Pooling("max")],
    "go_backwards Keras masks the wrong end": [xr.Masking(), xr.RNN(2, reverse=True), xr.Flip()],
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_keras_has_not_is_not_written(words, tmp_path):
    model = model_of(REFUSED[words], STEPS)
    refused(model, lambda: save(model, tmp_path / "m.keras"), ValueError, words)
    assert not list(tmp_path.iterdir())


def test_keras_shaped_models_save_and_load_as_keras_does(tmp_path):
    model = Sequential([L.LSTM(3, input_shape=(3, 1), name="memory"), L.Dense(2, "softmax", name="end")])
    model.save(tmp_path / "m.keras")
    loaded, x = load_model(tmp_path / "m.keras", dtype="float64"), np.ones((2, 3, 1))
    np.testing.assert_allclose(loaded.predict(x), model.predict(x), rtol=1e-6)
    assert loaded.model.layer.names == ("memory", "end") and loaded.model.backend.dtype == "float64"
    loaded.compile("adam", "sparse_categorical_crossentropy")
    assert loaded.fit(x, [0, 1], epochs=2, verbose=0).epochs == 2


def test_where_nothing_can_be_written_or_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        save(model_of([xr.Dense(2)], SAMPLE), tmp_path / "none" / "m.keras")
    with pytest.raises(ValueError, match="no parameters before it has seen data"):
        save(xr.Model(xr.Dense(2)), tmp_path / "m.keras")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load(tmp_path / "m.keras")
    (tmp_path / "m.keras").write_bytes(b"PK")
    with pytest.raises(FileError, match=r"m\.keras cannot be read as a model of Keras's: it is damaged or no zip"):
        load(tmp_path / "m.keras")


def test_a_bit_turned_over_is_refused_or_makes_another_number(tmp_path):
    """Beneath the zip's own checksum, which is right: HDF5 has none."""
    hostile, made = pytest.importorskip("test_hostile"), pytest.importorskip("hostile.keras")
    found = hostile.outcomes(dict(made.flipped(200)), tmp_path)
    outcomes = [told["outcome"] for _, told in found.values()]
    assert set(outcomes) == {"read", "FileError"} and 20 < outcomes.count("FileError") < 100
    assert not [told["done"] for _, told in found.values() if told["done"]]
    assert max(told["seconds"] for _, told in found.values()) < 2


def test_layers_that_share_their_weights_are_no_more_than_the_file(tmp_path):
    """A name costs a hundred bytes, and what it leads to may be any matrix: thousands of layers of one."""
    path, wide = tmp_path / "a.keras", 64
    save(xr.Model(xr.Sequential(*(xr.Dense(wide, bias=False) for _ in range(20))), input_shape=(wide,)), path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(weights, "r") as whole, h5py.File(shared := io.BytesIO(), "w") as root:
        first, *others = whole["layers"]
        whole.copy(f"layers/{first}", root.create_group("layers"), name=first)
        for name in others:
            root[f"layers/{name}"] = root[f"layers/{first}"]
    parts["model.weights.h5"] = shared.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(FileError, match=r"a\.keras .* bytes of weights in a file of \d+: some share theirs"):
        load(path)
