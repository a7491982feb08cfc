"""Cells: one recurrent step and its hand-written reverse, one file each."""

from .base import Cell
from .general_gru import GeneralGRU
from .general_lstm import GeneralLSTM
from .gru import GRU
from .gru_reset_before import GRUResetBefore
from .layer_norm_lstm import LayerNormLSTM
from .lstm import LSTM
from .peephole_lstm import PeepholeLSTM
from .projected_lstm import ProjectedLSTM
from .rnn import RNN
from .zoneout import Zoneout

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "GRUResetBefore",
    "GeneralGRU",
    "GeneralLSTM",
    "LayerNormLSTM",
    "PeepholeLSTM",
    "ProjectedLSTM",
    "Zoneout",
]
