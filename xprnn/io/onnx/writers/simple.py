"""Layers that see each step by itself: they work on the last axis, whatever stands before it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ....layers.activation import Activation
from ....layers.base import Layer
from ....layers.dense import Dense
from ....layers.dropout import Dropout
from ....layers.embedding import Embedding
from ....layers.layer_norm import LayerNorm
from ....layers.sequence_dropout import SequenceDropout
from ....ops.activations import parse
from ....types import Params, State
from ..bends import COMPOSED, NUMBERS, OPERATORS, X, numbered
from .draft import Draft, Value, join
from .padding import clean


class Place(NamedTuple):
    """A layer to be written: where it stands in the model, its parameters, and the names of its state, if given."""

    path: str
    params: Params
    state: State = None


Writer = Callable[[Draft, Any, Place, Value], tuple[Value, State]]


def dense(draft: Draft, layer: Dense, at: Place, x: Value) -> tuple[Value, State]:
    """f(x W + b)"""
    y = draft.add("MatMul", (clean(draft, x, at.path).name, draft.weight(join(at.path, "W"), at.params["W"])), at.path)
    if layer.bias:
        y = draft.add("Add", (y, draft.weight(join(at.path, "b"), at.params["b"])), at.path)
    return Value(bend(draft, layer.activation, y, at.path), (*x.shape[:-1], layer.units), x.masked), ()


def embedding(draft: Draft, layer: Embedding, at: Place, x: Value) -> tuple[Value, State]:
    """W[id], and 0 in padding, where ids may be anything."""
    if layer.mask_zero:
        raise ValueError(f"ONNX has no padding that is told by an id, so not {layer}; lengths=True tells it otherwise")
    table = draft.weight(join(at.path, "W"), at.params["W"])
    y = draft.add("Gather", (table, clean(draft, x, at.path).name), at.path)
    return clean(draft, Value(y, (*x.shape, layer.units), x.masked), at.path), ()


def activation(draft: Draft, layer: Activation, at: Place, x: Value) -> tuple[Value, State]:
    """f(x)"""
    return Value(bend(draft, layer.name, clean(draft, x, at.path).name, at.path), x.shape, x.masked), ()


def layer_norm(draft: Draft, layer: LayerNorm, at: Place, x: Value) -> tuple[Value, State]:
    """ONNX's operator, which has a gain, and may reckon in float32 only; else it is put together from parts."""
    whole = layer.gain and draft.dtype == "float32"
    return Value(
        (_norm if whole else _norm_in_parts)(draft, layer, at, clean(draft, x, at.path).name), x.shape, x.masked
    ), ()


def nothing(draft: Draft, layer: Dropout | SequenceDropout, at: Place, x: Value) -> tuple[Value, State]:
    """Dropout is there in training only."""
    return x, ()


def bend(draft: Draft, name: str | None, x: str, path: str) -> str:
    """f(x) for the activation called ``name``, "softmax" or None."""
    if name is None:
        return x
    if name == "softmax":
        return draft.add("Softmax", (x,), path, {"axis": -1})
    bound, stem, numbers = numbered(name)
    if bound is not None:
        x = _compose(draft, ("Clip", X, -bound, bound), {}, x, path)
    if parse(name).stem in ("identity", "linear"):
        return x
    given = dict(zip(NUMBERS, numbers, strict=False))
    if stem in COMPOSED:
        return _compose(draft, COMPOSED[stem], given, x, path)
    return draft.add(OPERATORS[stem], (x,), path, given)


def _compose(draft: Draft, part: Any, numbers: dict[str, float], x: str, path: str) -> str:
    """The value of an expression of ``bends.COMPOSED``."""
    if part == X:
        return x
    if not isinstance(part, tuple):
        return draft.constant(numbers[part] if isinstance(part, str) else part)
    op, *inputs = part
    return draft.add(op, tuple(_compose(draft, one, numbers, x, path) for one in inputs), path)


def _norm(draft: Draft, layer: LayerNorm, at: Place, x: str) -> str:
    weights = tuple(draft.weight(join(at.path, name), a) for name, a in at.params.items())
    return draft.add("LayerNormalization", (x, *weights), at.path, {"axis": -1, "epsilon": layer.epsilon})


def _norm_in_parts(draft: Draft, layer: LayerNorm, at: Place, x: str) -> str:
    def add(op: str, *inputs: str) -> str:
        return draft.add(op, inputs, at.path)

    def mean(a: str) -> str:
        return draft.add("ReduceMean", (a,), at.path, {"axes": (-1,), "keepdims": 1})

    centred = add("Sub", x, mean(x))
    spread = add("Sqrt", add("Add", mean(add("Mul", centred, centred)), draft.constant(layer.epsilon)))
    y = add("Div", centred, spread)
    y = add("Mul", y, draft.weight(join(at.path, "g"), at.params["g"])) if layer.gain else y
    return add("Add", y, draft.weight(join(at.path, "b"), at.params["b"])) if layer.bias else y


WRITERS: dict[type[Layer], Writer] = {
    Activation: activation,
    Dense: dense,
    Dropout: nothing,
    Embedding: embedding,
    LayerNorm: layer_norm,
    SequenceDropout: nothing,
}
