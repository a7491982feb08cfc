"""Dropout with one mask for all steps of a sequence."""

from dataclasses import dataclass
from typing import Any

from ..arrays import namespace
from ..ops.masks import clean
from ..types import Array, Generator, Params, Shape, State
from . import shapes
from .base import Context, Layer


@dataclass(frozen=True)
class SequenceDropout(Layer):
    """yₜ = xₜ ⊙ m in training, where m (B, 1, D) is 0 with probability ``rate`` and else 1 / (1 - rate); else y = x.

    x (B, T, D): a feature is dropped at every step of a sequence or at none. Training is when the call has a key; the
    same key gives the same m on every array library. Raises ValueError unless 0 <= rate < 1 and x has a time axis.
    Source: Gal and Ghahramani, A theoretically grounded application of dropout in recurrent neural networks (2016).
    """

    rate: float

    def __post_init__(self) -> None:
        shapes.check_rate("SequenceDropout: rate", self.rate)

    @property
    def rank(self) -> int | None:
        return 2

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        shapes.features(self, shape, ranks=(2,))
        return {}, shape

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        if x.ndim != 3:
            raise ValueError(f"SequenceDropout met x of shape {tuple(x.shape)}; it takes (batch, time, features).")
        if ctx.key is None or self.rate == 0:
            return x, (), None
        xp = namespace(x)
        keep = ctx.key.keep(xp, x, (x.shape[0], 1, x.shape[2]), self.rate)
        return clean(xp, x, ctx.mask) * keep, (), (keep, ctx.mask)

    def backward(self, p: Params, tape: Any, dy: Array, dstate: State) -> tuple[Array, State, Params]:
        if tape is None:
            return dy, (), {}
        xp = namespace(dy)
        keep, mask = tape
        return clean(xp, dy, mask) * keep, (), {}
