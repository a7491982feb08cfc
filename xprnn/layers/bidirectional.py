"""Two directions over the same input, merged."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from ..arrays import namespace
from ..cells import Cell
from ..kernels import both
from ..types import Array, Generator, Params, Shape, Sizes, State
from .base import Context, Layer
from .direction import Direction

MERGES = ("concat", "sum", "mean", "mul")


def check_merge(merge: str) -> None:
    """Raise ValueError unless ``merge`` is a way to merge two directions."""
    if merge not in MERGES:
        raise ValueError(f"merge is one of {', '.join(MERGES)}, not {merge!r}")


@dataclass(frozen=True)
class Bidirectional(Layer):
    """Run ``forward_layer`` and ``backward_layer`` over x (B, T, D) and merge their outputs, step by step.

    merge: "concat" [a, b] (B, T, H1 + H2), "sum" a + b, "mean" (a + b) / 2, "mul" a ⊙ b.
    State: (forward's, backward's).
    With return_sequences=False in both, their last outputs are merged: each direction starts at its own end of every
    sequence, so the forward direction's last step meets the backward direction's last, which stands at time 0.
    Source: Schuster and Paliwal, Bidirectional recurrent neural networks (1997).
    """

    forward_layer: Direction
    backward_layer: Direction
    merge: str = "concat"

    def __post_init__(self) -> None:
        check_merge(self.merge)
        sizes = [layer.cell.state_sizes[0] for layer in (self.forward_layer, self.backward_layer)]
        if self.merge != "concat" and sizes[0] != sizes[1]:
            raise ValueError(f"merge={self.merge!r} wants two outputs of one width, not {sizes[0]} and {sizes[1]}")
        if self.forward_layer.reverse or not self.backward_layer.reverse:
            raise ValueError("of Bidirectional's layers the first has reverse=False and the second reverse=True")
        if self.forward_layer.return_sequences != self.backward_layer.return_sequences:
            raise ValueError("Bidirectional's layers give the whole sequence both, or the last output alone")

    @property
    def rank(self) -> int | None:
        return 2

    @property
    def state_sizes(self) -> Sizes:
        return self.forward_layer.state_sizes, self.backward_layer.state_sizes

    @property
    def shortens(self) -> bool:
        return self.forward_layer.shortens

    @property
    def streams(self) -> bool:
        return False

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        forward, (*time, a) = self.forward_layer.init(rng, shape)
        backward, (*_, b) = self.backward_layer.init(rng, shape)
        return {"forward": forward, "backward": backward}, (*time, a + b if self.merge == "concat" else a)  # type: ignore[operator]

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        s_a, s_b = (None, None) if state is None else state
        ctx_a = ctx if ctx.key is None else ctx._replace(key=ctx.key.fold("forward"))
        ctx_b = ctx if ctx.key is None else ctx._replace(key=ctx.key.fold("backward"))
        (a, end_a, tape_a), (b, end_b, tape_b) = both(
            self._walks(p),
            x,
            lambda: self.forward_layer.forward(p["forward"], x, s_a, ctx_a),
            lambda: self.backward_layer.forward(p["backward"], x, s_b, ctx_b),
        )
        return self._join(a, b), (end_a, end_b), (tape_a, tape_b, a, b, x)

    def backward(self, p: Params, tape: Any, dy: Array | None, dstate: State) -> tuple[Array | None, State, Params]:
        one, other = (partial(layer.backward, *back) for layer, back in self._split(p, tape, dy, dstate))
        (dx_a, ds_a, dp_a), (dx_b, ds_b, dp_b) = both(self._walks(p), tape[4], one, other)
        return dx_a + dx_b, (ds_a, ds_b), {"forward": dp_a, "backward": dp_b}

    def gradients(self, p: Params, tape: Any, dy: Array | None, dstate: State) -> tuple[State, Params]:
        one, other = (partial(layer.gradients, *back) for layer, back in self._split(p, tape, dy, dstate))
        (ds_a, dp_a), (ds_b, dp_b) = both(self._walks(p), tape[4], one, other)
        return (ds_a, ds_b), {"forward": dp_a, "backward": dp_b}

    def _walks(self, p: Params) -> tuple[tuple[Cell, Params], ...]:
        return (self.forward_layer.cell, p["forward"]), (self.backward_layer.cell, p["backward"])

    def _split(self, p: Params, tape: Any, dy: Array | None, dstate: State) -> list[tuple[Direction, tuple]]:
        """Each direction with its part of what comes back."""
        tape_a, tape_b, a, b, _ = tape
        da, db = (None, None) if dy is None else self._join_vjp(a, b, dy)
        ds_a, ds_b = (None, None) if dstate is None else dstate
        return [
            (self.forward_layer, (p["forward"], tape_a, da, ds_a)),
            (self.backward_layer, (p["backward"], tape_b, db, ds_b)),
        ]

    def _join(self, a: Array, b: Array) -> Array:
        if self.merge == "concat":
            return namespace(a).concat([a, b], axis=-1)
        return {"sum": lambda: a + b, "mean": lambda: 0.5 * (a + b), "mul": lambda: a * b}[self.merge]()

    def _join_vjp(self, a: Array, b: Array, dy: Array) -> tuple[Array, Array]:
        if self.merge == "concat":
            return dy[..., : a.shape[-1]], dy[..., a.shape[-1] :]
        if self.merge == "mul":
            return dy * b, dy * a
        return (dy, dy) if self.merge == "sum" else (0.5 * dy, 0.5 * dy)
