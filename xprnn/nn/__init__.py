"""The door for people who come from PyTorch: its recurrent modules, with its arguments, shapes and weight names.

What differs: ``backend=`` names the array library and the device; ``lengths=`` stands for a PackedSequence; the reverse
is a function that ``vjp`` returns, so nothing is recorded and nothing has to be cleared; dropout depends on ``key``.

    rnn = nn.LSTM(32, 64, num_layers=2, backend="cupy")
    out, (h_n, c_n) = rnn(x)
    out, (h_n, c_n), pullback = rnn.vjp(x)
    dx, (dh_0, dc_0), grads = pullback(dout)
"""

from .cells import GRUCell, LSTMCell, RNNCell
from .recurrent import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]
