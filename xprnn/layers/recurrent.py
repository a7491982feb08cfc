"""Recurrent layers: cells stacked, in one direction or both, with dropout between them."""

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass, fields
from functools import cached_property
from typing import Any

from .. import cells as _cells
from ..random import Key
from ..types import Array, Generator, Params, Shape, Sizes, State, Step
from . import chain, shapes
from .base import Context, Layer
from .bidirectional import Bidirectional, check_merge
from .direction import Direction
from .dropout import Dropout
from .overlap import Place


@dataclass(frozen=True, kw_only=True, repr=False)
class Stack(Layer):
    """What all recurrent layers share: (B, T, D) -> (B, T, H), or (B, H) unless ``return_sequences``.

    bidirectional:     run each layer in both directions; ``merge`` is "concat", "sum", "mean" or "mul".
    return_sequences:  the whole sequence, or the last output alone: each direction's last, at each sequence's end.
    dropout:           rate of dropout on each layer's output but the last's.
    recurrent_dropout: rate of dropout of h on its way into the recurrent weights, one mask a sequence and call.
    reverse:           run from each sequence's end to its beginning; y stays in the order of x.
    segment:           checkpointing: memory for this many steps at a time, besides x and y, for one forward more on the
                       way back; ``training``'s does without y too.
    learn_state:       the initial state, where none is given, is a parameter.

    State: a tuple, for each layer a tuple of (B, n); for each layer a pair of such tuples where bidirectional.
    A step where the mask is False leaves the state alone and gives 0.
    Raises ValueError for rates outside [0, 1), sizes or segments below 1, an unknown merge.
    """

    bidirectional: bool = False
    merge: str = "concat"
    return_sequences: bool = True
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    reverse: bool = False
    segment: int | None = None
    learn_state: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            if isinstance(field.default, bool) and not isinstance(getattr(self, field.name), bool):
                raise TypeError(f"{field.name} is True or False, not {getattr(self, field.name)!r}")
        shapes.check_rate("dropout", self.dropout)
        check_merge(self.merge)
        if self.bidirectional and self.reverse:
            raise ValueError("bidirectional=True runs both ways already; reverse=True does not go with it")
        if not self.cell_stack():
            raise ValueError("a recurrent layer has one or more cells")
        _ = self.layers  # which look at the rest

    def __repr__(self) -> str:
        changed = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join(changed)})"

    @abstractmethod
    def cell_stack(self) -> tuple[_cells.Cell, ...]:
        """The cell of each layer, from the input up."""

    def backward_stack(self) -> tuple[_cells.Cell, ...]:
        """The cell of each layer's backward direction, where there are two."""
        return self.cell_stack()

    @cached_property
    def layers(self) -> tuple[Direction | Bidirectional, ...]:
        """The layers that this one stacks; the last gives its last output alone unless ``return_sequences``."""
        forward, backward = self.cell_stack(), self.backward_stack()
        whole = (True,) * (len(forward) - 1) + (self.return_sequences,)
        if not self.bidirectional:
            return tuple(map(self._one, forward, whole, (self.reverse,) * len(forward)))
        return tuple(map(self._both, forward, backward, whole))

    @property
    def rank(self) -> int | None:
        return 2

    @property
    def state_sizes(self) -> Sizes:
        return tuple(layer.state_sizes for layer in self.layers)

    @property
    def shortens(self) -> bool:
        return not self.return_sequences

    @property
    def streams(self) -> bool:
        return not (self.bidirectional or self.reverse)

    @property
    def overlaps(self) -> bool:
        return len(self.layers) == 1 and self.layers[0].overlaps

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        p: Params = {}
        for n, layer in enumerate(self.layers):
            p[str(n)], shape = layer.init(rng, shape)
        return p, shape

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        if state is not None and len(state) != len(self.layers):
            raise ValueError(f"{self} wants a state of {len(self.layers)} layers, not {len(state)}")
        y, ends, tape = chain.forward(self._places(p, state, ctx.key), x, ctx)
        return y, tuple(ends[::2]), tape

    def stepper(self, like: Array) -> Step:
        return chain.stepper([(str(n), layer.stepper(like)) for n, layer in enumerate(self.layers)])

    def backward(self, p: Params, tape: Any, dy: Array | None, dstate: State) -> tuple[Array | None, State, Params]:
        dx, begins, grads = chain.backward(self._places(p, dstate), tape, dy)
        return dx, tuple(begins[::2]), {name: grads[2 * int(name)] for name in p}

    def gradients(self, p: Params, tape: Any, dy: Array | None, dstate: State) -> tuple[State, Params]:
        _, begins, grads = chain.backward(self._places(p, dstate), tape, dy, 0)
        return tuple(begins[::2]), {name: grads[2 * int(name)] for name in p}

    def _places(self, p: Params, state: State, key: Key | None = None) -> list[Place]:
        """The layers, and between any two of them dropout."""
        places: list[Place] = []
        for n, layer in enumerate(self.layers):
            own = None if key is None else key.fold(n)
            if n:
                places.append(Place(Dropout(self.dropout), {}, None, own))
            places.append(Place(layer, p[str(n)], None if state is None else state[n], own))
        return places

    def _one(self, cell: _cells.Cell, whole: bool, reverse: bool) -> Direction:
        return Direction(cell, reverse, self.segment, self.recurrent_dropout, self.learn_state, whole)

    def _both(self, cell: _cells.Cell, back: _cells.Cell, whole: bool) -> Bidirectional:
        return Bidirectional(self._one(cell, whole, False), self._one(back, whole, True), self.merge)


