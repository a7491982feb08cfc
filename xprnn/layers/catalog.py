"""The library's own layers, each listed once: what a model file may name.

``xprnn.layers`` gives many of these names to Keras-shaped functions; the classes are here and in their own files.
"""

from .activation import Activation
from .base import Layer
from .bidirectional import Bidirectional
from .dense import Dense
from .direction import Direction
from .dropout import Dropout
from .embedding import Embedding
from .flip import Flip
from .layer_norm import LayerNorm
from .masking import Masking
from .pooling import Pooling
from .recurrent import GRU, LSTM, RNN, LayerNormLSTM, PeepholeLSTM, Recurrent
from .sequence_dropout import SequenceDropout
from .sequential import Sequential
from .time_distributed import TimeDistributed

LAYERS: tuple[type[Layer], ...] = (
    Activation,
    Bidirectional,
    Dense,
    Direction,
    Dropout,
    Embedding,
    Flip,
    GRU,
    LayerNorm,
    LayerNormLSTM,
    LSTM,
    Masking,
    PeepholeLSTM,
    Pooling,
    Recurrent,
    RNN,
    SequenceDropout,
    Sequential,
    TimeDistributed,
)
