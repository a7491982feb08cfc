"""Keras's layers under Keras's names, with its arguments, made of this library's own.

What an argument asks for is done or refused, never passed over: ValueError for a value that Keras has and this library
has not, or that is wrong, TypeError for what is no argument. What is the same in every layer:

    input_shape:  one sample's shape without the batch, (3, 1) or (None, 1), for a model's first layer.
    name:         the layer's name in the model, and before its parameters.
    fixed:        Keras's other arguments, at the one value of each that there is (``arguments.py`` has the tables).

Initial weights have Keras's distributions, drawn gate by gate; but an Embedding's table starts from N(0, 1).
"""

from dataclasses import fields, replace
from typing import Any

from .. import cells
from ..types import Shape
from . import catalog
from .arguments import (
    ANY,
    GATED,
    RECURRENT,
    WEIGHTS,
    Shaped,
    as_shape,
    as_units,
    only,
    own_activation,
    run,
    shaped,
    steps_shape,
)
from .base import Layer
from .recurrent import Stack

USUAL = ("sigmoid", "tanh")  # the activations of the gates and of the candidate that the plain cells have
MERGES = {"concat": "concat", "sum": "sum", "ave": "mean", "mul": "mul"}  # Keras's names of what ours are called


def Input(shape: Shape, *, name: str | None = None, **fixed: Any) -> Shaped:
    """The shape of one sample, as a model's first element: Input(shape=(3, 1))."""
    only("Input", fixed, dict.fromkeys(("batch_size", "batch_shape", "dtype", "sparse", "tensor")))
    return Shaped((), as_shape(shape), name)


def SimpleRNN(
    units: int, activation: str | None = "tanh", use_bias: bool = True, *, dropout: float = 0.0,
    recurrent_dropout: float = 0.0, return_sequences: bool = False, go_backwards: bool = False,
    input_shape: Shape | None = None, input_dim: int | None = None, input_length: int | None = None,
    name: str | None = None, **fixed: Any,
) -> Layer | Shaped:  # fmt: skip
    """Elman's network: ``cells.RNN``; the arguments are those of ``LSTM`` below, ``activation`` any that ops offers."""
    only("SimpleRNN", fixed, RECURRENT)
    layer = catalog.RNN(as_units("SimpleRNN", units), activation=own_activation("SimpleRNN", activation), bias=use_bias)
    shape = steps_shape(input_shape, input_dim, input_length)
    return run(layer, dropout, recurrent_dropout, return_sequences, go_backwards, shape, name)


def LSTM(
    units: int, activation: str | None = "tanh", recurrent_activation: str | None = "sigmoid", use_bias: bool = True, *,
    dropout: float = 0.0, recurrent_dropout: float = 0.0, return_sequences: bool = False, go_backwards: bool = False,
    input_shape: Shape | None = None, input_dim: int | None = None, input_length: int | None = None,
    name: str | None = None, **fixed: Any,
) -> Layer | Shaped:  # fmt: skip
    """Long short-term memory: ``cells.LSTM``, or with other activations than its own ``cells.GeneralLSTM``.

    activation:   of the candidate and of the state on its way out; recurrent_activation: of the gates.
    dropout, recurrent_dropout: rates of dropping inputs, and h on its way into the recurrent weights, with one mask a
                  sequence and batch.
    return_sequences: the output (B, T, units) of every step, not the last alone, (B, units). In padding it is 0.
    go_backwards: run from the end of each sequence, and give the outputs in the order in which they come.
    input_dim, input_length: the two parts of input_shape.
    """
    only("LSTM", fixed, GATED | {"unit_forget_bias": True})
    hidden, (gate, bend) = as_units("LSTM", units), _bends("LSTM", recurrent_activation, activation)
    layer: Stack = catalog.LSTM(hidden, bias=use_bias)
    if (gate, bend) != USUAL:
        layer = catalog.Recurrent(cells.GeneralLSTM(hidden, (gate, bend, bend), bias=use_bias))
    shape = steps_shape(input_shape, input_dim, input_length)
    return run(layer, dropout, recurrent_dropout, return_sequences, go_backwards, shape, name)


