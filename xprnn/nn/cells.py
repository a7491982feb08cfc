"""RNNCell, LSTMCell and GRUCell as PyTorch has them: one step at a time."""

from collections.abc import Callable
from typing import Any

from .. import cells
from ..backend import Backend
from ..layers.base import Context
from ..layers.direction import Direction
from ..types import Array, State
from . import door
from .module import Module, Place

Pullback = Callable[[Any], tuple[Array, Any, dict[str, Array]]]


class CellModule(Module):
    """What RNNCell, LSTMCell and GRUCell share."""

    def __call__(self, x: Array, hx: Any = None) -> Any:
        """The same as ``forward``."""
        return self.forward(x, hx)

    def forward(self, x: Array, hx: Any = None) -> Any:
        """One step from x (batch, D) or (D,) and the state hx (batch, H) or (H,): the state after it.

        The state is h, or a pair (h, c) for an LSTMCell; None is zeros. Raises BackendError, TypeError or ValueError,
        with what was met and what is wanted, for arguments that do not fit.
        """
        with self.backend.active():
            sequence, state = self._enter(x, hx)
            _, end, _ = self._layer.forward(self._params(), sequence, state, Context(tape=False))
            return self._leave(end, x)

    def vjp(self, x: Array, hx: Any = None) -> tuple[Any, Pullback]:
        """``forward``, and its reverse: the state after the step, pullback.

        pullback(dh) -> dx, dhx, grads takes the gradient of a loss by the state, in its form, to those by x, hx and the
        weights, a dict under the weights' names; a None in a pair is zero. It may be called more than once. Until then
        x, hx and the weights must not be written into; replacing the weights is fine.
        """
        with self.backend.active():
            p, (sequence, state) = self._params(), self._enter(x, hx)
            _, end, tape = self._layer.forward(p, sequence, state, Context())
            after = self._leave(tuple(door.own(a) for a in end), x)

        def pullback(dh: Any) -> tuple[Array, Any, dict[str, Array]]:
            with self.backend.active():
                dx, ds, grads = self._layer.backward(p, tape, None, self._state(dh, x, ("dh", "dc")))
                dx = dx[:, 0, :] if x.ndim == 2 else dx[0, 0, :]  # type: ignore[index]
                return dx, self._leave(ds, x), self._gradients(grads)

        return after, pullback

    def __repr__(self) -> str:
        usual = {"bias": True} | ({"nonlinearity": "tanh"} if isinstance(self, RNNCell) else {})
        options = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return f"{type(self).__name__}({', '.join([str(self.input_size), str(self.hidden_size), *options])})"

    def _one(self, cell: cells.Cell, input_size: int, bias: bool, place: Place) -> None:
        """What constructors share."""
        door.check_flag("bias", bias)
        self.bias = bias
        self._states = len(cell.state_sizes)
        self._begin(Direction(cell), door.size("input_size", input_size), cell.hidden, place)

    def _enter(self, x: Array, hx: Any) -> tuple[Array, State]:
        """Look at all that a call brings -> x (B, 1, D) and the state."""
        door.check(self.backend, x, "x")
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            wanted = f"(batch, {self.input_size}), or ({self.input_size},) for a single row"
            raise ValueError(f"`x` has the shape {tuple(x.shape)}; {self!r} wants {wanted}")
        state = None if hx is None else self._state(hx, x, ("hx",) if self._states == 1 else ("h_0", "c_0"))
        return x[:, None, :] if x.ndim == 2 else x[None, None, :], state

    def _state(self, given: Any, x: Array, names: tuple[str, ...]) -> State:
        """A state as its caller has it -> a tuple of (B, H)."""
        shapes = [(*x.shape[:-1], self.hidden_size)] * self._states
        found = door.leaves(self.backend, given, names[: self._states], shapes)
        return found if x.ndim == 2 else tuple(a[None, :] for a in found)

    def _leave(self, state: State, x: Array) -> Any:
        """A tuple of (B, H) -> the state as x's caller has it."""
        return door.whole(state if x.ndim == 2 else tuple(a[0, :] for a in state))


class RNNCell(CellModule):
    """One step of Elman's network: h' = f(W_ih x + b_ih + W_hh h + b_hh), f tanh or relu; see ``cells.RNN``.

    The arguments are torch.nn.RNNCell's, in its order. ``device`` must be None: ``backend``, as in "cupy:0" or
    "torch:cuda", names library and device. dtype is "float32" (None too) or "float64".
    Source: Elman, Finding structure in time, Cognitive Science 14 (1990).
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: None = None, dtype: str | None = None, *, backend: str | Backend = "numpy", seed: int = 0,
    ) -> None:  # fmt: skip
        door.check_nonlinearity(nonlinearity)
        self.nonlinearity = nonlinearity
        cell = cells.RNN(door.size("hidden_size", hidden_size), nonlinearity, bias, bias)
        self._one(cell, input_size, bias, Place(device, dtype, backend, seed))


class LSTMCell(CellModule):
    """One step of an LSTM, gates in the order i f g o; see ``cells.LSTM``. Its states are pairs (h, c).

    The arguments are torch.nn.LSTMCell's, in its order; ``device`` and those after it as RNNCell has them.
    Source: Hochreiter and Schmidhuber (1997); Gers, Schmidhuber and Cummins, Learning to forget (2000).
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True,
        device: None = None, dtype: str | None = None, *, backend: str | Backend = "numpy", seed: int = 0,
    ) -> None:  # fmt: skip
        cell = cells.LSTM(door.size("hidden_size", hidden_size), bias, bias)
        self._one(cell, input_size, bias, Place(device, dtype, backend, seed))


class GRUCell(CellModule):
    """One step of a GRU, gates in the order r z n, the reset after the product; see ``cells.GRU``.

    The arguments are torch.nn.GRUCell's, in its order; ``device`` and those after it as RNNCell has them.
    Source: Cho et al. (2014), first version on arXiv, in the form of cuDNN.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True,
        device: None = None, dtype: str | None = None, *, backend: str | Backend = "numpy", seed: int = 0,
    ) -> None:  # fmt: skip
        cell = cells.GRU(door.size("hidden_size", hidden_size), bias)
        self._one(cell, input_size, bias, Place(device, dtype, backend, seed))
