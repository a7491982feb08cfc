"""RNN, LSTM and GRU as PyTorch has them: layers of cells over whole sequences."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import cells
from ..backend import Backend
from ..layers.base import Context
from ..layers.recurrent import Recurrent as Stacked
from ..lengths import lengths_to_mask
from ..random import Key
from ..types import Array, Params, State
from . import door
from .module import Module, Place

Pullback = Callable[..., tuple[Array, Any, dict[str, Array]]]


class Call(NamedTuple):
    """What passed the door: the layer's arguments, and the axes that its results go out in."""

    axes: door.Axes
    p: Params
    x: Array
    state: State
    ctx: Context


class Recurrent(Module):
    """What RNN, LSTM and GRU share; ``key`` and ``calls`` say where dropout without a key of its own comes from.

    Call number ``calls``, counted from 0 in training mode, drops by key.fold(calls). Setting ``calls`` back replays.
    """

    key: Key
    calls: int
    proj_size: int = 0

    def __call__(self, x: Array, hx: Any = None, *, lengths: Any = None, key: Key | None = None) -> tuple[Array, Any]:
        """The same as ``forward``."""
        return self.forward(x, hx, lengths=lengths, key=key)

    def forward(self, x: Array, hx: Any = None, *, lengths: Any = None, key: Key | None = None) -> tuple[Array, Any]:
        """Run over x (time, batch, D), (batch, time, D) if ``batch_first``, or (time, D) -> out, h_n.

        hx:      the initial state (directions · layers, batch, H), or (directions · layers, H) where x has no batch;
                 a pair (h_0, c_0) for an LSTM. None is zeros.
        lengths: the number of real steps of each sequence, integers from 0 to time, in any order; one integer where x
                 has no batch. What x holds behind them is never used; out is 0 there, h_n is the state at each
                 sequence's end, and the reverse direction starts there: what PyTorch does with a PackedSequence.
        key:     where this call's dropout comes from, instead of ``self.key`` and ``self.calls``.

        out has the axes of x and directions · H features; h_n the form of hx. Raises BackendError, TypeError or
        ValueError, with what was met and what is wanted, for arguments that do not fit.
        """
        with self.backend.active():
            axes, p, x, state, ctx = self._enter(x, hx, lengths, key)
            y, end, _ = self._layer.forward(p, x, state, ctx._replace(tape=False))
            return axes.leave(y), self._join(end, axes)

    def vjp(
        self, x: Array, hx: Any = None, *, lengths: Any = None, key: Key | None = None
    ) -> tuple[Array, Any, Pullback]:
        """``forward``, and its reverse: out, h_n, pullback.

        pullback(dout=None, dh_n=None) -> dx, dhx, grads takes the gradients of a loss by out and h_n, in their shapes
        (None: zero), to those by x, hx and the weights, a dict under the weights' names. It may be called more than
        once. Until then x, hx and the weights must not be written into; replacing the weights is fine.
        """
        with self.backend.active():
            axes, p, x, state, ctx = self._enter(x, hx, lengths, key)
            y, end, tape = self._layer.forward(p, x, state, ctx)
            out, h_n = door.own(axes.leave(y)), self._join(end, axes)
        shape, batch = tuple(out.shape), y.shape[0]

        def pullback(dout: Array | None = None, dh_n: Any = None) -> tuple[Array, Any, dict[str, Array]]:
            with self.backend.active():
                if dout is not None:
                    door.check(self.backend, dout, "dout", shape)
                    dout = axes.enter(dout)
                ds = None if dh_n is None else self._split(dh_n, axes, batch, ("dh_n", "dc_n"))
                dx, dstate, grads = self._layer.backward(p, tape, dout, ds)
                return axes.leave(dx), self._join(dstate, axes), self._gradients(grads)

        return out, h_n, pullback

    def __repr__(self) -> str:
        usual = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        given = {name: getattr(self, name) for name in ("proj_size", *usual)}
        options = [f"{name}={value}" for name, value in given.items() if value != usual.get(name, 0)]
        return f"{type(self).__name__}({', '.join([str(self.input_size), str(self.hidden_size), *options])})"

    def _stack(
        self, cell: cells.Cell, input_size: int, num_layers: int, bias: bool, batch_first: bool, dropout: float,
        bidirectional: bool, place: Place,
    ) -> None:  # fmt: skip
        """What constructors share, the arguments in PyTorch's order."""
        features, num_layers = door.size("input_size", input_size), door.size("num_layers", num_layers)
        for what, flag in {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}.items():
            door.check_flag(what, flag)
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional = dropout, bidirectional
        layer = Stacked((cell,) * num_layers, bidirectional=bidirectional, dropout=dropout)
        if dropout and num_layers == 1:
            warnings.warn(f"dropout={dropout} is for between layers, and num_layers is 1", UserWarning, stacklevel=3)
        self._widths = cell.state_sizes
        self.key, self.calls = Key(place.seed).fold("dropout"), 0
        self._begin(layer, features, cell.hidden, place)

    def _enter(self, x: Array, hx: Any, lengths: Any, key: Key | None) -> Call:
        """Look at all that a call brings, and put it into the layer's axes."""
        door.check(self.backend, x, "x")
        axes = door.Axes(x.ndim == 3, self.batch_first)
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            names = "batch, time" if self.batch_first else "time, batch"
            wanted = f"({names}, {self.input_size}), or (time, {self.input_size}) for a single sequence"
            raise ValueError(f"`x` has the shape {tuple(x.shape)}; {self!r} wants {wanted}")
        met, x = tuple(x.shape), axes.enter(x)
        B, T, _ = x.shape
        if T == 0:
            raise ValueError(f"`x` has the shape {met}: no steps; {self!r} wants one or more")
        state = None if hx is None else self._split(hx, axes, B, ("h_0", "c_0"))
        mask = None
        if lengths is not None:
            mask = lengths_to_mask(self.backend, lengths if axes.batched else [lengths], B, T)
        return Call(axes, self._params(), x, state, Context(mask, self._dropout_key(key)))

    def _dropout_key(self, key: Key | None) -> Key | None:
        """This call's key; None where nothing is dropped."""
        if key is not None and not isinstance(key, Key):
            raise TypeError(f"key is an xprnn.random.Key, such as Key(0).fold(step), not {key!r}")
        if not (self.training and self.dropout):
            return None
        if key is None:
            key = self.key.fold(self.calls)
            self.calls += 1
        return key

    def _split(self, state: Any, axes: door.Axes, batch: int, names: tuple[str, ...]) -> State:
        """PyTorch's state (directions · layers, B, H), layer by layer and forward first -> the layer's state."""
        count = self.num_layers * (1 + self.bidirectional)
        shapes = [(count, batch, n) if axes.batched else (count, n) for n in self._widths]
        found = door.leaves(self.backend, state, names[: len(shapes)], shapes)
        found = found if axes.batched else tuple(a[:, None, :] for a in found)
        each = [tuple(a[n, ...] for a in found) for n in range(count)]
        return tuple(zip(each[::2], each[1::2], strict=True)) if self.bidirectional else tuple(each)

    def _join(self, state: State, axes: door.Axes) -> Any:
        """The layer's state -> PyTorch's."""
        each = [s for pair in state for s in pair] if self.bidirectional else state
        found = tuple(self.backend.xp.stack(list(leaf)) for leaf in zip(*each, strict=True))
        return door.whole(found if axes.batched else tuple(a[:, 0, :] for a in found))


