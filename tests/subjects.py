"""What the laws are tried on: every public cell and layer, with the options that change what they compute."""

from xprnn import cells
from xprnn.layers.activation import Activation
from xprnn.layers.bidirectional import Bidirectional
from xprnn.layers.dense import Dense
from xprnn.layers.direction import Direction
from xprnn.layers.dropout import Dropout
from xprnn.layers.embedding import Embedding
from xprnn.layers.flip import Flip
from xprnn.layers.layer_norm import LayerNorm
from xprnn.layers.masking import Masking
from xprnn.layers.pooling import Pooling
from xprnn.layers.recurrent import GRU, LSTM, RNN, LayerNormLSTM, PeepholeLSTM, Recurrent
from xprnn.layers.sequence_dropout import SequenceDropout
from xprnn.layers.sequential import Sequential
from xprnn.layers.time_distributed import TimeDistributed

CELLS = {
    "RNN": cells.RNN(5),
    "RNN-relu": cells.RNN(5, "relu"),
    "RNN-softplus": cells.RNN(5, "softplus"),
    "RNN-bare": cells.RNN(5, bias=False),
    "RNN-double": cells.RNN(5, double_bias=True),
    "LSTM": cells.LSTM(5),
    "LSTM-bare": cells.LSTM(5, bias=False),
    "LSTM-double": cells.LSTM(5, double_bias=True),
    "ProjectedLSTM": cells.ProjectedLSTM(5, 3),
    "ProjectedLSTM-bare": cells.ProjectedLSTM(5, 6, bias=False),
    "GeneralLSTM": cells.GeneralLSTM(5, ("hard_sigmoid(0.2, 0.5)", "softsign", "clip(0.8) tanh"), peepholes=True),
    "GeneralLSTM-coupled": cells.GeneralLSTM(5, coupled=True, double_bias=True),
    "LayerNormLSTM": cells.LayerNormLSTM(5),
    "LayerNormLSTM-bare": cells.LayerNormLSTM(5, bias=False, epsilon=0.1),
    "PeepholeLSTM": cells.PeepholeLSTM(5),
    "PeepholeLSTM-bare": cells.PeepholeLSTM(5, bias=False),
    "GRU": cells.GRU(5),
    "GRU-bare": cells.GRU(5, bias=False),
    "GeneralGRU": cells.GeneralGRU(5, ("clip(0.9) sigmoid", "scaled_tanh(1.2, 0.6)")),
    "GeneralGRU-before": cells.GeneralGRU(5, ("softsign", "hard_tanh"), reset_after=False, double_bias=True),
    "GRUResetBefore": cells.GRUResetBefore(5),
    "GRUResetBefore-bare": cells.GRUResetBefore(5, bias=False),
    "Zoneout-LSTM": cells.Zoneout(cells.LSTM(5), (0.1, 0.4)),
    "Zoneout-GRU": cells.Zoneout(cells.GRU(5), (0.3,)),
    "Zoneout-RNN-bare": cells.Zoneout(cells.RNN(5, bias=False), (0.2,)),
    "Zoneout-projected-bare": cells.Zoneout(cells.ProjectedLSTM(5, 3, bias=False), (0.0, 0.5)),
}

# Those that the compiled kernel and the one for GPUs run.
OTHERS = ("RNN-softplus", "General", "LayerNorm", "Projected", "Zoneout")
COMMON = {name for name in CELLS if not name.startswith(OTHERS)}

# Name -> a cell of so many units: those that the compiled kernel and the one for GPUs run.
SIZED = {
    "RNN": lambda hidden: cells.RNN(hidden),
    "RNN-relu": lambda hidden: cells.RNN(hidden, "relu"),
    "RNN-linear": lambda hidden: cells.RNN(hidden, "linear", bias=False),
    "LSTM": lambda hidden: cells.LSTM(hidden),
    "PeepholeLSTM": lambda hidden: cells.PeepholeLSTM(hidden, double_bias=True),
    "GRU": lambda hidden: cells.GRU(hidden),
    "GRU-bare": lambda hidden: cells.GRU(hidden, bias=False),
    "GRUResetBefore": lambda hidden: cells.GRUResetBefore(hidden, double_bias=True),
}

