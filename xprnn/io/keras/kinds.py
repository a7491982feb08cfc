"""One layer of Keras's from its description: a table of classes, made by the Keras-shaped functions of ``layers``.

What only training there would use is left behind: initializers, regularizers, constraints, seeds, what is trainable.
So is what says how and not what is computed: unrolling, fused kernels, and whether Keras keeps the state for the next
call (``stateful``): here ``Model.forward`` and ``Model.stream`` take it and give it.
"""

import inspect
from collections.abc import Callable
from typing import Any

from ... import layers
from ...layers.arguments import Shaped
from ...layers.base import Layer

LEFT = (
    "name", "trainable", "dtype", "seed", "stateful", "unroll", "implementation", "unit_forget_bias",
    "zero_output_for_mask",
)  # fmt: skip
LEFT_ENDINGS = ("_initializer", "_regularizer", "_constraint")
KINDS: dict[str, Callable[..., Layer | Shaped]] = {
    kind.__name__: kind
    for kind in (
        layers.Activation, layers.Bidirectional, layers.Dense, layers.Dropout, layers.Embedding, layers.GRU,
        layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D, layers.LSTM, layers.LayerNormalization,
        layers.Masking, layers.SimpleRNN, layers.SpatialDropout1D, layers.TimeDistributed,
    )
}  # fmt: skip


def layer(described: dict[str, Any]) -> Layer | Shaped:
    """The layer of a description {"class_name": ..., "config": {...}}. Raises ValueError for what there is not."""
    kind, config = described["class_name"], described["config"]
    if kind in BENDS:
        return layers.Activation(bend(described))
    if kind not in KINDS:
        raise ValueError(f"there is no {kind} here, only {', '.join(sorted(KINDS.keys() | BENDS.keys()))}")
    make = KINDS[kind]
    known = inspect.signature(make).parameters
    asked = {name: value for name, value in config.items() if not _left(name, value, known)}
    try:
        made = make(**{name: _value(name, value, known.get(name)) for name, value in asked.items()})
        if isinstance(made, Shaped) and made.input_shape is not None:
            raise TypeError("a shape is the input's alone")
    except TypeError as error:
        raise ValueError(f"{config.get('name')!r} is no {kind} as it is known here: {error}") from error
    return made


def bend(described: Any) -> Any:
    """The activation that a layer's argument names; where it is a layer itself, by its name here, with its numbers."""
    if not isinstance(described, dict):
        return described
    kind = described.get("class_name")
    if kind not in BENDS:
        raise ValueError(f"there is no activation {kind or 'in code'} here")
    return BENDS[kind](described["config"])


def _left(name: str, value: Any, known: Any) -> bool:
    """Whether an argument is left behind. None, where it is not known here, asks for nothing."""
    return name in LEFT or name.endswith(LEFT_ENDINGS) or (value is None and name not in known)


def _value(name: str, value: Any, parameter: inspect.Parameter | None) -> Any:
    """What ``layers`` takes for what Keras has written."""
    if name in ("activation", "recurrent_activation"):
        return bend(value)
    if name in ("layer", "backward_layer"):
        return layer({**value, "config": {**value["config"], "name": None}})
    if name == "axis" and value in ([-1], (-1,)):
        return -1
    default, flag = None if parameter is None else parameter.default, isinstance(value, bool)
    fits = flag if isinstance(default, bool) else not flag and isinstance(value, (int, float))
    if isinstance(default, (bool, float)) and not fits:
        raise TypeError(f"{name}={value!r}")
    return value


def _relu(config: dict[str, Any]) -> str:
    slope, threshold = float(config["negative_slope"]), float(config["threshold"])
    if config["max_value"] is not None or (slope and threshold):
        raise ValueError("there is no ReLU with a max_value here, nor one with a negative_slope and a threshold")
    return f"thresholded_relu({threshold})" if threshold else f"leaky_relu({slope})" if slope else "relu"


def _softmax(config: dict[str, Any]) -> str:
    if config["axis"] not in (-1, [-1], (-1,)):
        raise ValueError(f"there is only a Softmax(axis=-1) here, not {config['axis']!r}")
    return "softmax"


# Keras's layers that are activations -> the name of what they compute.
BENDS: dict[str, Callable[[dict[str, Any]], str]] = {
    "ELU": lambda config: f"elu({float(config['alpha'])})",
    "LeakyReLU": lambda config: f"leaky_relu({float(config['negative_slope'])})",
    "ReLU": _relu,
    "Softmax": _softmax,
}
