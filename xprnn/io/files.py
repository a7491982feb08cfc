"""Model files: what a layer is and what it has learned, in one .safetensors or .npz file."""

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..backend import to_numpy
from ..door import check_params
from ..layers.base import Layer
from ..random import Key
from ..training import Run
from ..types import Params, Shape
from . import formats, spec
from .store import FileError, pack, told, unpack

VERSION = 1
DTYPES = ("float32", "float64")


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
    formats.write(path, arrays, header)


def load(path: str | os.PathLike, custom: Iterable[type] = (), empty: bool = False) -> Saved:
    """What ``save`` wrote; FileError where it cannot be.

    empty: leave the numbers in the file, for whoever only wants to look: its arrays are then ``hollow``.
    """
    arrays, header = formats.read(path, empty)
    with told(path, "cannot be read as a model"):
        if header.get("version") != VERSION:
            raise ValueError(f"it is of version {header.get('version')}; this xprnn reads version {VERSION}")
    with told(path, "contradicts itself"):
        layer, about = spec.from_json(header["layer"], custom), _about(**header["about"])
        params = unpack(header["params"], arrays)
        run = unpack(header["run"], arrays) if "run" in header else None
        _check(layer, about, params, run)
        if arrays:
            raise ValueError(f"nothing speaks of its arrays {', '.join(map(repr, arrays))}")
    if run is not None and run["params"] is None:
        run["params"] = params
    return Saved(layer, params, run, about)


def read_extra(path: str | os.PathLike) -> dict[str, Any]:
    """What was given to ``Model.save`` as ``extra``."""
    extra = formats.read(path, empty=True)[1].get("extra")
    if not isinstance(extra, dict):
        raise FileError(f"{os.fspath(path)} contradicts itself: its extra is no JSON object")
    return extra


def _about(dtype: Any, seed: Any, input_shape: Any) -> About:
    if dtype not in DTYPES or not isinstance(input_shape, list):
        raise ValueError(f"there are no models of dtype {dtype!r} and samples of shape {input_shape!r}")
    if not all(n is None or (type(n) is int and n > 0) for n in input_shape):
        raise ValueError(f"there are no samples of shape {input_shape}")
    return About(dtype, Key(seed).seed, tuple(input_shape))


def _check(layer: Layer, about: About, params: Any, run: Any) -> None:
    """Raise unless the parameters are those of the layer, and the run is one of such a model."""
    if not isinstance(layer, Layer):
        raise ValueError(f"it is a model of {layer!r}, which is no layer")
    own = [params]
    if run is not None:
        if run.keys() != set(Run._fields) or not isinstance(run["optimizer"], dict):
            raise ValueError(f"a run consists of {', '.join(Run._fields)}")
        if not all(type(n) is int and n >= 0 for n in (run["epoch"], run["update"], *run["sizes"])):
            raise ValueError("a run counts from 0")
        own += [] if run["params"] is None else [run["params"]]
    for p in own:
        check_params(layer, about.input_shape, p)
        if any(a.dtype.kind != "f" for a in tree.leaves(p)):
            raise ValueError("parameters are floating-point numbers")
