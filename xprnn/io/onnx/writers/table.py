"""Which function writes which layer, and the layers that are made of others."""

from ....layers.base import Layer
from ....layers.sequential import Sequential
from ....layers.time_distributed import TimeDistributed
from ....types import State
from . import recurrent, sequences, simple
from .draft import Draft, Value, join
from .padding import clean
from .simple import Place, Writer


def write(draft: Draft, layer: Layer, at: Place, x: Value) -> tuple[Value, State]:
    """What ``layer`` makes of x, and its last state, as names. TypeError or ValueError for what ONNX has not."""
    if type(layer) not in WRITERS:
        raise TypeError(f"ONNX has no {layer}; these can be written: {', '.join(kind.__name__ for kind in WRITERS)}")
    return WRITERS[type(layer)](draft, layer, at, x)


def sequential(draft: Draft, layer: Sequential, at: Place, x: Value) -> tuple[Value, State]:
    """Layers one after the other."""
    states = []
    for n, (name, one) in enumerate(zip(layer.names, layer.layers, strict=True)):
        place = Place(join(at.path, name), at.params[name], None if at.state is None else at.state[n])
        x, end = write(draft, one, place, x)
        states.append(end)
    return x, tuple(states)


def time_distributed(draft: Draft, layer: TimeDistributed, at: Place, x: Value) -> tuple[Value, State]:
    """Every step as a sample of its own: as it is for layers that do so by themselves, else folded into the batch."""
    x = clean(draft, x, at.path)
    if _by_step(layer.layer):
        y, _ = write(draft, layer.layer, at, x._replace(masked=False))
        return y._replace(masked=x.masked), ()
    sample = draft.add("Shape", (x.name,), at.path, {"start": 2})
    folded = draft.add("Concat", (draft.integers(-1), sample), at.path, {"axis": 0})
    rows = Value(draft.add("Reshape", (x.name, folded), at.path), x.shape[1:], ids=x.ids)
    y, _ = write(draft, layer.layer, at, rows)
    outer = draft.add("Shape", (x.name,), at.path, {"start": 0, "end": 2})
    inner = draft.add("Shape", (y.name,), at.path, {"start": 1})
    shape = draft.add("Concat", (outer, inner), at.path, {"axis": 0})
    return Value(draft.add("Reshape", (y.name, shape), at.path), (x.shape[0], *y.shape), x.masked), ()


def _by_step(layer: Layer) -> bool:
    """Whether ``layer`` works on the last axis alone."""
    return all(map(_by_step, layer.layers)) if isinstance(layer, Sequential) else type(layer) in simple.WRITERS


WRITERS: dict[type[Layer], Writer] = {
    **simple.WRITERS,
    **sequences.WRITERS,
    **recurrent.WRITERS,
    Sequential: sequential,
    TimeDistributed: time_distributed,
}
