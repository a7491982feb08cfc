"""Layer normalization."""

from dataclasses import dataclass
from typing import Any

from .. import initializers
from ..arrays import namespace
from ..ops.masks import clean
from ..ops.norm import normalize_huge, normalize_vjp
from ..types import Array, Generator, Params, Shape, State
from . import shapes
from .base import Context, Layer


@dataclass(frozen=True)
class LayerNorm(Layer):
    """y = g ⊙ n + b with n = (x - μ) / √(σ² + ε), where μ and σ² are mean and variance over the last axis.

    x (B, D) or (B, T, D). Parameters: g (D,), ones, unless ``gain`` is False; b (D,), zeros, unless ``bias`` is.
    Raises ValueError if ε is not above 0 or x does not fit. Source: Ba, Kiros and Hinton (2016).
    """

    epsilon: float = 1e-5
    gain: bool = True
    bias: bool = True

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise ValueError(f"LayerNorm: epsilon must be above 0, not {self.epsilon!r}.")

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        width = shapes.features(self, shape)
        g = {"g": initializers.constant(1.0)(rng, (width,))} if self.gain else {}
        b = {"b": initializers.zeros(rng, (width,))} if self.bias else {}
        return g | b, shape

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        shapes.check_width(self, x, next((a.shape[0] for a in p.values()), x.shape[-1]))
        xp = namespace(x)
        n, rate = normalize_huge(xp, clean(xp, x, ctx.mask), self.epsilon)
        y = p["g"] * n if self.gain else n
        return y + p["b"] if self.bias else y, (), (n, rate, ctx.mask)

    def backward(self, p: Params, tape: Any, dy: Array, dstate: State) -> tuple[Array, State, Params]:
        xp = namespace(dy)
        n, rate, mask = tape
        dy = clean(xp, dy, mask)
        dn = p["g"] * dy if self.gain else dy
        dx = rate * normalize_vjp(xp, n, dn)
        g = {"g": xp.sum(shapes.fold(xp, dy * n), axis=0)} if self.gain else {}
        b = {"b": xp.sum(shapes.fold(xp, dy), axis=0)} if self.bias else {}
        return dx, (), g | b
