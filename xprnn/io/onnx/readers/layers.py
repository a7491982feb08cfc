"""Operators with weights that see each step by itself: products, tables, norms."""

from dataclasses import replace
from typing import Any

import numpy as np

from ....layers.dense import Dense
from ....layers.embedding import Embedding
from ....layers.layer_norm import LayerNorm
from ..bends import short
from .flow import Call, Flow, NoLayerError, Padding, Step, by_step, check_features, instead
from .labels import FEATURE, INNER
from .merges import halved, of_both


def matmul(call: Call) -> Flow:
    """x W"""
    return _dense(call.flow("a"), call.weight("b"), call.names["b"])


def gemm(call: Call) -> Flow:
    """x W + b, W as it is or turned."""
    flow, w = call.flow("a"), call.weight("b")
    if (call.given["alpha"], call.given["transA"]) != (1, 0) or len(flow.axes) != 2:
        raise NoLayerError("it scales or turns its input")
    made = _dense(flow, w.T if call.given["transB"] else w, call.names["b"])
    if call.given["c"] is None:
        return made
    if call.given["beta"] != 1:
        raise NoLayerError("it scales its bias")
    return _biased(made, call.weight("c"), call.names["c"])


def embedding(call: Call) -> Flow:
    """The rows of a table that ids name."""
    flow, table = call.flow("indices"), call.weight("x")
    if not flow.ids or table.ndim != 2 or call.given["axis"] not in (0, -2):
        raise NoLayerError("it takes what are no rows of a table")
    made = by_step(flow, Step(Embedding(*table.shape), {"W": table}, (call.names["x"],)), table.shape[1])
    made = made._replace(axes=(*flow.axes, FEATURE))
    return made._replace(padding=Padding(True, None, False)) if made.padded and INNER not in flow.axes else made


def add(call: Call) -> Flow:
    """A bias, or the sum of two directions."""
    if all(isinstance(value, Flow) for value in call.inputs):
        return of_both(call)
    flow, b, name = _with_constant(call)
    return _biased(flow, b, name)


def multiply(call: Call) -> Flow:
    """A norm's gain, half the sum of two directions, or their product."""
    if all(isinstance(value, Flow) for value in call.inputs):
        return of_both(call)
    flow, g, name = _with_constant(call)
    last = flow.made_by
    if last and isinstance(last.layer, LayerNorm) and not last.layer.gain and not last.layer.bias:
        return instead(flow, _more(flow, last, replace(last.layer, gain=True), {"g": _vector(flow, g)}, name))
    if g.size == 1 and g.reshape(()) == 0.5:
        return halved(flow)
    raise NoLayerError("it scales what no norm gives")


def layer_norm(call: Call) -> Flow:
    """A norm over the features."""
    flow, names = call.flow(), [call.names["scale"]]
    check_features(flow, call.given["axis"])
    params = {"g": _vector(flow, call.weight("scale"))}
    if call.given["bias"] is not None:
        params["b"] = _vector(flow, call.weight("bias"))
        names.append(call.names["bias"])
    layer = LayerNorm(short(call.given["epsilon"]), bias="b" in params)
    return by_step(flow, Step(layer, params, tuple(names), True))


def normed(flow: Flow, epsilon: np.ndarray) -> Flow:
    """``flow`` with a norm that has neither gain nor bias."""
    return by_step(flow, Step(LayerNorm(short(epsilon), gain=False, bias=False), {}, (), True))


def _dense(flow: Flow, w: np.ndarray, name: str) -> Flow:
    if w.ndim != 2 or flow.axes[-1] != FEATURE or flow.ids or flow.sizes[FEATURE] != w.shape[0]:
        raise NoLayerError(f"it multiplies ({', '.join(flow.axes)}) by an array of shape {w.shape}")
    return by_step(flow, Step(Dense(w.shape[1], None, False), {"W": w}, (name,), True), w.shape[1])


def _biased(flow: Flow, b: np.ndarray, name: str) -> Flow:
    """The bias of the layer before, which has none yet."""
    last = flow.made_by
    if last and isinstance(last.layer, Dense) and not last.layer.bias and last.layer.activation is None:
        return instead(flow, _more(flow, last, replace(last.layer, bias=True), {"b": _vector(flow, b)}, name))
    if last and isinstance(last.layer, LayerNorm) and not last.layer.bias:
        return instead(flow, _more(flow, last, replace(last.layer, bias=True), {"b": _vector(flow, b)}, name))
    raise NoLayerError("it adds a constant to what is no product with weights and no norm")


def _more(flow: Flow, last: Step, layer: Any, params: dict, name: str) -> Step:
    """The last layer with another parameter."""
    if flow.padded and flow.padding.theirs == 0:
        raise NoLayerError("it changes the 0 in padding")
    return Step(layer, last.params | params, (*last.weights, name), True)


def _vector(flow: Flow, array: np.ndarray) -> np.ndarray:
    """A parameter for each feature, which stand on the last axis."""
    width = flow.sizes[FEATURE]
    if flow.axes[-1] != FEATURE or array.size not in (1, width) or array.shape[-1:] not in ((), (1,), (width,)):
        raise NoLayerError(f"its constant is of shape {array.shape}; there are {width} features")
    return np.broadcast_to(array.reshape(-1), (width,))


def _with_constant(call: Call) -> tuple[Flow, np.ndarray, str]:
    """An operation's input that layers made, and the other, a constant, with its name."""
    for n, value in enumerate(call.inputs):
        if isinstance(value, Flow) and len(call.inputs) == 2 and isinstance(call.inputs[1 - n], np.ndarray):
            return value, call.inputs[1 - n], call.node.inputs[1 - n]
    raise NoLayerError("it reckons with what no layer gives")


TABLE = {
    "Add": add, "Gemm": gemm, "LayerNormalization": layer_norm, "MatMul": matmul, "Mean": of_both, "Mul": multiply,
    "Sum": of_both,
}  # fmt: skip
