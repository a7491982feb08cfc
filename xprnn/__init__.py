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

from . import cells, layers, losses, metrics, optimizers, tree
from .backend import Backend, BackendError, available, backend, to_device, to_numpy
from .history import EarlyStopping, History
from .io.store import FileError
from .layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Bidirectional,
    Dense,
    Direction,
    Dropout,
    Embedding,
    Layer,
    LayerNorm,
    Masking,
    PeepholeLSTM,
    Pooling,
    Recurrent,
    Sequential,
    TimeDistributed,
)
from .losses import binary_cross_entropy, cross_entropy, huber, mae, mse
from .metrics import accuracy
from .model import Model, load
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop, clip_by_norm, clip_by_value, schedules
from .random import Key
from .stream import Stream
from .training import Report

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
    "History",
    "Key",
    "Layer",
    "LayerNorm",
    "Masking",
    "Model",
    "PeepholeLSTM",
    "Pooling",
    "RMSprop",
    "Recurrent",
    "Report",
    "Sequential",
    "Stream",
    "TimeDistributed",
    "accuracy",
    "available",
    "backend",
    "binary_cross_entropy",
    "cells",
    "clip_by_norm",
    "clip_by_value",
    "cross_entropy",
    "huber",
    "layers",
    "load",
    "losses",
    "mae",
    "metrics",
    "mse",
    "optimizers",
    "schedules",
    "to_device",
    "to_numpy",
    "tree",
]
