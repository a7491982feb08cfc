"""Cells: one recurrent step and its hand-written reverse, one file each."""

from .base import Cell
from .gru import GRU
from .gru_reset_before import GRUResetBefore
from .lstm import LSTM
from .peephole_lstm import PeepholeLSTM
from .rnn import RNN

__all__ = ["GRU", "LSTM", "RNN", "Cell", "GRUResetBefore", "PeepholeLSTM"]
