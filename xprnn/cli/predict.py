"""``xprnn predict``: what a model makes of an array."""

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import FLOATS
from ..io import npz, store
from ..io.convert import FORMATS, read_model
from ..model import Model
from . import options
from .problem import Problem, check_writable, told
from .threads import limited


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``xprnn predict``."""
    parser.add_argument("model", metavar="MODEL", help=f"a model: {', '.join(FORMATS)}")
    parser.add_argument("input", metavar="INPUT.npy", help="samples: (batch, time, features), or what else it takes")
    parser.add_argument("-o", "--output", metavar="OUT.npy", required=True, help="the file to write")
    parser.add_argument("--backend", default="numpy", metavar="NAME", help="where to compute (default: %(default)s)")
    parser.add_argument("--dtype", choices=FLOATS, help="precision (default: the model's)")
    parser.add_argument("--lengths", metavar="FILE.npy", help="how many steps of each sample are real: (batch,)")
    parser.add_argument("--batch-size", type=options.positive, metavar="N", help="samples at a time (default: 32)")


def run(arguments: argparse.Namespace) -> int:
    """Predict, write, and say in one line what was written."""
    _check_output(arguments)
    x = _array(arguments.input)
    with told(arguments.model):
        model = read_model(arguments.model, arguments.backend, arguments.dtype)
    with limited(None):
        y = _by_model(model, x, arguments) if isinstance(model, Model) else _by_graph(model, x, arguments)
    file = io.BytesIO()
    np.save(file, y, allow_pickle=False)
    with told(arguments.output):
        store.atomic(arguments.output, file.getvalue())
    print(f"{arguments.output}: {_what(y)}, from {arguments.input}: {_what(x)}, on {model.backend}")
    return 0


def _check_output(arguments: argparse.Namespace) -> None:
    """Raise Problem unless the output can be written, is called .npy, and is none of the files that are read."""
    output = Path(arguments.output)
    check_writable(arguments.output)
    if output.suffix != ".npy":
        raise Problem(f"{output} would hold an array of NumPy's: call it {output.with_suffix('.npy')}")
    for path in filter(None, (arguments.model, arguments.input, arguments.lengths)):
        if output.exists() and Path(path).exists() and output.samefile(path):
            raise Problem(f"{output} is read, and cannot be what is written as well")


def _by_model(model: Model, x: np.ndarray, arguments: argparse.Namespace) -> np.ndarray:
    name, ids = arguments.input, model.layer.takes_ids
    if x.dtype.kind not in ("iu" if ids else "f"):
        wanted = "token ids, so integers" if ids else "numbers, so float32 or float64"
        raise Problem(f"{name} holds {x.dtype}; {arguments.model} takes {wanted}")
    lengths = None if arguments.lengths is None else _array(arguments.lengths)
    with told(name if lengths is None else f"{name} with the lengths in {arguments.lengths}"):
        y = model.predict(model.backend.asarray(x), batch_size=arguments.batch_size or 32, lengths=lengths)
    return model.backend.to_numpy(y)


def _by_graph(model: Any, x: np.ndarray, arguments: argparse.Namespace) -> np.ndarray:
    """By a graph of ONNX's, which gets all samples at once, and has one input and one output."""
    for option in ("lengths", "batch_size"):
        if getattr(arguments, option) is not None:
            raise Problem(f"{options.flag(option)} is for chains of layers, and {arguments.model} is another graph")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        ends = " and outputs ".join(", ".join(end.name for end in side) for side in (model.inputs, model.outputs))
        raise Problem(f"{arguments.model} has inputs {ends}; predict is for one of each: call it in Python")
    with told(f"{arguments.model} on {arguments.input}"):
        return model.backend.to_numpy(model(model.backend.asarray(x)))


def _array(path: str) -> np.ndarray:
    with told(path):
        return npz.read_array(path)


def _what(a: np.ndarray) -> str:
    return f"{tuple(a.shape)} of {a.dtype}"
