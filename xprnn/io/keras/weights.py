"""Keras's weights of one layer and our parameters of it: which are which, read in both directions."""

import functools
import operator
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from ... import tree
from ...cells import Cell
from ...layers import LayerNorm, Stack
from ...layers.base import Layer
from ...layers.bidirectional import Bidirectional
from ...layers.catalog import Dense, Embedding, TimeDistributed
from ...types import Params
from ..layouts import KERAS, has_two_sums, ours, theirs

Path = tuple[str, ...]
"""The attributes that lead from a layer of Keras's to what has the weights: ("forward_layer", "cell")."""


class Place(NamedTuple):
    """Where weights are: Keras's attributes, our names that lead there, the cell if it is one, and our names of them.

    The names stand in the order of Keras's weights.
    """

    path: Path
    branch: tuple[str, ...]
    cell: Cell | None
    names: tuple[str, ...]


def places(layer: Layer) -> Iterator[Place]:
    """Where the weights of ``layer``, which is single, are."""
    if isinstance(layer, TimeDistributed):
        yield from (place._replace(path=("layer", *place.path)) for place in places(layer.layer))
    elif isinstance(layer, Stack):
        (one,) = layer.layers
        if isinstance(one, Bidirectional):
            yield _of_cell(("forward_layer", "cell"), ("0", "forward"), one.forward_layer.cell)
            yield _of_cell(("backward_layer", "cell"), ("0", "backward"), one.backward_layer.cell)
        else:
            yield _of_cell(("cell",), ("0",), one.cell)
    elif isinstance(layer, Dense):
        yield Place((), (), None, ("W", "b") if layer.bias else ("W",))
    elif isinstance(layer, Embedding):
        yield Place((), (), None, ("W",))
    elif isinstance(layer, LayerNorm):
        yield Place((), (), None, ("g",) * layer.gain + ("b",) * layer.bias)


def from_keras(layer: Layer, weights: Callable[[Path], list[np.ndarray]]) -> Params:
    """The parameters of ``layer`` from Keras's weights, which ``weights`` gives. ValueError if they are of another."""
    flat: dict[str, np.ndarray] = {}
    for place in places(layer):
        given = weights(place.path)
        if len(given) != len(place.names):
            raise ValueError(f"{layer} has {len(place.names)} weights, not {len(given)}")
        named = dict(zip(place.names, given, strict=True))
        if place.cell is not None:
            columns = len(KERAS.gates(place.cell)) * place.cell.hidden
            if any(a.shape[-1:] != (columns,) for a in given):
                raise ValueError(f"{layer} has weights of {columns} columns, not {[a.shape for a in given]}")
            if has_two_sums(place.cell) and "b" in named and named["b"].shape[0] == 2:
                named["bx"], named["bh"] = named.pop("b")
            named = ours(KERAS, place.cell, named)
        flat |= {".".join((*place.branch, name)): a for name, a in named.items()}
    return tree.unflatten(flat)


def to_keras(layer: Layer, p: Params) -> dict[Path, list[np.ndarray]]:
    """Keras's weights by the attributes that lead to them, from the parameters of ``layer``, NumPy arrays."""
    found = {}
    for place in places(layer):
        named = functools.reduce(operator.getitem, place.branch, p)
        if place.cell is not None:
            named = theirs(KERAS, place.cell, named)
            if "bx" in named:
                named["b"] = np.stack([named.pop("bx"), named.pop("bh")])
        found[place.path] = [named[name] for name in place.names]
    return found


def _of_cell(path: Path, branch: tuple[str, ...], cell: Cell) -> Place:
    return Place(path, branch, cell, ("Wx", "Wh", "b") if cell.bias else ("Wx", "Wh"))  # type: ignore[attr-defined]
