"""ONNX files as models: a Model, which trains, where the graph is a chain of layers; else one that runs."""

import os

from ...backend import Backend
from ...model import Model
from ..store import FileError
from .chain import NoChainError, to_model
from .model import OnnxModel
from .read import read


def load_onnx(path: str | os.PathLike, backend: str | Backend = "numpy", dtype: str | None = None) -> Model | OnnxModel:
    """The model in an ONNX file: a Model where it is a chain of layers from one input to one output, batch first.

    A Model trains, streams and saves; called with x, and with ``lengths=`` where the file has a second input for them,
    it gives what the file's output is. Any other graph of known operators is an ``OnnxModel``, which runs.
    Raises FileNotFoundError; FileError, naming the file, for one that is damaged or has operators that are not known;
    ImportError without the package onnx.
    """
    graph = read(path)
    try:
        return to_model(graph, backend, dtype)
    except NoChainError:
        pass  # then it runs as it stands
    try:
        return OnnxModel(graph, backend, dtype)
    except FileError as error:
        raise FileError(f"{os.fspath(path)} cannot be run: {error}") from error


def load_model(path: str | os.PathLike, backend: str | Backend = "numpy", dtype: str | None = None) -> Model:
    """The Model in an ONNX file, which must be a chain of layers; its time may come before the batch.

    A Model takes (batch, time, features), or (batch, time) ids, and gives (batch, time, features) or (batch, features),
    also where the file has (time, batch, ...).
    Raises as ``load_onnx`` does, and FileError with the first node that is no layer.
    """
    graph = read(path)
    met: list[NoChainError] = []
    for time_first in (False, True):
        try:
            return to_model(graph, backend, dtype, time_first=time_first)
        except NoChainError as error:
            met.append(error)
    reason = max(met, key=lambda error: error.place)
    raise FileError(f"{os.fspath(path)} is no chain of layers: {reason}") from reason