def GRU(
    units: int, activation: str | None = "tanh", recurrent_activation: str | None = "sigmoid", use_bias: bool = True, *,
    dropout: float = 0.0, recurrent_dropout: float = 0.0, return_sequences: bool = False, go_backwards: bool = False,
    reset_after: bool = True, input_shape: Shape | None = None, input_dim: int | None = None,
    input_length: int | None = None, name: str | None = None, **fixed: Any,
) -> Layer | Shaped:  # fmt: skip
    """Gated recurrent unit: ``cells.GRU``, without ``reset_after`` ``cells.GRUResetBefore``; the rest as in LSTM.

    With other activations than its own it is ``cells.GeneralGRU``.
    """
    only("GRU", fixed, GATED)
    hidden, bends = as_units("GRU", units), _bends("GRU", recurrent_activation, activation)
    layer: Stack = catalog.GRU(hidden, reset_after=reset_after, bias=use_bias)
    if bends != USUAL:
        layer = catalog.Recurrent(cells.GeneralGRU(hidden, bends, reset_after, use_bias))
    shape = steps_shape(input_shape, input_dim, input_length)
    return run(layer, dropout, recurrent_dropout, return_sequences, go_backwards, shape, name)


def _bends(layer: str, gates: str | None, candidate: str | None) -> tuple[str, str]:
    """This library's names of the activations of the gates and of the candidate."""
    return own_activation(layer, gates, "recurrent_activation"), own_activation(layer, candidate)


def Bidirectional(
    layer: Layer | Shaped, merge_mode: str = "concat", *, backward_layer: Layer | Shaped | None = None,
    input_shape: Shape | None = None, name: str | None = None, **fixed: Any,
) -> Layer | Shaped:  # fmt: skip
    """A SimpleRNN, LSTM or GRU in both directions, merged by "concat", "sum", "ave" or "mul".

    backward_layer: what runs backwards, if it is not ``layer`` too: of any kind and width, with go_backwards=True and
    otherwise the same options. Of a ``dropout`` of inputs both directions see the same mask.
    """
    only("Bidirectional", fixed, ANY | {"weights": None})
    before, front = _direction(layer, False)
    if merge_mode not in MERGES:
        raise ValueError(f"Bidirectional(merge_mode={merge_mode!r}): it is one of {', '.join(MERGES)}")
    both = replace(front, bidirectional=True, merge=MERGES[merge_mode])
    if backward_layer is not None:
        before_back, back = _direction(backward_layer, True)
        options = {field.name: getattr(both, field.name) for field in fields(Stack)}
        alike = replace(back, reverse=False, bidirectional=True, merge=both.merge)
        differs = [name for name in options if getattr(alike, name) != options[name]]
        if differs or before != before_back:
            raise ValueError(f"Bidirectional wants two layers of the same {differs[0] if differs else 'dropout'}")
        if back.cell_stack() != front.cell_stack():
            both = catalog.Recurrent(front.cell_stack(), back.cell_stack(), **options)
    given = layer if isinstance(layer, Shaped) else Shaped(())
    shape = given.input_shape if input_shape is None else as_shape(input_shape)
    return shaped((*before, both), shape, name or given.name)


def _direction(given: Layer | Shaped, backwards: bool) -> tuple[tuple[Layer, ...], Stack]:
    """The dropout before a recurrent layer, and the layer."""
    parts = given.layers if isinstance(given, Shaped) else (given,)
    stack = next((part for part in parts if isinstance(part, Stack)), None)
    if stack is None or stack.bidirectional:
        way = "backwards" if backwards else "forwards"
        raise TypeError(f"Bidirectional takes a SimpleRNN, LSTM or GRU that runs {way}, not {given!r}")
    if stack.reverse is not backwards:
        what = "a backward_layer" if backwards else "a layer"
        raise ValueError(f"Bidirectional({what} with go_backwards={stack.reverse}) is not supported, only {backwards}")
    return parts[: parts.index(stack)], stack


def Dense(
    units: int, activation: str | None = None, use_bias: bool = True, *, input_shape: Shape | None = None,
    input_dim: int | None = None, name: str | None = None, **fixed: Any,
) -> Layer | Shaped:  # fmt: skip
    """y = f(x W + b), each step alike; input_dim=3 is input_shape=(3,)."""
    only("Dense", fixed, WEIGHTS)
    bend = None if activation is None else own_activation("Dense", activation)
    shape = (input_dim,) if input_dim is not None and input_shape is None else input_shape
    return shaped((catalog.Dense(units, bend, use_bias),), shape, name)


