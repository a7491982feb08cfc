"""A cell over time in one direction: the one place where (B, T, D) becomes (T, B, D)."""

from dataclasses import dataclass
from typing import Any

from .. import initializers, kernels, tree
from ..arrays import device, is_numpy, namespace
from ..cells import Cell
from ..ops.masks import clean
from ..random import Key
from ..scan import scan, scan_vjp, zero_state
from ..types import Array, Generator, Namespace, Params, Shape, Sizes, State, Step
from . import shapes
from .base import Context, Layer


@dataclass(frozen=True)
class Direction(Layer):
    """Run ``cell`` over x (B, T, D) -> y (B, T, H), or the last output (B, H), and the last state, a tuple of (B, n).

    reverse:           walk from each sequence's last real step to its first.
    segment:           checkpointing: keep the states between pieces of this many steps, compute the rest twice.
    recurrent_dropout: the rate at which units of h are dropped on their way into the recurrent weights, with one mask
                       a sequence and call (Gal and Ghahramani, 2016).
    learn_state:       the initial state is a parameter, "state0", "state1", ... (n,), where none is given.
    return_sequences:  the whole sequence, or the last output alone, at each sequence's end.
    """

    cell: Cell
    reverse: bool = False
    segment: int | None = None
    recurrent_dropout: float = 0.0
    learn_state: bool = False
    return_sequences: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.cell, Cell):
            raise TypeError(f"a recurrent layer is made of cells, such as cells.LSTM(64), not of {self.cell!r}")
        if not all(map(shapes.is_count, self.cell.state_sizes or (0,))):
            raise ValueError(f"a cell has a state of one or more units, not {self.cell.state_sizes} as {self.cell}")
        if self.segment is not None and not shapes.is_count(self.segment):
            raise ValueError(f"segment is a number of steps, 1 or more, not {self.segment!r}")
        shapes.check_rate("recurrent_dropout", self.recurrent_dropout)
        if self.recurrent_dropout and not self.cell.takes_dropout:
            raise ValueError(
                f"recurrent_dropout={self.recurrent_dropout}, but {self.cell} does not take it: its steps would have "
                "to send h through ops.gates.drop, and say takes_dropout = True"
            )

    @property
    def rank(self) -> int | None:
        return 2

    @property
    def state_sizes(self) -> Sizes:
        return self.cell.state_sizes

    @property
    def shortens(self) -> bool:
        return not self.return_sequences

    @property
    def streams(self) -> bool:
        return not self.reverse

    @property
    def overlaps(self) -> bool:
        return not (self.reverse or self.cell.zoneout)

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        if len(shape) != 2 or shape[1] is None:
            raise ValueError(f"{self.cell} runs over samples of shape (time, features), not {shape}")
        p = self.cell.init(rng, shape[1])
        begin = {name: initializers.zeros(rng, (n,)) for name, n in zip(self._begin(), self.state_sizes, strict=False)}
        taken = p.keys() & {"keep", *begin}
        if taken:
            raise ValueError(f"{self.cell} has parameters of the names {sorted(taken)}, which are the library's own")
        width = self.cell.state_sizes[0]
        return p | begin, (shape[0], width) if self.return_sequences else (width,)

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        xp = namespace(x)
        self._check(x, state)
        x = self._with_zones(xp, _swap(xp, x), ctx.step_key)
        mask = None if ctx.mask is None else xp.permute_dims(ctx.mask, (1, 0))[:, :, None]
        began = self._begin()
        cell_p = {name: a for name, a in p.items() if name not in began} if began else dict(p)
        if self.recurrent_dropout and ctx.key is not None:
            shape = (x.shape[1], self.cell.state_sizes[0])
            cell_p |= {"keep": ctx.key.fold("recurrent").keep(xp, x, shape, self.recurrent_dropout)}
        s = self._initial(xp, p, x) if state is None else state
        ys, end, tape = scan(
            self.cell, cell_p, x, s, mask=mask, reverse=self.reverse, segment=self.segment, tape=ctx.tape,
            outputs=self.return_sequences,
        )  # fmt: skip
        any_step = None if self.return_sequences else ctx.any_step
        y = clean(xp, end[0], any_step) if ys is None else _swap(xp, ys)
        return y, end, (cell_p, tape, state is None, end, any_step)

    def stepper(self, like: Array) -> Step:
        run, begin, zones = kernels.stepper(self.cell, like), self._begin(), bool(self.cell.zoneout)

        def step(p: Params, x: Array, state: State) -> tuple[Array, State]:
            if zones:
                x = self._with_zones(namespace(x), x, None)
            s = self._initial(namespace(x), p, x[None, ...]) if state is None else state
            return run({name: a for name, a in p.items() if name not in begin} if begin else p, x, s)

        return step

    def backward(self, p: Params, tape: Any, dy: Array | None, dstate: State) -> tuple[Array, State, Params]:
        dx, ds, dp = self._backward(tape, dy, dstate, True)
        features = dx.shape[2] - (sum(self.state_sizes) if self.cell.zoneout else 0)
        return _swap(namespace(dx), dx[..., :features]), ds, dp

    def gradients(self, p: Params, tape: Any, dy: Array | None, dstate: State) -> tuple[State, Params]:
        return self._backward(tape, dy, dstate, False)[1:]

    def _backward(self, tape: Any, dy: Array | None, dstate: State, inputs: bool) -> tuple[Any, State, Params]:
        """``backward`` with dx (T, B, D), or None unless ``inputs``."""
        cell_p, kept, began, end, any_step = tape
        xp = namespace(end[0])
        if dy is not None and not self.return_sequences:  # what comes back to the last output does so to the last state
            last = (clean(xp, dy, any_step), *(xp.zeros_like(a) for a in end[1:]))
            dy, dstate = None, last if dstate is None else tree.map(lambda a, b: a + b, last, dstate)
        dys = None if dy is None else _swap(xp, dy)
        dx, ds, dp = scan_vjp(self.cell, cell_p, kept, dys, dstate, inputs=inputs)
        for name, a in zip(self._begin(), ds, strict=False):
            dp[name] = xp.sum(a, axis=0) if began else xp.zeros_like(a[0, :])
        return dx, ds, dp

    def _with_zones(self, xp: Namespace, x: Array, key: Key | None) -> Array:
        """x (..., D), and behind it what zoneout, if any, does to each unit: drawn, or without a key expected."""
        if not self.cell.zoneout:
            return x
        parts = [x]
        for n, (width, rate) in enumerate(zip(self.state_sizes, self.cell.zoneout, strict=False)):
            shape = (*x.shape[:-1], width)
            if key is None:
                parts.append(xp.full(shape, 1 - rate, dtype=x.dtype, device=device(x)))
            else:
                parts.append(xp.astype(key.fold("zoneout").fold(n).keep(xp, x, shape, rate) > 0, x.dtype))
        return xp.concat(parts, axis=-1)

    def _initial(self, xp: Namespace, p: Params, x: Array) -> tuple[Array, ...]:
        zeros = zero_state(self.cell, x)
        return tuple(a + p[name] for name, a in zip(self._begin(), zeros, strict=True)) if self.learn_state else zeros

    def _begin(self) -> tuple[str, ...]:
        """The names of the learned initial state's leaves; none where it is not learned."""
        return tuple(f"state{n}" for n in range(len(self.state_sizes))) if self.learn_state else ()

    def _check(self, x: Array, state: State) -> None:
        if x.ndim != 3 or x.shape[1] == 0:
            raise ValueError(f"{self.cell} wants x (batch, time ≥ 1, features), not one of shape {tuple(x.shape)}")
        if state is None:
            return
        wanted = [(x.shape[0], n) for n in self.cell.state_sizes]
        if [tuple(a.shape) for a in state] != wanted:
            raise ValueError(f"{self.cell} wants a state of shapes {wanted}, not {[tuple(a.shape) for a in state]}")


def _swap(xp: Namespace, a: Array) -> Array:
    """(B, T, n) <-> (T, B, n); NumPy's permute_dims takes five times as long as its method."""
    return a.swapaxes(0, 1) if is_numpy(a) else xp.permute_dims(a, (1, 0, 2))
