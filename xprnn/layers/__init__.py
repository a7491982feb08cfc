"""Layers: what models are made of, one file each."""

from .activation import Activation
from .base import Context, Layer
from .bidirectional import Bidirectional
from .dense import Dense
from .direction import Direction
from .dropout import Dropout
from .embedding import Embedding
from .layer_norm import LayerNorm
from .masking import Masking
from .pooling import Pooling
from .recurrent import GRU, LSTM, RNN, PeepholeLSTM, Recurrent
from .sequential import Sequential
from .time_distributed import TimeDistributed

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Activation",
    "Bidirectional",
    "Context",
    "Dense",
    "Direction",
    "Dropout",
    "Embedding",
    "Layer",
    "LayerNorm",
    "Masking",
    "PeepholeLSTM",
    "Pooling",
    "Recurrent",
    "Sequential",
    "TimeDistributed",
]
