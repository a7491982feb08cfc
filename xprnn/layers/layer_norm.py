"""Layer normalization."""

from dataclasses import dataclass
from typing import Any

from .. import initializers
from ..arrays import namespace
from ..ops.masks import clean
from ..types import Array, Generator, Params, Shape, State
from . import shapes
from .base import Context, Layer

HUGE = 1e15  # squares of float32 overflow at 1.8e19, so larger rows are divided by their largest element


@dataclass(frozen=True)
class LayerNorm(Layer):
    """y = g ⊙ n + b with n = (x - μ) / √(σ² + ε), where μ and σ² are mean and variance over the last axis.

    x (B, D) or (B, T, D). Parameters: the gain g (D,), ones, and the bias b (D,), zeros.
    Raises ValueError if ε is not above 0 or x does not fit. Source: Ba, Kiros and Hinton (2016).
    """

    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise ValueError(f"LayerNorm: epsilon must be above 0, not {self.epsilon!r}.")

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        width = shapes.features(self, shape)
        return {"g": initializers.constant(1.0)(rng, (width,)), "b": initializers.zeros(rng, (width,))}, shape

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        shapes.check_width(self, x, p["g"].shape[0])
        xp = namespace(x)
        x = clean(xp, x, ctx.mask)
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        largest = xp.max(xp.abs(centred), axis=-1, keepdims=True)
        unit = xp.where(largest > HUGE, largest, xp.ones_like(largest))
        centred = centred / unit
        rate = 1.0 / xp.sqrt(xp.mean(centred * centred, axis=-1, keepdims=True) + self.epsilon / unit / unit)
        n = centred * rate
        return p["g"] * n + p["b"], (), (n, rate / unit, ctx.mask)

    def backward(self, p: Params, tape: Any, dy: Array, dstate: State) -> tuple[Array, State, Params]:
        xp = namespace(dy)
        n, rate, mask = tape
        dy = clean(xp, dy, mask)
        dn = p["g"] * dy
        dx = rate * (dn - xp.mean(dn, axis=-1, keepdims=True) - n * xp.mean(dn * n, axis=-1, keepdims=True))
        grads = {"g": xp.sum(shapes.fold(xp, dy * n), axis=0), "b": xp.sum(shapes.fold(xp, dy), axis=0)}
        return dx, (), grads
