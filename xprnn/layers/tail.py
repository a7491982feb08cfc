"""The activation that a model ends with, and the model without it: what stands between probabilities and logits."""

from dataclasses import replace

from .activation import Activation
from .base import Layer
from .dense import Dense
from .sequential import Sequential
from .time_distributed import TimeDistributed


def tail(layer: Layer) -> str | None:
    """The activation that ``layer`` ends with, in a Dense or Activation layer; None for the identity."""
    if isinstance(layer, Sequential):
        return tail(layer.layers[-1]) if layer.layers else None
    if isinstance(layer, TimeDistributed):
        return tail(layer.layer)
    name = layer.activation if isinstance(layer, Dense) else layer.name if isinstance(layer, Activation) else None
    return None if name in ("identity", "linear") else name


def bare(layer: Layer) -> Layer:
    """``layer`` with the identity where ``tail`` stands: the parameters have the same names and shapes."""
    if isinstance(layer, Sequential):
        return Sequential(*layer.layers[:-1], bare(layer.layers[-1]), names=layer.names) if layer.layers else layer
    if isinstance(layer, TimeDistributed):
        return replace(layer, layer=bare(layer.layer))
    if isinstance(layer, Dense):
        return replace(layer, activation=None)
    return replace(layer, name="identity") if isinstance(layer, Activation) else layer
