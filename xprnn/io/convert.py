"""Models of every format: one table says who reads a file, and who writes it, by the suffix of its name."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..backend import Backend
from ..model import Model

if TYPE_CHECKING:
    from .onnx.model import OnnxModel

Path_ = str | os.PathLike


class Format(NamedTuple):
    """What a format is called, and whether it keeps all that a model has: its seed, its run, and what is beside it."""

    title: str
    complete: bool = False


FORMATS = {
    ".safetensors": Format("xprnn's own, in safetensors", complete=True),
    ".npz": Format("xprnn's own, in NumPy's zip", complete=True),
    ".onnx": Format("ONNX"),
    ".keras": Format("Keras 3"),
}


def suffix(path: Path_) -> str:
    """What the name of a file ends with, in small letters."""
    return Path(path).suffix.lower()


def read_model(path: Path_, backend: str | Backend = "numpy", dtype: str | None = None) -> "Model | OnnxModel":
    """The model in a file; an ``OnnxModel`` if it is a graph of ONNX's that is no chain of layers.

    Raises FileNotFoundError, FileError for what cannot be read as its name says, ImportError without its package.
    """
    if suffix(path) == ".onnx":
        from .onnx.load import load_onnx

        return load_onnx(path, backend, dtype)
    return read_layers(path, backend, dtype)


def read_layers(path: Path_, backend: str | Backend = "numpy", dtype: str | None = None) -> Model:
    """The model in a file, which has layers: FileError, with the first node that is none, for other graphs of ONNX's.

    It takes and gives the batch first, also where an ONNX file has time there. Raises as ``read_model``.
    """
    if suffix(path) == ".onnx":
        from .onnx.load import load_model

        return load_model(path, backend, dtype)
    if suffix(path) == ".keras":
        from . import keras

        return keras.load(path, backend, dtype)
    return Model.load(path, backend, dtype)


def write_model(model: Model, path: Path_, extra: dict[str, Any] | None = None) -> None:
    """Write a model in the format that the name says, atomically; ``extra`` and its run where the format keeps them.

    Raises ValueError for another suffix, ValueError or TypeError for layers that the format has not, OSError where the
    system refuses.
    """
    if suffix(path) == ".onnx":
        model.save_onnx(path)
    elif suffix(path) == ".keras":
        from . import keras

        keras.save(model, path)
    else:
        model.save(path, run=model.run is not None, extra=extra)
