"""Models of Keras's as models here, from Keras's own object or from a .keras file without Keras."""

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...backend import Backend, to_device
from ...backend import backend as choose_backend
from ...layers import Stack
from ...layers.base import Layer
from ...layers.catalog import SequenceDropout
from ...layers.sequential import Sequential
from ...model import Model
from ...random import Key
from ...types import Params, Shape
from ..store import FileError
from . import archive, config, hdf5
from .chain import Chain, Link, chain
from .weights import from_keras, width_after


class Made(NamedTuple):
    """A model before it is put on a backend: the layer, its parameters (NumPy arrays), shapes, and Keras's dtype."""

    layer: Sequential
    params: Params
    input_shape: Shape
    output_shape: Shape
    dtype: str


def from_model(model: Any, backend: str | Backend = "numpy", dtype: str | None = None) -> Model:
    """The model that a built Keras model is, with its weights, in its precision unless ``dtype`` is given.

    Raises TypeError if it is none of Keras's, ValueError, naming what, for what is not Keras's own or not here.
    """

    def weights(link: Link, path: tuple[str, ...]) -> list[np.ndarray]:
        return functools.reduce(getattr, path, model.get_layer(link.name)).get_weights()

    return _placed(_made(chain(describe(model)), weights), backend, dtype)


def load(path: str | os.PathLike, backend: str | Backend = "numpy", dtype: str | None = None) -> Model:
    """The model in a .keras file, read with h5py and without Keras; the rest as in ``from_model``.

    Nothing in the file is run, and nothing is written. Raises FileNotFoundError if there is none, ImportError without
    h5py, FileError for a file that is damaged, contradicts itself, or holds what ``from_model`` refuses.
    """
    try:
        made = _read(path)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise FileError(f"{os.fspath(path)} cannot be read as a Keras model: {error}") from error
    return _placed(made, backend, dtype)


def describe(model: Any) -> dict[str, Any]:
    """The description that Keras would put into a file of ``model``."""
    kind = type(model)
    if kind.__module__.split(".")[0] != "keras" or kind.__name__ not in ("Sequential", "Functional"):
        raise TypeError(f"wanted is a Sequential or Functional model of Keras's own, not {model!r}")
    if not model.built:
        raise ValueError("the model has not been built, so it has no weights: call build() or show it data")
    return {"class_name": kind.__name__, "module": kind.__module__, "config": model.get_config()}


def _read(path: str | os.PathLike) -> Made:
    parts = archive.read(path)
    about, described = (config.parsed(parts[name], name) for name in (archive.METADATA, archive.CONFIG))
    version = str(about.get("keras_version"))
    if not version.startswith("3."):
        raise ValueError(f"it is of Keras {version}, wanted is Keras 3")
    found, data = chain(described), parts[archive.WEIGHTS]
    with hdf5.opened(data) as root:

        def weights(link: Link, place: tuple[str, ...]) -> list[np.ndarray]:
            return hdf5.arrays(root, ("layers", link.group, *place, "vars"), len(data))

        return _made(found, weights)


def _made(found: Chain, weights: Callable[[Link, tuple[str, ...]], list[np.ndarray]]) -> Made:
    """A chain with the weights that ``weights`` finds for each of its layers."""
    named = [(link, layer, _name(link, layer)) for link in found.links for layer in link.layers]
    whole = Sequential(*(layer for _, layer, _ in named), names=tuple(name for _, _, name in named))
    params: Params = {}
    width = found.input_shape[-1] if found.input_shape else None
    for link, layer, name in named:
        params[name] = from_keras(layer, width, functools.partial(weights, link))
        width = width_after(layer, width)
    # Sizes are now known to be those of weights that are there, so drawing others of them is safe.
    _, output = whole.init(Key(0).generator(), found.input_shape)
    return Made(whole, params, found.input_shape, output, found.dtype)


def _name(link: Link, layer: Layer) -> str:
    """Keras's name of the layer; what comes before and after a recurrent layer has it with a word more."""
    if len(link.layers) == 1 or isinstance(layer, Stack):
        return link.name
    return f"{link.name}_dropout" if isinstance(layer, SequenceDropout) else f"{link.name}_flip"


def _placed(made: Made, backend: str | Backend, dtype: str | None) -> Model:
    own = None if isinstance(backend, Backend) else made.dtype
    model = Model(made.layer, choose_backend(backend, dtype or own))
    model.input_shape, model.output_shape = made.input_shape, made.output_shape
    model.params = to_device(made.params, model.backend)
    return model
