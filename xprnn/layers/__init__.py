"""Layers by Keras's names and arguments; and of the library's own, those that Keras has no name for.

``xprnn.LSTM``, ``xprnn.Dense`` and so on are the library's own classes, which ``layers/catalog.py`` lists; here
``LSTM``, ``Dense`` and so on are functions that take Keras's arguments and give those classes' objects.
"""

from .arguments import Shaped
from .base import Context, Layer
from .direction import Direction
from .flip import Flip
from .keras import (
    GRU,
    LSTM,
    Activation,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Input,
    LayerNormalization,
    Masking,
    SimpleRNN,
    SpatialDropout1D,
    TimeDistributed,
)
from .layer_norm import LayerNorm
from .pooling import Pooling
from .recurrent import LayerNormLSTM, PeepholeLSTM, Recurrent, Stack
from .sequence_dropout import SequenceDropout

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "Bidirectional",
    "Context",
    "Dense",
    "Direction",
    "Dropout",
    "Embedding",
    "Flip",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "Input",
    "Layer",
    "LayerNorm",
    "LayerNormLSTM",
    "LayerNormalization",
    "Masking",
    "PeepholeLSTM",
    "Pooling",
    "Recurrent",
    "SequenceDropout",
    "Shaped",
    "SimpleRNN",
    "SpatialDropout1D",
    "Stack",
    "TimeDistributed",
]
