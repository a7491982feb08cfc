"""Recurrent layers as ONNX's RNN, LSTM and GRU: one node a layer, or one a direction where the two differ."""

from typing import NamedTuple

import numpy as np

from ....layers.base import Layer
from ....layers.bidirectional import Bidirectional
from ....layers.direction import Direction
from ....layers.recurrent import GRU, LSTM, RNN, PeepholeLSTM, Recurrent, Stack
from ....types import Params, State
from ...layouts import ONNX, theirs
from .cells import operator
from .draft import NUMBERS, Draft, Value, join
from .padding import LENGTHS, any_step
from .simple import Place, Writer

MERGES = {"concat": ("Concat", {"axis": -1}), "sum": ("Add", {}), "mean": ("Mean", {}), "mul": ("Mul", {})}


class Run(NamedTuple):
    """One direction to be written: its layer, its parameters, and the names of its state, None where none is given."""

    layer: Direction
    params: Params
    state: tuple[str, ...] | None


class Ran(NamedTuple):
    """What a direction gives: its outputs (T, B, H), the last of them (B, H), and its last state, leaves of (B, H).

    In rows without a step the last output is 0, and the last state the first.
    """

    steps: str
    last: str
    state: tuple[str, ...]


def direction(draft: Draft, layer: Direction, at: Place, x: Value) -> tuple[Value, State]:
    """A node of one direction."""
    y, last, state = _one(draft, layer, at, x)
    return y if layer.return_sequences else last, state


def bidirectional(draft: Draft, layer: Bidirectional, at: Place, x: Value) -> tuple[Value, State]:
    """Both directions, merged."""
    y, last, state = _both(draft, layer, at, x)
    return last if layer.shortens else y, state


def stack(draft: Draft, layer: Stack, at: Place, x: Value) -> tuple[Value, State]:
    """One layer after the other; of the last, the sequence or the last output."""
    states, y, last = [], x, x
    for n, one in enumerate(layer.layers):
        place = Place(join(at.path, str(n)), at.params[str(n)], None if at.state is None else at.state[n])
        y, last, end = _one(draft, one, place, y) if isinstance(one, Direction) else _both(draft, one, place, y)
        states.append(end)
    return y if layer.return_sequences else last, tuple(states)


def _one(draft: Draft, layer: Direction, at: Place, x: Value) -> tuple[Value, Value, State]:
    """The outputs of a direction, the last of them, and its last state."""
    (ran,) = _node(draft, [Run(layer, at.params, at.state)], at.path, x)
    y = Value(draft.swap(ran.steps, at.path), (x.shape[0], layer.cell.hidden), x.masked, x.masked)
    return y, Value(ran.last, y.shape[1:]), ran.state


def _both(draft: Draft, layer: Bidirectional, at: Place, x: Value) -> tuple[Value, Value, State]:
    """The merged outputs of two directions, the last of them, and their last states.

    They are in one node if they have the same cell.
    """
    state = (None, None) if at.state is None else at.state
    a = Run(layer.forward_layer, at.params["forward"], state[0])
    b = Run(layer.backward_layer, at.params["backward"], state[1])
    if a.layer.cell == b.layer.cell:
        one, two = _node(draft, [a, b], at.path, x)
    else:
        (one,), (two,) = _node(draft, [a], join(at.path, "forward"), x), _node(draft, [b], join(at.path, "backward"), x)
    op, attributes = MERGES[layer.merge]
    steps = draft.add(op, (one.steps, two.steps), at.path, attributes)
    last = draft.add(op, (one.last, two.last), at.path, attributes)
    width = a.layer.cell.hidden + (b.layer.cell.hidden if layer.merge == "concat" else 0)
    y = Value(draft.swap(steps, at.path), (x.shape[0], width), x.masked, x.masked)
    return y, Value(last, (width,)), (one.state, two.state)


