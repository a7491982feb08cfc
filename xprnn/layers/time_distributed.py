"""The wrapper that applies a layer to each step by itself."""

from dataclasses import dataclass
from typing import Any

from ..arrays import namespace
from ..ops.masks import clean
from ..types import Array, Generator, Namespace, Params, Shape, State
from .base import Context, Layer


@dataclass(frozen=True)
class TimeDistributed(Layer):
    """Every step of x (B, T, ...) as a sample of its own for ``layer``, which sees (B·T, ...) and no mask.

    Parameters: those of ``layer``, under the same names. A state of ``layer`` begins anew in each step.
    Dense, LayerNorm, Activation, Dropout and Embedding do this by themselves. Raises ValueError if x has no time axis.
    """

    layer: Layer

    @property
    def rank(self) -> int | None:
        return 2

    @property
    def takes_ids(self) -> bool:
        return self.layer.takes_ids

    def check(self, x: Array, mask: Array | None) -> None:
        xp = namespace(x)
        self.layer.check(_fold(xp, clean(xp, x, mask)), None)

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        if not shape:
            raise ValueError("TimeDistributed takes samples of shape (time, ...), not ().")
        p, out = self.layer.init(rng, shape[1:])
        return p, (shape[0], *out)

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        if x.ndim < 2:
            raise ValueError(f"TimeDistributed met x of shape {tuple(x.shape)}; it takes (batch, time, ...).")
        xp = namespace(x)
        y, _, tape = self.layer.forward(p, _fold(xp, clean(xp, x, ctx.mask)), None, ctx._replace(mask=None))
        return xp.reshape(y, (*x.shape[:2], *y.shape[1:])), (), (tape, ctx.mask)

    def backward(self, p: Params, tape: Any, dy: Array, dstate: State) -> tuple[Array | None, State, Params]:
        xp = namespace(dy)
        tape, mask = tape
        dx, _, grads = self.layer.backward(p, tape, _fold(xp, clean(xp, dy, mask)), None)
        return None if dx is None else xp.reshape(dx, (*dy.shape[:2], *dx.shape[1:])), (), grads


def _fold(xp: Namespace, x: Array) -> Array:
    """x (B, T, ...) as samples (B·T, ...)."""
    return xp.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))
