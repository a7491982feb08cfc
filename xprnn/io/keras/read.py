"""Models of Keras's as models here, from Keras's own object or from a .keras file without Keras."""

import functools
import os
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ...backend import Backend
from ...backend import backend as choose_backend
from ...door import check_params
from ...layers.sequential import Sequential
from ...model import Model
from ...types import Params, Shape
from .. import store
from . import archive, hdf5
from .chain import Chain, Link, chain
from .weights import Path, from_keras


class Made(NamedTuple):
    """A model that has not been put on a backend: its layers, parameters (NumPy arrays), sample shape and dtype."""

    layer: Sequential
    params: Params
    input_shape: Shape
    dtype: str


def from_model(model: Any, backend: str | Backend = "numpy", dtype: str | None = None) -> Model:
    """The model that a built Keras model is, with its weights, in its precision unless ``dtype`` is given.

    Raises TypeError if it is none of Keras's, ValueError, naming what, for what is not Keras's own or not here.
    """
    return _placed(made_of(model), backend, dtype)


def load(path: str | os.PathLike, backend: str | Backend = "numpy", dtype: str | None = None) -> Model:
    """The model in a .keras file, read with h5py and without Keras; the rest as in ``from_model``.

    Nothing in the file is run, and nothing is written. Raises FileNotFoundError if there is none, ImportError without
    h5py, FileError for a file that is damaged, contradicts itself, or holds what ``from_model`` refuses.
    """
    with store.opened(path, "a model of Keras's") as file:
        made = _read(file, empty=False)
    return _placed(made, backend, dtype)


def outline(path: str | os.PathLike) -> Made:
    """What ``load`` finds in a .keras file, for whoever only wants to look: parameters are as good as their shapes."""
    with store.opened(path, "a model of Keras's") as file:
        return _read(file, empty=True)


def made_of(model: Any) -> Made:
    """A model with the layers and weights of a built Keras model."""
    kind = type(model)
    if kind.__module__.split(".")[0] != "keras" or kind.__name__ not in ("Sequential", "Functional"):
        raise TypeError(f"wanted is a Sequential or Functional model of Keras's own, not {model!r}")
    if not model.built:
        raise ValueError("the model has not been built, so it has no weights: call build() or show it data")
    described = {"class_name": kind.__name__, "module": kind.__module__, "config": model.get_config()}

    def weights(link: Link, path: Path) -> list[np.ndarray]:
        return functools.reduce(getattr, path, model.get_layer(link.name)).get_weights()

    return _made(chain(described), weights)


def _read(file: BinaryIO, empty: bool) -> Made:
    parts = archive.read(file)
    about, described = store.parse(parts[archive.METADATA]), store.parse(parts[archive.CONFIG])
    if not str(about["keras_version"]).startswith("3."):
        raise ValueError(f"it is of Keras {about['keras_version']}, wanted is Keras 3")
    found, data = chain(described), parts[archive.WEIGHTS]
    met = 0
    with hdf5.opened(data) as root:

        def weights(link: Link, path: Path) -> list[np.ndarray]:
            nonlocal met
            arrays = hdf5.arrays(root, ("layers", link.group, *path, "vars"), len(data), empty)
            met += sum(a.size * a.dtype.itemsize for a in arrays)
            if met > len(data):
                raise ValueError(f"its layers have {met} bytes of weights in a file of {len(data)}: some share theirs")
            return arrays

        return _made(found, weights)


def _made(found: Chain, weights: Callable[[Link, Path], list[np.ndarray]]) -> Made:
    """A chain with the weights that ``weights`` finds for each of its layers. ValueError if they do not fit."""
    parts = [(link, name, layer) for link in found.links for name, layer in zip(link.names, link.layers, strict=True)]
    whole = Sequential(*(layer for _, _, layer in parts), names=tuple(name for _, name, _ in parts))
    params = {name: from_keras(layer, functools.partial(weights, link)) for link, name, layer in parts}
    check_params(whole, found.input_shape, params)
    return Made(whole, params, found.input_shape, found.dtype)


def _placed(made: Made, backend: str | Backend, dtype: str | None) -> Model:
    own = None if isinstance(backend, Backend) else made.dtype
    target = choose_backend(backend, dtype or own)
    return Model(made.layer, target, input_shape=made.input_shape, params=made.params)
