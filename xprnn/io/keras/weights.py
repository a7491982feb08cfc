"""Keras's weights of one layer and our parameters of it: which are which, read in both directions."""

import functools
import operator
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ... import tree
from ...cells import Cell
from ...layers import Direction, LayerNorm, Stack
from ...layers.base import Layer
from ...layers.bidirectional import Bidirectional
from ...layers.catalog import Dense, Embedding, TimeDistributed
from ...types import Params, Shape
from ..layouts import KERAS, has_two_sums, ours, theirs

Weights = Callable[[tuple[str, ...]], list[np.ndarray]]
"""Keras's weights of a layer, given the attributes that lead from it to the one that has them."""


class Place(NamedTuple):
    """Where weights are: the attributes and the names that lead there, the cell, Keras's shapes by our names."""

    path: tuple[str, ...]
    branch: tuple[str, ...]
    cell: Cell | None
    shapes: dict[str, Shape]


def places(layer: Layer, width: int | None) -> Iterator[Place]:
    """Where the weights of ``layer`` are, for inputs of ``width`` features."""
    if isinstance(layer, TimeDistributed):
        yield from (place._replace(path=("layer", *place.path)) for place in places(layer.layer, width))
    elif isinstance(layer, Stack):
        ((name, one),) = enumerate(layer.layers)
        if isinstance(one, Bidirectional):
            yield _of_cell(("forward_layer", "cell"), (str(name), "forward"), one.forward_layer.cell, width)
            yield _of_cell(("backward_layer", "cell"), (str(name), "backward"), one.backward_layer.cell, width)
        else:
            yield _of_cell(("cell",), (str(name),), one.cell, width)
    elif isinstance(layer, Dense):
        yield Place((), (), None, {"W": (width, layer.units)} | ({"b": (layer.units,)} if layer.bias else {}))
    elif isinstance(layer, Embedding):
        yield Place((), (), None, {"W": (layer.vocab, layer.units)})
    elif isinstance(layer, LayerNorm) and (layer.gain or layer.bias):
        yield Place((), (), None, {n: (width,) for n, kept in (("g", layer.gain), ("b", layer.bias)) if kept})


def width_after(layer: Layer, width: int | None) -> int | None:
    """How many features ``layer`` gives for ``width``."""
    if isinstance(layer, TimeDistributed):
        return width_after(layer.layer, width)
    if isinstance(layer, Stack):
        last = layer.layers[-1]
        if isinstance(last, Direction):
            return last.cell.state_sizes[0]
        both = [one.cell.state_sizes[0] for one in (last.forward_layer, last.backward_layer)]
        return sum(both) if last.merge == "concat" else both[0]
    return layer.units if isinstance(layer, (Dense, Embedding)) else width


def from_keras(layer: Layer, width: int | None, weights: Weights) -> Params:
    """The parameters of ``layer`` from Keras's weights. ValueError unless their shapes are those that it has."""
    flat: dict[str, np.ndarray] = {}
    for place in places(layer, width):
        given = weights(place.path)
        met, wanted = [a.shape for a in given], list(place.shapes.values())
        if met != wanted:
            raise ValueError(f"its weights for {layer} are of the shapes {met}, wanted are {wanted}")
        named = dict(zip(place.shapes, given, strict=True))
        if place.cell is not None:
            if named.get("b", np.zeros(0)).ndim == 2:
                named["bx"], named["bh"] = named.pop("b")
            named = ours(KERAS, place.cell, named)
        flat |= {".".join((*place.branch, name)): a for name, a in named.items()}
    return tree.unflatten(flat)


def to_keras(layer: Layer, width: int | None, p: Params) -> dict[tuple[str, ...], list[np.ndarray]]:
    """Keras's weights by the attributes that lead to them, from the parameters of ``layer`` (NumPy arrays)."""
    found = {}
    for place in places(layer, width):
        named = functools.reduce(operator.getitem, place.branch, p)
        if place.cell is not None:
            named = theirs(KERAS, place.cell, named)
            if "bx" in named:
                named["b"] = np.stack([named.pop("bx"), named.pop("bh")])
        found[place.path] = [named[name] for name in place.shapes]
    return found


def _of_cell(path: tuple[str, ...], branch: tuple[str, ...], cell: Cell, width: int | None) -> Place:
    columns = len(KERAS.gates(cell)) * cell.hidden
    shapes: dict[str, Shape] = {"Wx": (width, columns), "Wh": (cell.hidden, columns)}
    if cell.bias:  # type: ignore[attr-defined]
        shapes["b"] = (2, columns) if has_two_sums(cell) else (columns,)
    return Place(path, branch, cell, shapes)
