"""Layers that look along a sequence without a cell: pooling and flipping."""

from ....layers.base import Layer
from ....layers.flip import Flip
from ....layers.pooling import Pooling
from ....types import State
from .draft import Draft, Value
from .padding import LENGTHS, clean, count, without_empty, without_padding
from .simple import Place, Writer

LEAST = -(2**63) + 1


def flip(draft: Draft, layer: Flip, at: Place, x: Value) -> tuple[Value, State]:
    """The real steps backwards; padding stays."""
    return x._replace(name=_flipped(draft, x, at.path)), ()


def pooling(draft: Draft, layer: Pooling, at: Place, x: Value) -> tuple[Value, State]:
    """The last, the mean or the maximum of the real steps, 0 where there is none."""
    y = {"last": _last, "mean": _mean, "max": _max}[layer.kind](draft, x, at.path)
    return Value(y, x.shape[1:]), ()


def _last(draft: Draft, x: Value, path: str) -> str:
    if not x.masked:
        return draft.add("Gather", (x.name, draft.constant(-1, "int64")), path, {"axis": 1})
    first = draft.add("Gather", (_flipped(draft, x, path), draft.constant(0, "int64")), path, {"axis": 1})
    return without_empty(draft, first, path)


def _mean(draft: Draft, x: Value, path: str) -> str:
    if not x.masked:
        return draft.add("ReduceMean", (x.name,), path, {"axes": (1,), "keepdims": 0})
    total = draft.add("ReduceSum", (clean(draft, x, path).name, draft.integers(1)), path, {"keepdims": 0})
    return draft.add("Div", (total, count(draft)), path)


def _max(draft: Draft, x: Value, path: str) -> str:
    y = draft.add("ReduceMax", (without_padding(draft, x, path),), path, {"axes": (1,), "keepdims": 0})
    return without_empty(draft, y, path) if x.masked else y


def _flipped(draft: Draft, x: Value, path: str) -> str:
    if x.masked:
        return draft.add("ReverseSequence", (x.name, LENGTHS), path, {"batch_axis": 0, "time_axis": 1})
    bounds = (draft.integers(n) for n in (-1, LEAST, 1, -1))
    return draft.add("Slice", (x.name, *bounds), path)


WRITERS: dict[type[Layer], Writer] = {Flip: flip, Pooling: pooling}
