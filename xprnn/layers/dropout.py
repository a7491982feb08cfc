"""Dropout: noise that is there in training only."""

from dataclasses import dataclass
from typing import Any

from ..arrays import namespace
from ..ops.masks import clean
from ..types import Array, Generator, Params, Shape, State
from . import shapes
from .base import Context, Layer


@dataclass(frozen=True)
class Dropout(Layer):
    """y = x ⊙ m in training, where m is 0 with probability ``rate`` and else 1 / (1 - rate); y = x otherwise.

    x (B, D) or (B, T, D); every element has its own m. Training is when the call has a key; the same key gives the same
    m on every array library. Raises ValueError unless 0 <= rate < 1.
    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014).
    """

    rate: float

    def __post_init__(self) -> None:
        shapes.check_rate("Dropout: rate", self.rate)

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        shapes.features(self, shape)
        return {}, shape

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        key = ctx.step_key
        if key is None or self.rate == 0:
            return x, (), None
        xp = namespace(x)
        keep = key.keep(xp, x, x.shape, self.rate)
        return clean(xp, x, ctx.mask) * keep, (), (keep, ctx.mask)

    def backward(self, p: Params, tape: Any, dy: Array, dstate: State) -> tuple[Array, State, Params]:
        if tape is None:
            return dy, (), {}
        xp = namespace(dy)
        keep, mask = tape
        return clean(xp, dy, mask) * keep, (), {}
