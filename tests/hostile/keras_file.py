"""A .keras file from its definition, and what can be changed in it."""

import io
import json

import h5py
import numpy as np

from .formats import Member, zipped

VERSION = {"keras_version": "3.15.1", "date_saved": "2025-01-01@00:00:00"}
POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
RNG = np.random.default_rng(0)
WEIGHTS = {
    "layers/embedding/vars": [(5, 3)],
    "layers/lstm/cell/vars": [(3, 8), (2, 8), (8,)],
    "layers/bidirectional/forward_layer/cell/vars": [(2, 6), (2, 6), (2, 6)],
    "layers/bidirectional/backward_layer/cell/vars": [(2, 6), (2, 6), (2, 6)],
    "layers/dense/vars": [(4, 1), (1,)],
}
ARRAYS = {
    f"{path}/{n}": RNG.normal(size=shape).astype("<f4")
    for path, shapes in WEIGHTS.items()
    for n, shape in enumerate(shapes)
}


def layer(kind, name, module="keras.layers", registered=None, **config):
    about = {"name": name, "trainable": True, "dtype": POLICY} | config
    return {"module": module, "class_name": kind, "config": about, "registered_name": registered}


def gru(name, backwards):
    return layer("GRU", name, units=2, go_backwards=backwards, return_sequences=False, zero_output_for_mask=False)


ENTRY = {"batch_shape": [None, None], "dtype": "int32", "sparse": False, "name": "input_layer"}
DESCRIPTION = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {
        "name": "sequential",
        "dtype": POLICY,
        "layers": [
            {"module": "keras.layers", "class_name": "InputLayer", "config": ENTRY, "registered_name": None},
            layer("Embedding", "embedding", input_dim=5, output_dim=3, mask_zero=True),
            layer("LSTM", "lstm", units=2, activation="tanh", recurrent_activation="sigmoid", return_sequences=True),
            layer("Bidirectional", "bidirectional", merge_mode="concat", layer=gru("forward_gru", False),
                  backward_layer=gru("backward_gru", True)),
            layer("Dense", "dense", units=1, activation="linear", use_bias=True),
        ],
        "build_input_shape": [None, None],
    },
    "registered_name": None,
    "build_config": {"input_shape": [None, None]},
}  # fmt: skip


def hdf5(change=None, arrays=ARRAYS):
    """The weights as Keras writes them; ``change`` is called with the open file."""
    target = io.BytesIO()
    with h5py.File(target, "w") as root:
        for path, a in arrays.items():
            root[path] = a
        if change is not None:
            change(root)
    return target.getvalue()


PARTS = {"metadata.json": json.dumps(VERSION).encode(), "config.json": json.dumps(DESCRIPTION).encode(),
         "model.weights.h5": hdf5()}  # fmt: skip


def archive(**parts):
    """A .keras file: the parts as they should be, but for those that are given, by the first word of their names."""
    members = [(name, parts.get(name.partition(".")[0], content)) for name, content in PARTS.items()]
    return zipped([Member(name.encode(), content) for name, content in members if content is not None])


def members(*more, **changed):
    """All three members as they should be, the weights changed, and others."""
    weights = {"name": b"model.weights.h5", "content": PARTS["model.weights.h5"]} | changed
    first = [Member(name.encode(), PARTS[name]) for name in ("metadata.json", "config.json")]
    return zipped([*first, Member(**weights), *more])
