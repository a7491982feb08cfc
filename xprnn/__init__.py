"""xprnn: recurrent neural networks on any array library.

The floors, from the ground up; each uses only those below it.

    backends, streams of random numbers, activations, initializers
    cells      one step, and its reverse by hand
    kernels    who runs a cell over a piece of a sequence
    scan       a cell over time
    layers, losses, metrics, optimizers
    training   one pure update, an iterator of reports
    Model, Stream, load; nn and models, the doors for people who come from PyTorch and Keras
"""

from typing import TYPE_CHECKING, Any

from . import callbacks, cells, layers, losses, metrics, models, nn, optimizers, tree
from .backend import Backend, BackendError, available, backend, to_device, to_numpy
from .history import EarlyStopping, History
from .io.store import FileError
from .layers.activation import Activation
from .layers.base import Layer
from .layers.bidirectional import Bidirectional
from .layers.dense import Dense
from .layers.direction import Direction
from .layers.dropout import Dropout
from .layers.embedding import Embedding
from .layers.flip import Flip
from .layers.layer_norm import LayerNorm
from .layers.masking import Masking
from .layers.pooling import Pooling
from .layers.recurrent import GRU, LSTM, RNN, LayerNormLSTM, PeepholeLSTM, Recurrent
from .layers.sequence_dropout import SequenceDropout
from .layers.sequential import Sequential
from .layers.time_distributed import TimeDistributed
from .losses import binary_cross_entropy, cross_entropy, huber, mae, mse
from .metrics import accuracy
from .model import Model, load
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop, clip_by_norm, clip_by_value, schedules
from .random import Key
from .stream import Stream
from .training import Report

if TYPE_CHECKING:
    from .io.onnx.load import load_onnx

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "Backend",
    "BackendError",
    "Bidirectional",
    "Dense",
    "Direction",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "FileError",
    "Flip",
    "History",
    "Key",
    "Layer",
    "LayerNorm",
    "LayerNormLSTM",
    "Masking",
    "Model",
    "PeepholeLSTM",
    "Pooling",
    "RMSprop",
    "Recurrent",
    "Report",
    "SequenceDropout",
    "Sequential",
    "Stream",
    "TimeDistributed",
    "accuracy",
    "available",
    "backend",
    "binary_cross_entropy",
    "callbacks",
    "cells",
    "clip_by_norm",
    "clip_by_value",
    "cross_entropy",
    "huber",
    "layers",
    "load",
    "load_onnx",
    "losses",
    "mae",
    "metrics",
    "models",
    "mse",
    "nn",
    "optimizers",
    "schedules",
    "to_device",
    "to_numpy",
    "tree",
]


def __getattr__(name: str) -> Any:
    """``load_onnx``, which is imported when it is asked for: it is a fifth of the library."""
    if name != "load_onnx":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .io.onnx.load import load_onnx

    return load_onnx