_LSTM, _GRU = Direction(cells.LSTM(4)), Direction(cells.GRU(4), reverse=True, recurrent_dropout=0.3)
_STACK = (cells.LSTM(5), cells.GRU(4), cells.RNN(3))
_ZONED = cells.Zoneout(cells.LSTM(4), (0.1, 0.4))
_SHARED = Dense(3, "tanh")
_STEPS, _TOKENS, _SAMPLE = (None, 3), (None,), (3,)

# Name -> the layer and the shape of its samples.
RECURRENT = {
    "Recurrent": (Recurrent(_STACK, bidirectional=True, dropout=0.3, recurrent_dropout=0.4), _STEPS),
    "Recurrent-last": (Recurrent(_STACK, return_sequences=False, dropout=0.3, segment=3), _STEPS),
    "Recurrent-backward": (
        Recurrent(cells.LSTM(4), cells.RNN(3), bidirectional=True, return_sequences=False, recurrent_dropout=0.3),
        _STEPS,
    ),
    "RNN": (RNN((4, 3), activation="relu", reverse=True), _STEPS),
    "Projected": (Recurrent((cells.ProjectedLSTM(4, 2), cells.ProjectedLSTM(3, 4)), bidirectional=True), _STEPS),
    "LayerNormLSTM": (LayerNormLSTM(4, epsilon=0.1, recurrent_dropout=0.3), _STEPS),
    "Zoneout": (Direction(_ZONED, reverse=True, segment=3, recurrent_dropout=0.2, learn_state=True), _STEPS),
    "LSTM": (LSTM(4, 3, learn_state=True, dropout=0.2, recurrent_dropout=0.2), _STEPS),
    "PeepholeLSTM": (PeepholeLSTM(4, 2, bidirectional=True, segment=2, learn_state=True), _STEPS),
    "GRU": (GRU(4, 2, bidirectional=True, merge="mul", return_sequences=False), _STEPS),
    "GRU-before": (GRU(4, reset_after=False, bidirectional=True, merge="mean"), _STEPS),
    "Direction": (Direction(cells.PeepholeLSTM(4), segment=3, learn_state=True), _STEPS),
    "Direction-last": (Direction(cells.LSTM(4), reverse=True, return_sequences=False), _STEPS),
    "Bidirectional": (Bidirectional(_LSTM, _GRU, "sum"), _STEPS),
}
LAYERS = RECURRENT | {
    "Activation": (Activation("softmax"), _STEPS),
    "Dense": (Dense(4, "gelu_tanh"), _STEPS),
    "Dense-sample": (Dense(4, "softmax", bias=False), _SAMPLE),
    "Dropout": (Dropout(0.3), _STEPS),
    "Embedding": (Embedding(3, 4), _TOKENS),
    "Embedding-zero": (Embedding(3, 4, mask_zero=True), _TOKENS),
    "Flip": (Flip(), _STEPS),
    "LayerNorm": (LayerNorm(), _STEPS),
    "LayerNorm-plain": (LayerNorm(gain=False, bias=False), _STEPS),
    "LayerNorm-unbiased": (LayerNorm(bias=False), _STEPS),
    "Masking": (Masking(), _STEPS),
    "Pooling-last": (Pooling("last"), _STEPS),
    "Pooling-mean": (Pooling("mean"), _STEPS),
    "Pooling-max": (Pooling("max"), _STEPS),
    "SequenceDropout": (SequenceDropout(0.3), _STEPS),
    "Sequential": (
        Sequential(Embedding(3, 4, mask_zero=True), LSTM(3), Dropout(0.3), GRU(3), Dense(2)),
        _TOKENS,
    ),
    "Sequential-bare": (Sequential(Sequential(Dropout(0.3)), Flip(), GRU(3, segment=2), Dense(2)), _STEPS),
    "Sequential-shared": (Sequential(_SHARED, RNN(3), _SHARED, Pooling("mean")), _STEPS),
    "TimeDistributed": (TimeDistributed(Dense(3, "tanh")), _STEPS),
}
