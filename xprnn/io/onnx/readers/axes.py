"""Operators that move the names of axes about, and those that do nothing."""

from typing import Any

import numpy as np

from ..operators.base import positions
from .flow import Call, Flow, NoLayerError
from .labels import ONE


def same(call: Call) -> Any:
    """Its input."""
    return call.labelled()


def dropout(call: Call) -> Any:
    """Its input, in inference."""
    if call.given["training_mode"] not in (None, (0,), (False,)):
        raise NoLayerError("its training_mode is on")
    return call.labelled()


def cast(call: Call) -> Any:
    """Its input, if that is of the same kind of number."""
    value, to = call.labelled(), np.dtype(call.given["to"])
    if isinstance(value, Flow) and (value.ids != np.issubdtype(to, np.integer) or to == np.float16):
        raise NoLayerError(f"it makes numbers of another kind, {to}")
    return value


def transpose(call: Call) -> Any:
    """The axes in another order."""
    flow = call.labelled()
    perm = call.given["perm"] or range(len(flow.axes))[::-1]
    if sorted(perm) != list(range(len(flow.axes))):
        raise NoLayerError(f"it puts ({', '.join(flow.axes)}) into no order")
    return flow._replace(axes=tuple(flow.axes[n] for n in perm))


def squeeze(call: Call) -> Any:
    """Fewer axes of one entry that mean nothing."""
    flow, wanted = call.labelled(), call.given["axes"]
    shape = flow.shape if isinstance(flow, Flow) else tuple(1 if axis == ONE else 2 for axis in flow.axes)
    gone = positions([n for n, size in enumerate(shape) if size == 1] if wanted is None else wanted, len(shape))
    meant = [flow.axes[n] for n in gone if flow.axes[n] != ONE]
    if meant:
        raise NoLayerError(f"it takes away the axis of {meant[0]}")
    return flow._replace(axes=tuple(axis for n, axis in enumerate(flow.axes) if n not in gone))


def unsqueeze(call: Call) -> Any:
    """More axes of one entry."""
    flow, axes = call.labelled(), list(call.labelled().axes)
    for n in sorted(positions(call.given["axes"], len(axes) + len(call.given["axes"]))):
        axes.insert(n, ONE)
    return flow._replace(axes=tuple(axes))


TABLE = {
    "Cast": cast, "Dropout": dropout, "Identity": same, "Squeeze": squeeze, "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}  # fmt: skip
