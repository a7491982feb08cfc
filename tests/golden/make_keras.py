"""Make tests/golden/keras with Keras: .keras files, and what Keras computes with the models in them.

    KERAS_BACKEND=torch python tests/golden/make_keras.py           on Keras 3.15.1: all but old
    KERAS_BACKEND=torch python tests/golden/make_keras.py old       on Keras 3.0.0

The files are Keras's own, packed again: it writes them as they are, with many zeros, and reads packed ones too.
Beside each NAME.keras stands NAME.npz: x, mask (which steps are real), y, and for the loss sum(y · dy) the gradients dx
and "grad." + layer + path + number, as Keras numbers the weights. All but old is computed in float64.
"""

import functools
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import torch
from keras import layers as L

FOLDER = Path(__file__).parent / "keras"
LENGTHS = np.array([5, 2, 1])[:, None]
REAL = {"right": np.arange(5)[None, :] < LENGTHS, "left": np.arange(5)[None, :] >= 5 - LENGTHS}
MODELS = {
    "lstm": ("right", lambda: [
        L.Masking(0.5), L.LSTM(3, return_sequences=True, name="first"), L.LayerNormalization(scale=False),
        L.TimeDistributed(L.Dense(2, "tanh"), name="each")]),
    "gru": ("left", lambda: [
        L.Embedding(7, 3, mask_zero=True), L.GRU(3, return_sequences=True, dropout=0.2),
        L.GRU(2, reset_after=False, activation="softsign"), L.Dense(2, activation="softmax")]),
    "both": ("right", lambda: [
        L.Masking(), L.Bidirectional(L.LSTM(2, return_sequences=True, use_bias=False), merge_mode="mul"),
        L.Bidirectional(L.GRU(2), backward_layer=L.SimpleRNN(3, "relu", go_backwards=True), name="two")]),
    "backwards": (None, lambda: [
        L.LSTM(3, L.LeakyReLU(0.1), "hard_sigmoid", go_backwards=True, return_sequences=True),
        L.LayerNormalization(epsilon=0.1, center=False), L.GRU(2, go_backwards=True, return_sequences=True),
        L.GlobalMaxPooling1D()]),
    "old": ("right", lambda: [
        L.Embedding(7, 3, mask_zero=True, name="tokens"), L.Bidirectional(L.LSTM(2, return_sequences=True)),
        L.GRU(2), L.Dense(3, activation="elu"), L.Dense(1)]),
}  # fmt: skip
PATHS = [("cell",), ("forward_layer", "cell"), ("backward_layer", "cell"), ("layer",), ()]


def weights(model):
    """Keras's weights by layer, path and number."""
    for layer in model.layers:
        path = next(path for path in PATHS if not path or hasattr(layer, path[0]))
        halves = PATHS[1:3] if path[0:1] == ("forward_layer",) else [path]
        for half in halves:
            for n, variable in enumerate(functools.reduce(getattr, half, layer).trainable_variables):
                yield ".".join(("grad", layer.name, *half, str(n))), variable.value


def pack(path):
    """Deflate the members of a zip file."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def make(name, padding, describe):
    """Write both files."""
    rng, layers, ids = np.random.default_rng(0), describe(), name in ("gru", "old")
    real = np.ones((3, 5), bool) if padding is None else REAL[padding]
    shape = (None,) if ids else (None, 3)
    model = keras.Sequential([keras.Input(shape, dtype="int32" if ids else None), *layers])
    model.set_weights([rng.normal(size=w.shape) * 0.5 for w in model.get_weights()])
    model.save(FOLDER / f"{name}.keras")
    pack(FOLDER / f"{name}.keras")
    x = rng.integers(1, 7, (3, 5)) if ids else rng.normal(size=(3, 5, 3))
    if padding is not None:
        x[~real] = getattr(layers[0], "mask_value", 0)
    inputs = torch.tensor(x, requires_grad=not ids)
    y = model(inputs)
    dy = rng.normal(size=tuple(y.shape)) * (real[..., None] if y.ndim == 3 else 1)
    by_name = dict(weights(model)) | ({} if ids else {"dx": inputs})
    grads = torch.autograd.grad(torch.sum(y * torch.tensor(dy)), list(by_name.values()))
    found = {"x": x, "mask": real, "y": y.detach().numpy(), "dy": dy}
    found |= {key: g.numpy() for key, g in zip(by_name, grads, strict=True)}
    np.savez_compressed(FOLDER / f"{name}.npz", **found)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    keras.utils.set_random_seed(0)
    chosen = sys.argv[1:] or [name for name in MODELS if name != "old"]
    if "old" not in chosen:
        from keras.src.backend.common import dtypes

        dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"  # without TensorFlow, Keras would round products to float32
        keras.config.set_floatx("float64")
    for name in chosen:
        make(name, *MODELS[name])
