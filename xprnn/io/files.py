"""Model files: what a layer is and what it has learned, in one .safetensors file."""

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..backend import to_numpy
from ..door import check_params
from ..layers.base import Layer
from ..types import Params, Shape
from . import spec
from .store import FileError, pack, read, unpack, write

VERSION = 1


class About(NamedTuple):
    """What is said about a model beside its layer: its precision, its seed, and the shape of a sample."""

    dtype: str
    seed: int
    input_shape: Shape


class Saved(NamedTuple):
    """What a file holds: the layer, its parameters and the run (NumPy arrays), and what is said about them."""

    layer: Layer
    params: Params
    run: dict[str, Any] | None
    about: About


def save(
    path: str | os.PathLike, layer: Layer, params: Params, run: dict | None, about: About, extra: dict[str, Any]
) -> None:
    """Write a model's file, atomically. ``run["params"]`` may be others than ``params``: fit can restore the best."""
    arrays: dict[str, np.ndarray] = {}
    header = {"version": VERSION, "layer": spec.to_json(layer), "about": about._asdict(), "extra": extra}
    header["params"] = pack(to_numpy(params), "params", arrays)
    if run is not None:
        own = None if run["params"] is params else run["params"]
        host = tree.map(lambda a: a if isinstance(a, (int, float)) else to_numpy(a), run | {"params": own})
        header["run"] = pack(host, "run", arrays)
    write(path, arrays, header)


def load(path: str | os.PathLike, custom: Iterable[type] = ()) -> Saved:
    """What ``save`` wrote; FileError where it cannot be."""
    arrays, header = read(path)
    if header.get("version") != VERSION:
        raise FileError(f"{os.fspath(path)} is of version {header.get('version')}; this xprnn reads version {VERSION}")
    try:
        layer = spec.from_json(header["layer"], custom)
        params = unpack(header["params"], arrays)
        run = unpack(header["run"], arrays) if "run" in header else None
        if run is not None and run["params"] is None:
            run["params"] = params
        about = About(**header["about"])._replace(input_shape=tuple(header["about"]["input_shape"]))
        check_params(layer, about.input_shape, params)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise FileError(f"{os.fspath(path)} contradicts itself: {error}") from error
    return Saved(layer, params, run, about)


def read_extra(path: str | os.PathLike) -> dict[str, Any]:
    """What was given to ``Model.save`` as ``extra``."""
    return read(path)[1]["extra"]
