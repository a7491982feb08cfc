"""ONNX: files of the Open Neural Network Exchange, read and written."""

import os

from ...backend import Backend
from ..store import FileError
from . import read
from .load import load_model, load_onnx
from .model import OnnxModel

__all__ = ["OnnxModel", "load_graph", "load_model", "load_onnx", "read"]


def load_graph(path: str | os.PathLike, backend: str | Backend = "numpy", dtype: str | None = None) -> OnnxModel:
    """The graph in an ONNX file as a model that runs, of whatever known operators it is.

    Raises FileError, naming the file, for what ``read.read`` refuses and ``OnnxModel`` does not know.
    """
    graph = read.read(path)
    try:
        return OnnxModel(graph, backend, dtype)
    except FileError as error:
        raise FileError(f"{os.fspath(path)} cannot be run: {error}") from error