class RNN(Recurrent):
    """Elman networks, stacked: h' = f(W_ih x + b_ih + W_hh h + b_hh), f tanh or relu; see ``cells.RNN``.

    The arguments are torch.nn.RNN's, in its order. ``device`` must be None: ``backend``, as in "cupy:0" or
    "torch:cuda", names library and device. dtype is "float32" (None too) or "float64". dropout, from 0 to below 1, is
    between layers.
    Source: Elman, Finding structure in time, Cognitive Science 14 (1990).
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh", bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        device: None = None, dtype: str | None = None, *, backend: str | Backend = "numpy", seed: int = 0,
    ) -> None:  # fmt: skip
        door.check_nonlinearity(nonlinearity)
        self.nonlinearity = nonlinearity
        place = Place(device, dtype, backend, seed)
        cell = cells.RNN(door.size("hidden_size", hidden_size), nonlinearity, bias, bias)
        self._stack(cell, input_size, num_layers, bias, batch_first, dropout, bidirectional, place)


class LSTM(Recurrent):
    """LSTMs, stacked, gates in the order i f g o; see ``cells.LSTM``. Its states are pairs (h, c).

    The arguments are torch.nn.LSTM's, in its order; those after ``proj_size`` as RNN has them. proj_size is 0, or the
    number P < H of units that h is projected to: h has the width P then and c still H; see ``cells.ProjectedLSTM``.
    Source: Hochreiter and Schmidhuber (1997); Gers, Schmidhuber and Cummins, Learning to forget (2000).
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
        device: None = None, dtype: str | None = None, *, backend: str | Backend = "numpy", seed: int = 0,
    ) -> None:  # fmt: skip
        hidden = door.size("hidden_size", hidden_size)
        self.proj_size = door.projection(proj_size, hidden)
        place = Place(device, dtype, backend, seed)
        cell = cells.ProjectedLSTM(hidden, self.proj_size, bias, bias) if proj_size else cells.LSTM(hidden, bias, bias)
        self._stack(cell, input_size, num_layers, bias, batch_first, dropout, bidirectional, place)


class GRU(Recurrent):
    """GRUs, stacked, gates in the order r z n, the reset after the product; see ``cells.GRU``.

    The arguments are torch.nn.GRU's, in its order; those after ``bidirectional`` as RNN has them.
    Source: Cho et al. (2014), first version on arXiv, in the form of cuDNN.
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True, batch_first: bool = False,
        dropout: float = 0.0, bidirectional: bool = False,
        device: None = None, dtype: str | None = None, *, backend: str | Backend = "numpy", seed: int = 0,
    ) -> None:  # fmt: skip
        place = Place(device, dtype, backend, seed)
        cell = cells.GRU(door.size("hidden_size", hidden_size), bias)
        self._stack(cell, input_size, num_layers, bias, batch_first, dropout, bidirectional, place)
