"""``xprnn convert``: a model's file in another format."""

import argparse
import os

from ..backend import FLOATS
from ..io import files
from ..io.convert import FORMATS, read_layers, suffix, write_model
from ..layers.sequential import Sequential
from ..model import Model
from .problem import Problem, check_writable, told

NAMES = ", ".join(FORMATS)
FOREIGN = [name for name, format in FORMATS.items() if not format.complete]


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``xprnn convert``."""
    parser.add_argument("source", metavar="SOURCE", help=f"a model: {NAMES}")
    parser.add_argument("target", metavar="TARGET", help=f"the file to write: {NAMES}; one that is there is replaced")
    parser.add_argument("--dtype", choices=FLOATS, help="precision of the parameters (default: what SOURCE has)")


def run(arguments: argparse.Namespace) -> int:
    """Convert, and say in one line what was made."""
    source, target = arguments.source, arguments.target
    _check(source, target)
    with told(source):
        model = read_layers(source, dtype=arguments.dtype)
        extra = {} if suffix(source) in FOREIGN else files.read_extra(source)
    with told(target):
        write_model(model, target, extra)
    print(f"{target}: {describe(model)}, {os.path.getsize(target):,} bytes{lost(model, extra, target)}")
    return 0


def describe(model: Model) -> str:
    """What a model is, in a line: "LSTM, Dense, 5,706 parameters, float32"."""
    layers = model.layer.layers if isinstance(model.layer, Sequential) else (model.layer,)
    names = ", ".join(type(layer).__name__ for layer in layers)
    return f"{names}; {model.count_params():,} parameters, {model.backend.dtype}"


def lost(model: Model, extra: dict, target: str) -> str:
    """What the format of ``target`` does not keep, to be told after the rest; nothing where it keeps all."""
    there = ["the training run"] * (model.run is not None) + [f"{name!r}" for name in extra]
    return f"; left behind: {', '.join(there)}" if there and suffix(target) in FOREIGN else ""


def _check(source: str, target: str) -> None:
    """Raise Problem unless the target is of a format that there is, can be written, and is another file."""
    if suffix(target) not in FORMATS:
        raise Problem(f"cannot write {target}: a model is written as {NAMES}")
    check_writable(target)
    if os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target):
        raise Problem(f"{source} and {target} are the same file: name another")
