"""Which class of torch.nn is which layer: one table."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ... import cells
from ...layers.activation import Activation
from ...layers.base import Layer
from ...layers.dense import Dense
from ...layers.direction import Direction
from ...layers.dropout import Dropout
from ...layers.embedding import Embedding
from ...layers.layer_norm import LayerNorm
from ...layers.recurrent import GRU, LSTM, RNN, Recurrent


class Known(NamedTuple):
    """What a class of torch.nn becomes: its layer, the features that it wants, and options that have one value."""

    layer: Callable[[Any], Layer]
    features: Callable[[Any], int] | None = None
    only: Mapping[str, Any] = {}


def _options(m: Any) -> dict[str, Any]:
    return {"num_layers": m.num_layers, "bidirectional": m.bidirectional, "dropout": float(m.dropout), "bias": m.bias}


def _lstm(m: Any) -> Layer:
    if not m.proj_size:
        return LSTM(m.hidden_size, **_options(m), double_bias=m.bias)
    cell = cells.ProjectedLSTM(m.hidden_size, m.proj_size, m.bias, m.bias)
    return Recurrent((cell,) * m.num_layers, bidirectional=m.bidirectional, dropout=float(m.dropout))


def _norm(m: Any) -> Layer:
    if len(m.normalized_shape) != 1:
        raise ValueError(f"it is over {len(m.normalized_shape)} axes, and only the last can be normalized")
    return LayerNorm(m.eps, m.weight is not None, m.bias is not None)


def _rnn(m: Any) -> Layer:
    return RNN(m.hidden_size, **_options(m), activation=m.nonlinearity, double_bias=m.bias)


def _features(m: Any) -> int:
    return m.input_size


def _named(name: str, **only: Any) -> Known:
    """An activation that has one of our names."""
    return Known(lambda m: Activation(name), only=only)


KNOWN = {
    "RNN": Known(_rnn, _features),
    "LSTM": Known(_lstm, _features),
    "GRU": Known(lambda m: GRU(m.hidden_size, **_options(m)), _features),
    "RNNCell": Known(lambda m: Direction(cells.RNN(m.hidden_size, m.nonlinearity, m.bias, m.bias)), _features),
    "LSTMCell": Known(lambda m: Direction(cells.LSTM(m.hidden_size, m.bias, m.bias)), _features),
    "GRUCell": Known(lambda m: Direction(cells.GRU(m.hidden_size, m.bias)), _features),
    "Linear": Known(lambda m: Dense(m.out_features, bias=m.bias is not None), lambda m: m.in_features),
    "Embedding": Known(
        lambda m: Embedding(m.num_embeddings, m.embedding_dim), only={"max_norm": None, "scale_grad_by_freq": False}
    ),
    "LayerNorm": Known(_norm, lambda m: m.normalized_shape[0]),
    "Dropout": Known(lambda m: Dropout(float(m.p))),
    "LeakyReLU": Known(lambda m: Activation(f"leaky_relu({float(m.negative_slope)})")),
    "ELU": Known(lambda m: Activation(f"elu({float(m.alpha)})")),
    "GELU": Known(lambda m: Activation({"none": "gelu", "tanh": "gelu_tanh"}[m.approximate])),
    "Hardsigmoid": _named("hard_sigmoid"),
    "Hardtanh": _named("hard_tanh", min_val=-1.0, max_val=1.0),
    "Identity": _named("identity"),
    "ReLU": _named("relu"),
    "SELU": _named("selu"),
    "SiLU": _named("silu"),
    "Sigmoid": _named("sigmoid"),
    "Softmax": _named("softmax", dim=-1),
    "Softplus": _named("softplus", beta=1.0, threshold=20.0),
    "Softsign": _named("softsign"),
    "Tanh": _named("tanh"),
}
CONTAINERS = ("Sequential", "Module")  # ModuleList and ModuleDict have Module's forward
REASONS = {
    "Dropout1d": "which axis it drops whole depends on how the module calls it",
    "Flatten": "a Model keeps time and features apart",
    "LogSoftmax": "losses here take logits or probabilities",
}
