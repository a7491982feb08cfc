"""Masking: padding that is told by its value."""

from dataclasses import dataclass
from typing import Any

from ..arrays import namespace
from ..ops.masks import clean
from ..types import Array, Generator, Params, Shape, State
from . import shapes
from .base import Context, Layer


@dataclass(frozen=True)
class Masking(Layer):
    """Steps of x (B, T, D) whose features all equal ``mask_value`` become padding: y is 0 there, else x.

    What a mask has made padding already stays so. Raises ValueError if x has no time axis. Source: Keras.
    """

    mask_value: float = 0.0

    @property
    def rank(self) -> int | None:
        return 2

    @property
    def makes_mask(self) -> bool:
        return True

    def mask_after(self, x: Array, mask: Array | None) -> Array:
        real = namespace(x).any(x != self.mask_value, axis=-1)
        return real if mask is None else mask & real

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        shapes.features(self, shape, ranks=(2,))
        return {}, shape

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        if x.ndim != 3:
            raise ValueError(f"Masking met x of shape {tuple(x.shape)}; it takes (batch, time, features).")
        mask = self.mask_after(x, ctx.mask)
        return clean(namespace(x), x, mask), (), mask

    def backward(self, p: Params, tape: Any, dy: Array, dstate: State) -> tuple[Array, State, Params]:
        return clean(namespace(dy), dy, tape), (), {}
