"""Operators that are activations, and how an activation joins the layer before it."""

from dataclasses import replace

import numpy as np

from ....layers.activation import Activation
from ....layers.dense import Dense
from ....ops.activations import parse
from ..bends import NUMBERS, OPERATORS, short, spelled
from .flow import Call, Flow, NoLayerError, Step, by_step, check_features, instead

_STEMS = {op: stem for stem, op in OPERATORS.items()}


def softmax(call: Call) -> Flow:
    """The activation that goes over the features."""
    flow = call.flow()
    check_features(flow, call.given["axis"])
    return bent(flow, "softmax")


def activation(call: Call) -> Flow:
    """An operator that is an activation by itself."""
    stem = _STEMS[call.node.op]
    numbers = tuple(short(call.given[name]) for name in NUMBERS if name in call.given) if stem != "selu" else ()
    if stem == "selu" and not np.allclose([call.given["alpha"], call.given["gamma"]], [1.6732632, 1.0507010], 1e-6):
        raise NoLayerError("its alpha and gamma are not those of selu")
    return bent(call.flow(), spelled(stem, numbers))


def gelu(call: Call) -> Flow:
    """GELU itself, or its approximation."""
    return bent(call.flow(), "gelu_tanh" if call.given["approximate"] == "tanh" else "gelu")


def clip(call: Call) -> Flow:
    """What holds its input between two numbers, as far as that is an activation."""
    low, high = (_bound(call, *names) for names in (("low", "min", -np.inf), ("high", "max", np.inf)))
    if (low, high) == (-1, 1):
        return bent(call.flow(), "hard_tanh")
    if (low, high) == (0, np.inf):
        return bent(call.flow(), "relu")
    if low != -high or not 0 < high < np.inf:
        raise NoLayerError(f"it holds its input between {low} and {high}")
    return bent(call.flow(), spelled("identity", (), high))


def bent(flow: Flow, name: str) -> Flow:
    """``flow`` with an activation: that of the dense layer before it, if there is one without."""
    last, held = flow.made_by, None
    dirty = not (flow.padded and flow.padding.theirs == 0)
    before = last.layer if last and dirty else None
    known = before.activation if isinstance(before, Dense) else before.name if isinstance(before, Activation) else None
    if known not in (None, "softmax") and name != "softmax" and parse(name).bound is None:
        bound, stem, _ = parse(known)
        held = bound if stem in ("identity", "linear") else None
    if held is not None:
        name = spelled(parse(name).stem, parse(name).numbers, held)
    if last and isinstance(before, Dense) and (known is None or held is not None):
        return instead(flow, replace(last, layer=replace(before, activation=name)))
    if last and held is not None:
        return instead(flow, replace(last, layer=Activation(name)))
    return by_step(flow, Step(Activation(name), {}, (), True))


def _bound(call: Call, given: str, attribute: str, default: float) -> float:
    number = call.weight(given) if call.given[given] is not None else call.given[attribute]
    return default if number is None else short(number)


TABLE = {"Clip": clip, "Gelu": gelu, "Softmax": softmax, **dict.fromkeys(_STEMS, activation)}
