"""Keras's layers under Keras's names, with its arguments, made of this library's own.

What an argument asks for is done or refused, never passed over: ValueError for a value that Keras has and this library
has not, or that is wrong, TypeError for what is no argument. What is the same in every layer:

    input_shape:  one sample's shape without the batch, (3, 1) or (None, 1), for a model's first layer.
    name:         the layer's name in the model, and before its parameters.
    fixed:        Keras's other arguments, at the one value of each that there is (``arguments.py`` has the tables).

Initial weights have Keras's distributions, drawn gate by gate; but an Embedding's table starts from N(0, 1).
"""

from dataclasses import replace
from typing import Any

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
    layer = catalog.RNN(
        as_units("SimpleRNN", units), activation=own_activation("SimpleRNN", activation), bias=use_bias,
        recurrent_dropout=recurrent_dropout, return_sequences=return_sequences, reverse=go_backwards,
    )  # fmt: skip
    return run(layer, dropout, steps_shape(input_shape, input_dim, input_length), name)


def LSTM(
    units: int, activation: str = "tanh", recurrent_activation: str = "sigmoid", use_bias: bool = True, *,
    dropout: float = 0.0, recurrent_dropout: float = 0.0, return_sequences: bool = False, go_backwards: bool = False,
    input_shape: Shape | None = None, input_dim: int | None = None, input_length: int | None = None,
    name: str | None = None, **fixed: Any,
) -> Layer | Shaped:  # fmt: skip
    """Long short-term memory: ``cells.LSTM``.

    dropout, recurrent_dropout: rates of dropping inputs, and h on its way into the recurrent weights, with one mask a
                  sequence and batch.
    return_sequences: the output (B, T, units) of every step, not the last alone, (B, units). In padding it is 0.
    go_backwards: run from the end of each sequence, and give the outputs in the order in which they come.
    input_dim, input_length: the two parts of input_shape.
    """
    given = {"activation": activation, "recurrent_activation": recurrent_activation, **fixed}
    only("LSTM", given, GATED | {"unit_forget_bias": True})
    layer = catalog.LSTM(
        as_units("LSTM", units), bias=use_bias, recurrent_dropout=recurrent_dropout,
        return_sequences=return_sequences, reverse=go_backwards,
    )  # fmt: skip
    return run(layer, dropout, steps_shape(input_shape, input_dim, input_length), name)


def GRU(
    units: int, activation: str = "tanh", recurrent_activation: str = "sigmoid", use_bias: bool = True, *,
    dropout: float = 0.0, recurrent_dropout: float = 0.0, return_sequences: bool = False, go_backwards: bool = False,
    reset_after: bool = True, input_shape: Shape | None = None, input_dim: int | None = None,
    input_length: int | None = None, name: str | None = None, **fixed: Any,
) -> Layer | Shaped:  # fmt: skip
    """Gated recurrent unit: ``cells.GRU``, or without ``reset_after`` ``cells.GRUResetBefore``; the rest as in LSTM."""
    given = {"activation": activation, "recurrent_activation": recurrent_activation, **fixed}
    only("GRU", given, GATED)
    layer = catalog.GRU(
        as_units("GRU", units), reset_after=reset_after, bias=use_bias, recurrent_dropout=recurrent_dropout,
        return_sequences=return_sequences, reverse=go_backwards,
    )  # fmt: skip
    return run(layer, dropout, steps_shape(input_shape, input_dim, input_length), name)


def Bidirectional(
    layer: Layer | Shaped, merge_mode: str = "concat", *, input_shape: Shape | None = None, name: str | None = None,
    **fixed: Any,
) -> Layer | Shaped:  # fmt: skip
    """A SimpleRNN, LSTM or GRU in both directions, merged by "concat", "sum", "ave" or "mul".

    Of a ``dropout`` of inputs both directions see the same mask.
    """
    only("Bidirectional", fixed, ANY | {"backward_layer": None, "weights": None})
    inner = layer if isinstance(layer, Shaped) else Shaped((layer,))
    if not inner.layers or not isinstance(inner.layers[-1], Stack) or inner.layers[-1].bidirectional:
        raise TypeError(f"Bidirectional takes a SimpleRNN, LSTM or GRU that runs forwards, not {layer!r}")
    merges = {"concat": "concat", "sum": "sum", "ave": "mean", "mul": "mul"}
    if merge_mode not in merges:
        raise ValueError(f"Bidirectional(merge_mode={merge_mode!r}): it is one of {', '.join(merges)}")
    if inner.layers[-1].reverse:
        raise ValueError("Bidirectional(a layer with go_backwards=True) is not supported, only False")
    both = replace(inner.layers[-1], bidirectional=True, merge=merges[merge_mode])
    shape = inner.input_shape if input_shape is None else as_shape(input_shape)
    return shaped((*inner.layers[:-1], both), shape, name or inner.name)


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
    *, epsilon: float = 1e-3, input_shape: Shape | None = None, name: str | None = None, **fixed: Any
) -> Layer | Shaped:  # fmt: skip
    """Mean 0 and variance 1 over the last axis, then a gain and a bias."""
    kept = {"axis": -1, "center": True, "scale": True, "rms_scaling": False, "beta_initializer": "zeros",
            "gamma_initializer": "ones", "beta_regularizer": None, "gamma_regularizer": None, "beta_constraint": None,
            "gamma_constraint": None}  # fmt: skip
    only("LayerNormalization", fixed, ANY | kept)
    return shaped((catalog.LayerNorm(epsilon),), input_shape, name)


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
