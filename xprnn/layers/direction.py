"""A cell over time in one direction: the one place where (B, T, D) becomes (T, B, D)."""

from dataclasses import dataclass
from typing import Any

from .. import initializers
from ..arrays import namespace
from ..cells import Cell
from ..ops.masks import clean
from ..scan import scan, scan_vjp, zero_state
from ..types import Array, Generator, Namespace, Params, Shape, Sizes, State
from .base import Context, Layer


@dataclass(frozen=True)
class Direction(Layer):
    """Run ``cell`` over x (B, T, D) -> y (B, T, H) and the last state, a tuple of (B, n).

    reverse:           walk from each sequence's last real step to its first.
    segment:           checkpointing: keep the states between pieces of this many steps, compute the rest twice.
    recurrent_dropout: the rate at which units of h are dropped on their way into the recurrent weights, with one mask
                       a sequence and call (Gal and Ghahramani, 2016).
    learn_state:       the initial state is a parameter, "state0", "state1", ... (n,), where none is given.
    """

    cell: Cell
    reverse: bool = False
    segment: int | None = None
    recurrent_dropout: float = 0.0
    learn_state: bool = False

    @property
    def rank(self) -> int | None:
        return 2

    @property
    def state_sizes(self) -> Sizes:
        return self.cell.state_sizes

    @property
    def streams(self) -> bool:
        return not self.reverse

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        if len(shape) != 2 or shape[1] is None:
            raise ValueError(f"{self.cell} runs over samples of shape (time, features), not {shape}")
        p = self.cell.init(rng, shape[1])
        if self.learn_state:
            p |= {f"state{leaf}": initializers.zeros(rng, (n,)) for leaf, n in enumerate(self.cell.state_sizes)}
        return p, (shape[0], self.cell.state_sizes[0])

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        xp = namespace(x)
        self._check(x, state)
        x, mask = _swap(xp, x), None if ctx.mask is None else xp.permute_dims(ctx.mask, (1, 0))[:, :, None]
        cell_p = {name: a for name, a in p.items() if not name.startswith("state")}
        if self.recurrent_dropout and ctx.key is not None:
            shape = (x.shape[1], self.cell.state_sizes[0])
            cell_p |= {"keep": ctx.key.fold("recurrent").keep(xp, x, shape, self.recurrent_dropout)}
        s = self._initial(xp, p, x) if state is None else state
        ys, end, tape = scan(
            self.cell, cell_p, x, s, mask=mask, reverse=self.reverse, segment=self.segment, keep=ctx.tape
        )
        return _swap(xp, ys), end, (cell_p, tape, state is None)

    def backward(self, p: Params, tape: Any, dy: Array | None, dstate: State) -> tuple[Array, State, Params]:
        cell_p, kept, began = tape
        xp = namespace(*cell_p.values())
        dys = None if dy is None else _swap(xp, dy)
        dx, ds, dp = scan_vjp(self.cell, cell_p, kept, dys, dstate)
        if self.learn_state:
            dp |= {f"state{n}": xp.sum(a, axis=0) if began else xp.zeros_like(a[0, :]) for n, a in enumerate(ds)}
        return _swap(xp, dx), ds, dp

    def final(self, state: State, any_step: Array | None) -> Array:
        """The last output (B, H), given the last state: 0 in rows without a step."""
        return clean(namespace(state[0]), state[0], any_step)

    def final_vjp(self, state: State, any_step: Array | None, dy: Array) -> State:
        """The last state's cotangent from that of ``final``'s result."""
        xp = namespace(dy)
        return (clean(xp, dy, any_step), *(xp.zeros_like(a) for a in state[1:]))

    def _initial(self, xp: Namespace, p: Params, x: Array) -> tuple[Array, ...]:
        zeros = zero_state(self.cell, x)
        return tuple(a + p[f"state{n}"] for n, a in enumerate(zeros)) if self.learn_state else zeros

    def _check(self, x: Array, state: State) -> None:
        if x.ndim != 3 or x.shape[1] == 0:
            raise ValueError(f"{self.cell} wants x (batch, time ≥ 1, features), not one of shape {tuple(x.shape)}")
        wanted = [(x.shape[0], n) for n in self.cell.state_sizes]
        if state is not None and [tuple(a.shape) for a in state] != wanted:
            raise ValueError(f"{self.cell} wants a state of shapes {wanted}, not {[tuple(a.shape) for a in state]}")


def _swap(xp: Namespace, a: Array) -> Array:
    """(B, T, n) <-> (T, B, n)"""
    return xp.permute_dims(a, (1, 0, 2))