def Embedding(
    input_dim: int, output_dim: int, *, mask_zero: bool = False, input_length: int | None = None,
    input_shape: Shape | None = None, name: str | None = None, **fixed: Any,
) -> Layer | Shaped:  # fmt: skip
    """A row of a table (input_dim, output_dim) for each token id; with ``mask_zero`` the id 0 is padding."""
    kept = {"embeddings_initializer": None, "embeddings_regularizer": None, "embeddings_constraint": None}
    only("Embedding", fixed, ANY | kept)
    shape = (input_length,) if input_length is not None and input_shape is None else input_shape
    return shaped((catalog.Embedding(input_dim, output_dim, mask_zero),), shape, name)


def Dropout(
    rate: float, *, input_shape: Shape | None = None, name: str | None = None, **fixed: Any
) -> Layer | Shaped:  # fmt: skip
    """Drop each element with probability ``rate`` in training."""
    only("Dropout", fixed, ANY | {"noise_shape": None, "seed": None})
    return shaped((catalog.Dropout(rate),), input_shape, name)


def SpatialDropout1D(
    rate: float, *, input_shape: Shape | None = None, name: str | None = None, **fixed: Any
) -> Layer | Shaped:  # fmt: skip
    """Drop each feature with probability ``rate`` in training, at all steps of a sequence or none."""
    only("SpatialDropout1D", fixed, ANY | {"seed": None})
    return shaped((catalog.SequenceDropout(rate),), input_shape, name)


def Activation(
    activation: str, *, input_shape: Shape | None = None, name: str | None = None, **fixed: Any
) -> Layer | Shaped:  # fmt: skip
    """y = f(x); "softmax" over the last axis."""
    only("Activation", fixed, ANY)
    return shaped((catalog.Activation(own_activation("Activation", activation)),), input_shape, name)


def TimeDistributed(
    layer: Layer | Shaped, *, input_shape: Shape | None = None, name: str | None = None, **fixed: Any
) -> Layer | Shaped:  # fmt: skip
    """``layer`` on each step by itself; ``input_shape`` is given here, with the steps in it, not to ``layer``."""
    only("TimeDistributed", fixed, ANY)
    if isinstance(layer, Shaped):
        if len(layer.layers) != 1 or layer.input_shape is not None:
            raise ValueError(f"TimeDistributed takes one layer, and input_shape itself: not {layer!r}")
        name = name or layer.name
    each = layer.layers[0] if isinstance(layer, Shaped) else layer
    return shaped((catalog.TimeDistributed(each),), input_shape, name)


def Masking(
    mask_value: float = 0.0, *, input_shape: Shape | None = None, name: str | None = None, **fixed: Any
) -> Layer | Shaped:  # fmt: skip
    """Steps whose features all equal ``mask_value`` become padding."""
    only("Masking", fixed, ANY)
    return shaped((catalog.Masking(mask_value),), input_shape, name)


def LayerNormalization(
    *, epsilon: float = 1e-3, center: bool = True, scale: bool = True, input_shape: Shape | None = None,
    name: str | None = None, **fixed: Any,
) -> Layer | Shaped:  # fmt: skip
    """Mean 0 and variance 1 over the last axis, then a gain, if ``scale``, and a bias, if ``center``."""
    kept = {"axis": -1, "rms_scaling": False, "beta_initializer": "zeros", "gamma_initializer": "ones",
            "beta_regularizer": None, "gamma_regularizer": None, "beta_constraint": None,
            "gamma_constraint": None}  # fmt: skip
    only("LayerNormalization", fixed, ANY | kept)
    return shaped((catalog.LayerNorm(epsilon, scale, center),), input_shape, name)


def GlobalAveragePooling1D(
    *, input_shape: Shape | None = None, name: str | None = None, **fixed: Any
) -> Layer | Shaped:  # fmt: skip
    """The mean over the real steps: (B, T, D) becomes (B, D)."""
    only("GlobalAveragePooling1D", fixed, ANY | {"data_format": "channels_last", "keepdims": False})
    return shaped((catalog.Pooling("mean"),), input_shape, name)


def GlobalMaxPooling1D(
    *, input_shape: Shape | None = None, name: str | None = None, **fixed: Any
) -> Layer | Shaped:  # fmt: skip
    """The maximum over the real steps (Keras's takes in padding as well): (B, T, D) becomes (B, D)."""
    only("GlobalMaxPooling1D", fixed, ANY | {"data_format": "channels_last", "keepdims": False})
    return shaped((catalog.Pooling("max"),), input_shape, name)
