"""What the Keras-shaped layers share: their arguments, the values that these can have, and what is made of them."""

import numbers
from dataclasses import dataclass, replace
from typing import Any

from ..ops import activations
from ..types import Shape
from . import catalog
from .base import Layer
from .recurrent import Stack

ACTIVATIONS = {
    "linear": "identity", "elu": "elu", "celu": "elu", "exponential": "exp", "gelu": "gelu",
    "hard_sigmoid": "hard_sigmoid", "hard_tanh": "hard_tanh", "leaky_relu": "leaky_relu(0.2)", "relu": "relu",
    "selu": "selu", "sigmoid": "sigmoid", "silu": "silu", "softmax": "softmax", "softplus": "softplus",
    "softsign": "softsign", "swish": "silu", "tanh": "tanh",
}  # fmt: skip

# Arguments with one value that can be had.
ANY: dict[str, Any] = {"activity_regularizer": None, "dtype": None, "trainable": True}
WEIGHTS: dict[str, Any] = ANY | {
    "kernel_initializer": "glorot_uniform", "kernel_regularizer": None, "kernel_constraint": None,
    "bias_initializer": "zeros", "bias_regularizer": None, "bias_constraint": None,
}  # fmt: skip
RECURRENT: dict[str, Any] = WEIGHTS | {
    "recurrent_initializer": "orthogonal", "recurrent_regularizer": None, "recurrent_constraint": None,
    "return_state": False, "stateful": False, "unroll": False, "seed": None, "zero_output_for_mask": True,
}  # fmt: skip
GATED: dict[str, Any] = RECURRENT | {"use_cudnn": "auto"}
REASONS = {
    "embeddings_initializer": "the table starts from N(0, 1)",
    "return_state": "xprnn.Model.forward returns the states",
    "seed": "the model has one, Sequential(seed=...)",
    "stateful": "xprnn.Model.stream carries the state from call to call",
    "unit_forget_bias": "the forget gate's bias starts at 1",
    "zero_output_for_mask": "outputs in padding are 0",
}


@dataclass(frozen=True)
class Shaped:
    """Layers that stand for one of Keras's, one sample's shape and a name; ``models.Sequential`` takes it apart."""

    layers: tuple[Layer, ...]
    input_shape: Shape | None = None
    name: str | None = None


def only(layer: str, given: dict[str, Any], kept: dict[str, Any]) -> None:
    """Raise TypeError for an argument that is not in ``kept``, ValueError for another value than stands there."""
    for name, value in given.items():
        if name not in kept:
            raise TypeError(f"{layer} has no argument {name!r}")
        if type(value) is not type(kept[name]) or value != kept[name]:
            reason = f": {REASONS[name]}" if name in REASONS else ""
            raise ValueError(f"{layer}({name}={value!r}) is not supported, only {kept[name]!r}{reason}")


def own_activation(layer: str, name: str | None, argument: str = "activation") -> str:
    """This library's name of Keras's activation, or of its own with numbers, "leaky_relu(0.3)"."""
    if name is None:
        return "identity"
    if isinstance(name, str) and name in ACTIVATIONS:
        return ACTIVATIONS[name]
    if isinstance(name, str) and name.endswith(")"):
        return activations.get(name).name
    known = ", ".join(ACTIVATIONS)
    raise ValueError(f"{layer}({argument}={name!r}) is not supported; there are {known}, and any of ops with numbers")


def run(
    layer: Stack, dropout: float, recurrent_dropout: float, return_sequences: bool, go_backwards: bool,
    shape: Shape | None, name: str | None,
) -> Layer | Shaped:  # fmt: skip
    """A recurrent layer with Keras's options: the dropout of its input before it, its output in Keras's order."""
    before = (catalog.SequenceDropout(dropout),) if dropout else ()
    after = (catalog.Flip(),) if go_backwards and return_sequences else ()
    done = replace(layer, recurrent_dropout=recurrent_dropout, return_sequences=return_sequences, reverse=go_backwards)
    return shaped((*before, done, *after), shape, name)


def shaped(layers: tuple[Layer, ...], shape: Shape | None, name: str | None) -> Layer | Shaped:
    """The layer itself where there is nothing to say along with it."""
    if len(layers) == 1 and shape is None and name is None:
        return layers[0]
    return Shaped(layers, None if shape is None else as_shape(shape), name)


def steps_shape(shape: Shape | None, features: int | None, length: int | None) -> Shape | None:
    """The shape of ``features`` at ``length`` steps, where no shape is given."""
    return (length, features) if shape is None and features is not None else shape


def as_shape(shape: Any) -> Shape:
    """``shape`` as a tuple of integers above 0 and Nones."""
    fits = isinstance(shape, (tuple, list)) and all(n is None or (isinstance(n, int) and n > 0) for n in shape)
    if not fits:
        raise ValueError(f"input_shape={shape!r}: wanted one sample's shape without the batch, such as (3, 1)")
    return tuple(shape)


def as_units(layer: str, units: Any) -> int:
    """``units`` as an integer above 0."""
    if isinstance(units, bool) or not isinstance(units, numbers.Integral) or units < 1:
        raise ValueError(f"{layer}(units={units!r}): wanted an integer above 0")
    return int(units)
