"""Operators over a whole axis: pooling over time, and what becomes of two directions."""

import numpy as np

from ....layers.pooling import Pooling
from ..operators.base import positions
from .flow import ZERO, Call, Flow, NoLayerError, Padding, Step, Told, append, instead
from .labels import BATCH, FEATURE, ONE, SIDE, TIME
from .merges import OVER_SIDES, halved, merged


def reduce(call: Call) -> Flow:
    """Pooling over time, or what becomes of two directions."""
    flow, op = call.flow(), call.node.op
    axes = positions(call.given["axes"] or (), len(flow.axes))
    if len(axes) != 1:
        raise NoLayerError("it goes over several axes at once")
    return _reduced(flow, op, axes[0], bool(call.given["keepdims"]))


def pool(call: Call) -> Flow:
    """Pooling over time, of (batch, features, time)."""
    flow, kind = call.flow(), {"GlobalAveragePool": "ReduceMean", "GlobalMaxPool": "ReduceMax"}[call.node.op]
    if len(flow.axes) != 3:
        raise NoLayerError(f"it pools ({', '.join(flow.axes)})")
    return _reduced(flow, kind, 2, True)


def divide(call: Call) -> Flow:
    """A sum over steps by their count, or the sum of two directions by two."""
    flow, other = call.flow("a"), call.given["b"]
    last = flow.made_by
    if isinstance(other, np.ndarray) and other.size == 1 and other.reshape(()) == 2:
        return halved(flow)
    counted = isinstance(other, Told) and (other.what, other.axes) == ("count", (BATCH, ONE))
    if last is None or last.layer is not None or not counted or flow.axes != (BATCH, FEATURE):
        raise NoLayerError("it divides what is no sum over steps by their count")
    return instead(flow, Step(Pooling("mean"), {}))


def _reduced(flow: Flow, op: str, axis: int, keep: bool) -> Flow:
    label = flow.axes[axis]
    axes = (*flow.axes[:axis], *((ONE,) if keep else ()), *flow.axes[axis + 1 :])
    if label == ONE:
        return flow._replace(axes=axes)
    if label == SIDE and len(flow.parts) == 2 and op in OVER_SIDES:
        return merged(OVER_SIDES[op], *(flow._replace(parts=(part,), axes=axes) for part in flow.parts))
    if label != TIME:
        raise NoLayerError(f"it goes over the axis of {label}")
    if not flow.masked and op in ("ReduceMean", "ReduceMax"):
        return append(flow, Step(Pooling("mean" if op == "ReduceMean" else "max"), {}))._replace(axes=axes)
    if flow.masked and op == "ReduceMax" and flow.padding.theirs == -np.inf:
        pooled = append(flow, Step(Pooling("max"), {}), Padding(True, -np.inf, False))
        return pooled._replace(axes=axes)
    if flow.masked and op == "ReduceSum" and flow.padding.theirs == 0:
        summed = Step(None, {}, pending="a sum over steps is no layer")
        return append(flow, summed, ZERO)._replace(axes=axes)
    raise NoLayerError(
        "it goes over all steps, padding too" if flow.masked else "it is no mean and no maximum of steps"
    )


TABLE = {
    "Div": divide, "GlobalAveragePool": pool, "GlobalMaxPool": pool, "ReduceMax": reduce, "ReduceMean": reduce,
    "ReduceProd": reduce, "ReduceSum": reduce,
}  # fmt: skip