def _sizes(hidden: int | tuple[int, ...], num_layers: int) -> tuple[int, ...]:
    """The width of each layer: ``hidden`` repeated, or a width for each."""
    sizes = hidden if isinstance(hidden, tuple) else (hidden,)
    if not sizes or not all(shapes.is_count(n) for n in (num_layers, *sizes)):
        raise ValueError(
            "a recurrent layer has one or more layers of one or more units, given as a number or a tuple of numbers, "
            f"not hidden={hidden!r}, num_layers={num_layers!r}"
        )
    if isinstance(hidden, tuple) and num_layers not in (1, len(hidden)):
        raise ValueError(f"hidden={hidden} gives {len(hidden)} layers, num_layers={num_layers}")
    return tuple(int(n) for n in (sizes if isinstance(hidden, tuple) else sizes * num_layers))


@dataclass(frozen=True, repr=False)
class Recurrent(Stack):
    """Any cells, stacked: ``Recurrent((MyCell(64), MyCell(32)), bidirectional=True)``; the options are Stack's.

    backward_cells: those of the backward direction of each layer, where they are not ``cells`` again.
    """

    cells: _cells.Cell | tuple[_cells.Cell, ...]
    backward_cells: _cells.Cell | tuple[_cells.Cell, ...] | None = None

    def cell_stack(self) -> tuple[_cells.Cell, ...]:
        if self.backward_cells is not None and not self.bidirectional:
            raise ValueError("backward_cells are those of a backward direction, so they want bidirectional=True")
        return self.cells if isinstance(self.cells, tuple) else (self.cells,)

    def backward_stack(self) -> tuple[_cells.Cell, ...]:
        forward, back = self.cell_stack(), self.cells if self.backward_cells is None else self.backward_cells
        stack = back if isinstance(back, tuple) else (back,)
        if len(stack) != len(forward):
            raise ValueError(f"{len(forward)} cells want as many backward_cells, not {len(stack)}")
        return stack


@dataclass(frozen=True, repr=False)
class RNN(Stack):
    """Elman networks, stacked (see ``cells.RNN``): ``hidden`` units, or a number for each layer; options as Stack's."""

    hidden: int | tuple[int, ...]
    num_layers: int = 1
    _: KW_ONLY
    activation: str = "tanh"
    bias: bool = True
    double_bias: bool = False

    def cell_stack(self) -> tuple[_cells.Cell, ...]:
        sizes = _sizes(self.hidden, self.num_layers)
        return tuple(_cells.RNN(n, self.activation, self.bias, self.double_bias) for n in sizes)


@dataclass(frozen=True, repr=False)
class LSTM(Stack):
    """LSTMs, stacked (see ``cells.LSTM``): ``hidden`` units, or a number for each layer; options as Stack's."""

    hidden: int | tuple[int, ...]
    num_layers: int = 1
    _: KW_ONLY
    bias: bool = True
    double_bias: bool = False

    def cell_stack(self) -> tuple[_cells.Cell, ...]:
        return tuple(_cells.LSTM(n, self.bias, self.double_bias) for n in _sizes(self.hidden, self.num_layers))


@dataclass(frozen=True, repr=False)
class PeepholeLSTM(Stack):
    """Peephole LSTMs, stacked (see ``cells.PeepholeLSTM``): ``hidden`` units, or a number for each layer."""

    hidden: int | tuple[int, ...]
    num_layers: int = 1
    _: KW_ONLY
    bias: bool = True
    double_bias: bool = False

    def cell_stack(self) -> tuple[_cells.Cell, ...]:
        return tuple(_cells.PeepholeLSTM(n, self.bias, self.double_bias) for n in _sizes(self.hidden, self.num_layers))


@dataclass(frozen=True, repr=False)
class LayerNormLSTM(Stack):
    """Layer-normalized LSTMs, stacked (see ``cells.LayerNormLSTM``): ``hidden`` units, or a number for each layer."""

    hidden: int | tuple[int, ...]
    num_layers: int = 1
    _: KW_ONLY
    bias: bool = True
    epsilon: float = 1e-5

    def cell_stack(self) -> tuple[_cells.Cell, ...]:
        return tuple(_cells.LayerNormLSTM(n, self.bias, self.epsilon) for n in _sizes(self.hidden, self.num_layers))


@dataclass(frozen=True, repr=False)
class GRU(Stack):
    """GRUs, stacked: ``hidden`` units, or a number for each layer; options as Stack's.

    reset_after: the form of PyTorch and Keras (``cells.GRU``); False is the published one (``cells.GRUResetBefore``).
    """

    hidden: int | tuple[int, ...]
    num_layers: int = 1
    _: KW_ONLY
    reset_after: bool = True
    bias: bool = True

    def cell_stack(self) -> tuple[_cells.Cell, ...]:
        form = _cells.GRU if self.reset_after else _cells.GRUResetBefore
        return tuple(form(n, self.bias) for n in _sizes(self.hidden, self.num_layers))
