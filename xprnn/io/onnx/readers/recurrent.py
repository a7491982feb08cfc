"""RNN, LSTM and GRU nodes, and what is made of the lengths that they are told."""

from dataclasses import replace
from typing import Any

import numpy as np

from .... import cells
from ....cells import Cell
from ....layers.direction import Direction
from ....ops.activations import parse
from .. import recurrent
from ..bends import short, spelled
from .flow import ZERO, Call, Chain, Flow, NoLayerError, Sized, Step, append, are_lengths
from .labels import BATCH, FEATURE, SIDE, TIME

# The axes of X, Y and Y_h.
LAYOUTS = {
    0: ((TIME, BATCH, FEATURE), (TIME, SIDE, BATCH, FEATURE), (SIDE, BATCH, FEATURE)),
    1: ((BATCH, TIME, FEATURE), (BATCH, TIME, SIDE, FEATURE), (BATCH, SIDE, FEATURE)),
}


def operator(call: Call) -> tuple[Any, ...]:
    """The directions of a node: their outputs Y, the last of them Y_h; Y_c is no layer's output."""
    recurrent.check(call.node)
    flow, layout = call.flow("X"), call.node.attributes.get("layout", 0)
    wanted, steps, ends = LAYOUTS[layout]
    if flow.axes != wanted:
        raise NoLayerError(f"it takes ({', '.join(wanted)}), and is given ({', '.join(flow.axes)})")
    _check_lengths(flow, call.given["sequence_lens"])
    w, r = call.weight("W"), call.weight("R")
    b, p = (None if call.given[name] is None else call.weight(name) for name in ("B", "P"))
    double = b is not None and bool(np.any(b[..., b.shape[-1] // 2 :]))
    names = tuple(call.names.get(name, "") for name in ("W", "R", "B", "P", "initial_h", "initial_c"))
    chains: list[Chain | None] = []
    lasts: list[Chain | None] = []
    if flow.sizes[FEATURE] != w.shape[-1]:
        raise NoLayerError(f"its W is for {w.shape[-1]} features, and not {flow.sizes[FEATURE]}")
    for side, part in enumerate(recurrent.parts(call.node, w, r, b, p, double_bias=double)):
        begin = [_begin(call, name, side, flow, layout) for name in ("initial_h", "initial_c")]
        learned = any(np.any(state) for state in begin)
        states = {f"state{n}": a for n, a in enumerate(begin[: len(part.cell.state_sizes)])} if learned else {}
        layer = Direction(short_names(part.cell), part.reverse, learn_state=learned)
        for made, last in ((chains, False), (lasts, True)):
            step = Step(layer, part.params | states, (*names, str(side)), last=last)
            made.append(append(flow, step).chain)
    sizes = flow.sizes | {FEATURE: r.shape[-1]}
    whole = flow._replace(sizes=sizes, padding=ZERO)
    y, y_h = (
        whole._replace(axes=axes).along(axes.index(SIDE), tuple(parts))
        for axes, parts in ((steps, chains), (ends, lasts))
    )
    return y, y_h, NoLayerError("the last cell is no layer's output")


def short_names(cell: Cell) -> Cell:
    """The cell with its activations as one would write their names."""
    if isinstance(cell, cells.RNN):
        return replace(cell, activation=_short(cell.activation))
    if isinstance(cell, cells.GeneralLSTM | cells.GeneralGRU):
        return replace(cell, activations=tuple(map(_short, cell.activations)))  # type: ignore[arg-type]
    return cell


def _short(name: str) -> str:
    bound, stem, numbers = parse(name)
    return spelled(stem, tuple(map(short, numbers)), None if bound is None else short(bound))


def _check_lengths(flow: Flow, lengths: Any) -> None:
    """Raise unless the node is told the rows' lengths where there are such, and else none but the whole time."""
    given = lengths.array if isinstance(lengths, Sized) else lengths
    whole = given is None or (isinstance(given, np.ndarray) and bool(np.all(given == flow.sizes[TIME])))
    if flow.masked and not are_lengths(lengths):
        raise NoLayerError("it is not told the lengths of the rows")
    if not flow.masked and not whole:
        raise NoLayerError("its lengths are no input of the file")


def _begin(call: Call, name: str, side: int, flow: Flow, layout: int) -> np.ndarray:
    """A leaf of a direction's initial state (H,), the same for every row."""
    hidden, given = call.weight("R").shape[-1], call.given[name]
    if given is None:
        return np.zeros(hidden)
    if not isinstance(given, Sized | np.ndarray):
        raise NoLayerError(f"its {name} is no constant")
    state = given.array if isinstance(given, Sized) else given
    if state.dtype.kind != "f" or state.ndim != 3 or state.shape[-1] != hidden:
        raise NoLayerError(f"its {name} is of shape {state.shape} and {state.dtype}")
    if state.shape[1 - layout] != flow.sizes[BATCH]:
        raise NoLayerError(f"its {name} is of shape {state.shape}, and not one for each row")
    rows = state[:, side] if layout else state[side]
    if np.any(rows != rows[:1]):
        raise NoLayerError(f"its {name} is another in each row")
    return rows[0]
