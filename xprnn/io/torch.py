"""PyTorch's recurrent weights: one table of names, read in both directions. PyTorch itself is not imported.

PyTorch stores matrices transposed, (gates · H, D) for our (D, gates · H), their gates in the order we have them, and
two biases. All cells but the GRU only ever add the two, so here they are one.
"""

from dataclasses import dataclass
from typing import NamedTuple

from .. import cells, tree
from ..arrays import namespace
from ..cells import Cell
from ..layers.bidirectional import Bidirectional
from ..layers.direction import Direction
from ..layers.recurrent import Stack
from ..types import Array, Params

__all__ = ["TABLES", "Table", "Weight", "from_torch", "gradients_to_torch", "shapes", "to_torch"]


class Weight(NamedTuple):
    """One of PyTorch's weights, and the parameter of ours that it is, or is a summand of."""

    theirs: str
    ours: str


@dataclass(frozen=True)
class Table:
    """How a cell is stored: the order of the gates, PyTorch's and ours, and the weights in PyTorch's order."""

    gates: tuple[str, ...]
    weights: tuple[Weight, ...]


_MATRICES = (Weight("weight_ih", "Wx"), Weight("weight_hh", "Wh"))
_ONE_BIAS = (Weight("bias_ih", "b"), Weight("bias_hh", "b"))
_TWO_BIASES = (Weight("bias_ih", "bx"), Weight("bias_hh", "bh"))

TABLES: dict[type[Cell], Table] = {
    cells.RNN: Table(("h",), _MATRICES + _ONE_BIAS),
    cells.LSTM: Table(("i", "f", "g", "o"), _MATRICES + _ONE_BIAS),
    cells.GRU: Table(("r", "z", "n"), _MATRICES + _TWO_BIASES),
}


class Place(NamedTuple):
    """A cell in a layer: what PyTorch appends to its weights' names, what we put before our names, and its inputs."""

    suffix: str
    prefix: str
    cell: Cell
    features: int


def shapes(layer: Stack | Direction, features: int) -> dict[str, tuple[int, ...]]:
    """The names and shapes of what PyTorch's state_dict has for ``layer`` over ``features`` inputs, in its order.

    A Stack is PyTorch's RNN, LSTM or GRU, a Direction its RNNCell, LSTMCell or GRUCell. Raises TypeError for cells that
    PyTorch has not, ValueError for options that it has not.
    """
    found: dict[str, tuple[int, ...]] = {}
    for place in _places(layer, features):
        hidden = place.cell.hidden
        rows = len(_table(place.cell).gates) * hidden
        columns = {"Wx": (place.features,), "Wh": (hidden,)}
        found |= {theirs + place.suffix: (rows, *columns.get(ours, ())) for theirs, ours in _weights(place.cell)}
    return found


def from_torch(layer: Stack | Direction, weights: dict[str, Array]) -> Params:
    """The parameters of ``layer`` from PyTorch's weights, which have the names and shapes of ``shapes``.

    A matrix is a transposed view of PyTorch's.
    """
    flat: dict[str, Array] = {}
    for place in _places(layer):
        for theirs, ours in _weights(place.cell):
            name, a = place.prefix + ours, _turn(weights[theirs + place.suffix])
            flat[name] = flat[name] + a if name in flat else a
    return tree.unflatten(flat)


def gradients_to_torch(layer: Stack | Direction, grads: Params) -> dict[str, Array]:
    """The gradients of PyTorch's weights from those of our parameters: the adjoint of ``from_torch``.

    Where two weights make one parameter, each gets its gradient, as arrays of their own.
    """
    flat = tree.flatten(grads)
    found: dict[str, Array] = {}
    for place in _places(layer):
        for theirs, ours in _weights(place.cell):
            a = _turn(flat[place.prefix + ours])
            found[theirs + place.suffix] = namespace(a).asarray(a, copy=True)
    return found


def to_torch(layer: Stack | Direction, p: Params) -> dict[str, Array]:
    """PyTorch's weights from our parameters; of two biases that are one here, the second is zero."""
    flat = tree.flatten(p)
    found: dict[str, Array] = {}
    for place in _places(layer):
        met: set[str] = set()
        for theirs, ours in _weights(place.cell):
            a = _turn(flat[place.prefix + ours])
            found[theirs + place.suffix] = namespace(a).zeros_like(a) if ours in met else a
            met.add(ours)
    return found


def _places(layer: Stack | Direction, features: int = 0) -> list[Place]:
    """The cells of ``layer`` in PyTorch's order: layer by layer, the forward direction first."""
    if layer.learn_state or layer.reverse:
        raise ValueError(f"PyTorch has no learned initial state, and no layer that only runs backwards: {layer}")
    if isinstance(layer, Direction):
        return [Place("", "", layer.cell, features)]
    if layer.merge != "concat":
        raise ValueError(f"PyTorch's two directions are concatenated, so there is no merge={layer.merge!r}")
    places: list[Place] = []
    for n, one in enumerate(layer.layers):
        if isinstance(one, Bidirectional):
            directions = {"": ("forward.", one.forward_layer), "_reverse": ("backward.", one.backward_layer)}
        else:
            directions = {"": ("", one)}
        for suffix, (prefix, direction) in directions.items():
            places.append(Place(f"_l{n}{suffix}", f"{n}.{prefix}", direction.cell, features))
        features = sum(direction.cell.hidden for _, direction in directions.values())
    return places


def _table(cell: Cell) -> Table:
    if type(cell) not in TABLES:
        raise TypeError(f"PyTorch has no {cell}, only {', '.join(kind.__name__ for kind in TABLES)}")
    return TABLES[type(cell)]


def _weights(cell: Cell) -> list[Weight]:
    """The weights that ``cell`` has: no biases where it is told to have none."""
    kept = _table(cell).weights
    return [weight for weight in kept if cell.bias or weight.theirs.startswith("weight")]  # type: ignore[attr-defined]


def _turn(a: Array) -> Array:
    """A matrix transposed, a bias as it is."""
    return namespace(a).permute_dims(a, (1, 0)) if a.ndim == 2 else a