def _node(draft: Draft, runs: list[Run], path: str, x: Value) -> list[Ran]:
    """A node of one direction or two of the same cell."""
    cell = runs[0].layer.cell
    op, attributes = operator(cell)
    ways = ["reverse" if run.layer.reverse else "forward" for run in runs]
    attributes |= {"direction": "bidirectional" if len(runs) == 2 else ways[0]}
    if "activations" in attributes:
        repeated = ("activations", "activation_alpha", "activation_beta")
        attributes |= {name: attributes[name] * len(runs) for name in repeated if name in attributes}
    lengths = draft.add("Cast", (LENGTHS,), LENGTHS, {"to": NUMBERS["int32"]}) if x.masked else ""
    steps = draft.swap(x.name, path)
    begin = [_begin(draft, runs, leaf, path, steps) for leaf in range(len(cell.state_sizes))]
    weights = _weights(draft, runs, path)
    inputs = [steps, weights["W"], weights["R"], weights.get("B", ""), lengths, *begin]
    if "P" in weights:
        inputs.append(weights["P"])
    while not inputs[-1]:
        inputs.pop()
    made = draft.add_many(op, tuple(inputs), path, attributes, 1 + len(begin))
    return [_ran(draft, made, side, run, path, x) for side, run in enumerate(runs)]


def _ran(draft: Draft, made: tuple[str, ...], side: int, run: Run, path: str, x: Value) -> Ran:
    """What one direction gives, from the outputs of its node: Y (T, directions, B, H), then Y_h, Y_c."""
    chosen = draft.constant(side, "int64")
    steps = draft.add("Gather", (made[0], chosen), path, {"axis": 1})
    ends = [draft.add("Gather", (leaf, chosen), path, {"axis": 0}) for leaf in made[1:]]
    state = tuple(ends)
    if x.masked and run.state is not None:  # in rows without a step ONNX has 0
        some = any_step(draft)
        state = tuple(draft.add("Where", (some, *pair), path) for pair in zip(ends, run.state, strict=True))
    return Ran(steps, ends[0], state)


def _weights(draft: Draft, runs: list[Run], path: str) -> dict[str, str]:
    """The names of W (directions, gates · H, D), R, B and P, those that there are."""
    sides = []
    for run in runs:
        w = theirs(ONNX, run.layer.cell, run.params)
        biases = {"B": np.concatenate([w["bx"], w["bh"]])} if "bx" in w else {}
        sides.append({"W": w["Wx"], "R": w["Wh"]} | biases | ({"P": w["Wc"]} if "Wc" in w else {}))
    return {name: draft.weight(join(path, name), np.stack([side[name] for side in sides])) for name in sides[0]}


def _begin(draft: Draft, runs: list[Run], leaf: int, path: str, steps: str) -> str:
    """A leaf of the initial state (directions, B, H): what is given, else what is learned, "" for zeros.

    steps: the node's input (T, B, D).
    """
    if runs[0].state is not None:
        given = [draft.add("Unsqueeze", (run.state[leaf], draft.integers(0)), path) for run in runs if run.state]
        return given[0] if len(given) == 1 else draft.add("Concat", tuple(given), path, {"axis": 0})
    if not any(run.layer.learn_state for run in runs):
        return ""
    zeros = np.zeros(runs[0].layer.cell.state_sizes[leaf], draft.dtype)
    learned = np.stack([run.params.get(f"state{leaf}", zeros)[None, :] for run in runs])
    batch = draft.add("Shape", (steps,), path, {"start": 1, "end": 2})
    shape = draft.add("Concat", (draft.integers(1), batch, draft.integers(1)), path, {"axis": 0})
    return draft.add("Expand", (draft.weight(join(path, f"state{leaf}"), learned), shape), path)


WRITERS: dict[type[Layer], Writer] = {
    Bidirectional: bidirectional,
    Direction: direction,
    **{kind: stack for kind in (GRU, LSTM, PeepholeLSTM, RNN, Recurrent)},
}
