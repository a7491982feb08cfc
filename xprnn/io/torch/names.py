"""PyTorch's weights of one layer: its names of ours, in tables that are read in both directions."""

import functools
import operator
from collections.abc import Iterator
from typing import NamedTuple

from ... import cells, tree
from ...arrays import namespace
from ...cells import Cell
from ...layers.base import Layer
from ...layers.dense import Dense
from ...layers.direction import Direction
from ...layers.embedding import Embedding
from ...layers.layer_norm import LayerNorm
from ...layers.recurrent import Stack
from ...types import Array, Params
from ..layouts import TORCH, ours, theirs


class Table(NamedTuple):
    """PyTorch's name of each parameter of ours, in its order, and whether it has matrices transposed."""

    names: dict[str, str]
    transposed: bool


PLAIN: dict[type[Layer], Table] = {
    Dense: Table({"W": "weight", "b": "bias"}, True),
    Embedding: Table({"W": "weight"}, False),
    LayerNorm: Table({"g": "weight", "b": "bias"}, False),
}
RECURRENT = {"Wx": "weight_ih", "Wh": "weight_hh", "bx": "bias_ih", "bh": "bias_hh", "Wp": "weight_hr"}
CELLS = (cells.RNN, cells.LSTM, cells.ProjectedLSTM, cells.GRU)


class Place(NamedTuple):
    """A cell in a layer: what PyTorch appends to its weights' names, the path to our parameters, and its inputs."""

    suffix: str
    path: tuple[str, ...]
    cell: Cell
    features: int


def shapes(layer: Stack | Direction, features: int) -> dict[str, tuple[int, ...]]:
    """The names and shapes of what PyTorch's state_dict has for a recurrent layer over ``features`` inputs.

    A Stack is PyTorch's RNN, LSTM or GRU, a Direction its RNNCell, LSTMCell or GRUCell.
    Raises TypeError for cells that PyTorch has not, ValueError for options that it has not.
    """
    found: dict[str, tuple[int, ...]] = {}
    for place in _places(layer, features):
        hidden, out = place.cell.hidden, place.cell.state_sizes[0]
        rows = len(TORCH.gates(place.cell)) * hidden
        sizes: dict[str, tuple[int, ...]] = {"Wx": (rows, place.features), "Wh": (rows, out)}
        if place.cell.bias:  # type: ignore[attr-defined]
            sizes |= {"bx": (rows,), "bh": (rows,)}
        if isinstance(place.cell, cells.ProjectedLSTM):
            sizes |= {"Wp": (out, hidden)}
        found |= {RECURRENT[name] + place.suffix: shape for name, shape in sizes.items()}
    return found


def to_torch(layer: Layer, p: Params) -> dict[str, Array]:
    """PyTorch's weights of one layer from its parameters, views where that is possible.

    Of two biases that are one here, the second is zero. Raises TypeError or ValueError for what PyTorch has not.
    """
    found: dict[str, Array] = {}
    if isinstance(layer, (Stack, Direction)):
        for place in _places(layer):
            weights = theirs(TORCH, place.cell, functools.reduce(operator.getitem, place.path, p))
            found |= {name + place.suffix: weights[own] for own, name in RECURRENT.items() if own in weights}
        return found
    table = _table(layer)
    return {name: _turned(table, p[own]) for own, name in table.names.items() if own in p}


def from_torch(layer: Layer, weights: dict[str, Array]) -> Params:
    """The parameters of one layer from PyTorch's weights, of the names and shapes that ``to_torch`` gives."""
    flat: dict[str, Array] = {}
    if isinstance(layer, (Stack, Direction)):
        for place in _places(layer):
            given = {own: name + place.suffix for own, name in RECURRENT.items() if name + place.suffix in weights}
            p = ours(TORCH, place.cell, {own: weights[name] for own, name in given.items()})
            flat |= {".".join((*place.path, own)): a for own, a in p.items()}
        return tree.unflatten(flat)
    table = _table(layer)
    return {own: _turned(table, weights[name]) for own, name in table.names.items() if name in weights}


def _places(layer: Stack | Direction, features: int = 0) -> Iterator[Place]:
    """The cells of ``layer`` in PyTorch's order: layer by layer, the forward direction first."""
    if layer.learn_state or layer.reverse:
        raise ValueError(f"PyTorch has no learned initial state, and no layer that only runs backwards: {layer}")
    if isinstance(layer, Direction):
        yield Place("", (), _check(layer.cell), features)
        return
    if layer.merge != "concat":
        raise ValueError(f"PyTorch's two directions are concatenated, so there is no merge={layer.merge!r}")
    stack = {_check(cell) for cell in (*layer.cell_stack(), *layer.backward_stack())}
    if len(stack) > 1:
        raise ValueError(f"in PyTorch all layers and directions have the same cell, so there is no {layer}")
    (cell,) = stack
    ways = {"": ("forward",), "_reverse": ("backward",)} if layer.bidirectional else {"": ()}
    for n in range(len(layer.cell_stack())):
        for suffix, way in ways.items():
            yield Place(f"_l{n}{suffix}", (str(n), *way), cell, features)
        features = len(ways) * cell.state_sizes[0]


def _check(cell: Cell) -> Cell:
    """``cell``, which must be one that PyTorch has."""
    if type(cell) not in CELLS or (isinstance(cell, cells.RNN) and cell.activation not in ("tanh", "relu")):
        raise TypeError(f"PyTorch has no {cell}, only RNN with tanh or relu, LSTM with or without projection, and GRU")
    return cell


def _table(layer: Layer) -> Table:
    if type(layer) not in PLAIN:
        raise TypeError(f"PyTorch has no {layer}")
    return PLAIN[type(layer)]


def _turned(table: Table, a: Array) -> Array:
    """``a`` as the other side has it."""
    return namespace(a).permute_dims(a, (1, 0)) if table.transposed and a.ndim == 2 else a
