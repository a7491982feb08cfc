"""Models as Keras's: weights into a Keras model that there is, and .keras files without Keras."""

import functools
import json
import os
from typing import Any

import numpy as np

from ...backend import to_numpy
from ...model import Model
from .. import store
from . import archive, hdf5
from .chain import chain, group_names
from .described import Entry, entries, serialized
from .read import made_of
from .weights import Path, to_keras

VERSION = "3.0.0"  # the oldest Keras that reads the files


def to_model(model: Model, keras_model: Any) -> None:
    """Put the parameters of ``model`` into a built Keras model of the same layers: the reverse of ``from_model``.

    Of biases that are two here and one there it is their sum. Raises ValueError, and changes nothing, unless the layers
    and the precision are the same; TypeError as ``from_model``.
    """
    ours, made = _entries(model), made_of(keras_model)
    theirs = entries(made.layer, made.params)
    for a, b in zip(ours, theirs, strict=False):
        if a.described != b.described:
            raise ValueError(f"{a.name!r} is {_words(a)}, Keras's {b.name!r} is {_words(b)}")
    if len(ours) != len(theirs):
        raise ValueError(f"the model has {len(ours)} layers of Keras's, Keras's model {len(theirs)}")
    if model.backend.dtype != made.dtype:
        raise ValueError(f"the model is in {model.backend.dtype}, Keras's in {made.dtype}: use model.to(...)")
    found = [(b.name, to_keras(a.layer, a.params)) for a, b in zip(ours, theirs, strict=True)]
    for (name, weights), b in zip(found, theirs, strict=True):
        wanted = to_keras(b.layer, b.params)
        if [[a.shape for a in part] for part in weights.values()] != [[a.shape for a in w] for w in wanted.values()]:
            raise ValueError(f"{name!r} of Keras's model takes inputs of another width")
    for name, weights in found:
        for path, part in weights.items():
            functools.reduce(getattr, path, keras_model.get_layer(name)).set_weights(part)


def save(model: Model, path: str | os.PathLike) -> None:
    """Write a .keras file, atomically and with the same bytes each time; Keras is not needed for it, h5py is.

    Raises ValueError, and writes nothing, for what Keras has not, or computes otherwise; ImportError without h5py.
    """
    found = _entries(model)
    shape, dtype = model.built()[0], model.backend.dtype
    groups: dict[Path, list[np.ndarray]] = {(): []}
    for group, entry in zip(group_names([entry.described[0] for entry in found]), found, strict=True):
        for place, part in {(): [], **to_keras(entry.layer, entry.params)}.items():
            # Older Kerases want a group, be it empty, for all that stands on the way.
            groups |= {("layers", group, *place[:n]): [] for n in range(len(place))}
            groups["layers", group, *place] = part
    described = _config(found, [None, *shape], dtype, model.layer.takes_ids)
    chain(described)  # raises where Keras would give other numbers after a mask
    parts = {
        archive.METADATA: _json({"keras_version": VERSION, "written_by": "xprnn"}),
        archive.CONFIG: _json(described),
        archive.WEIGHTS: hdf5.encode({(*path, "vars"): part for path, part in groups.items()}),
    }
    store.atomic(path, archive.encode(parts))


def _entries(model: Model) -> list[Entry]:
    _, params = model.built()
    return entries(model.layer, to_numpy(params))


def _config(found: list[Entry], shape: list[int | None], dtype: str, ids: bool) -> dict[str, Any]:
    """The description of the whole model."""
    begin = "input_layer"
    while begin in [entry.name for entry in found]:
        begin += "_"
    about = {"batch_shape": shape, "dtype": "int32" if ids else dtype, "name": begin}
    layers = [serialized(("InputLayer", about))]
    layers += [_in_dtype(serialized(entry.described, name=entry.name), dtype) for entry in found]
    config = {"name": "sequential", "trainable": True, "dtype": dtype, "layers": layers, "build_input_shape": shape}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None,
            "build_config": {"input_shape": shape}}  # fmt: skip


def _in_dtype(layer: dict[str, Any], dtype: str) -> dict[str, Any]:
    """A layer's description, and those of the layers in it, with a dtype: Keras's default is a global's."""
    config = {
        name: _in_dtype(value, dtype) if isinstance(value, dict) else value for name, value in layer["config"].items()
    }
    return layer | {"config": config | {"dtype": dtype}}


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()


def _words(entry: Entry) -> str:
    kind, config = entry.described
    return f"{kind}({', '.join(f'{name}={value!r}' for name, value in config.items())})"
