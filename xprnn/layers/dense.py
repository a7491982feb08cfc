"""The dense layer: the same affine map for every sample and every step."""

from dataclasses import dataclass
from typing import Any

from .. import initializers
from ..arrays import namespace
from ..ops.masks import clean
from ..types import Array, Generator, Params, Shape, State
from . import activation as bends
from . import shapes
from .base import Context, Layer


@dataclass(frozen=True)
class Dense(Layer):
    """y = f(x W + b), for x (B, D) or, each step alike, (B, T, D).

    Parameters: W (D, units), Glorot uniform; b (units,), zeros, unless ``bias`` is False.
    ``activation`` is f: a name that ``xprnn.ops.activations`` knows, "softmax", or None for the identity.
    Raises ValueError if units is no integer above 0, there is no such activation, or x does not fit.
    """

    units: int
    activation: str | None = None
    bias: bool = True

    def __post_init__(self) -> None:
        shapes.check_positive(self, "units", self.units)
        bends.check_name(self.activation)

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        width = shapes.features(self, shape)
        p = {"W": initializers.glorot_uniform(rng, (width, self.units))}
        if self.bias:
            p["b"] = initializers.zeros(rng, (self.units,))
        return p, (*shape[:-1], self.units)

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        shapes.check_width(self, x, p["W"].shape[0])
        xp = namespace(x)
        rows = shapes.fold(xp, clean(xp, x, ctx.mask))
        z = rows @ p["W"]
        y, kept = bends.bend(xp, self.activation, z + p["b"] if self.bias else z)
        return xp.reshape(y, (*x.shape[:-1], self.units)), (), (rows, kept, ctx.mask)

    def backward(self, p: Params, tape: Any, dy: Array, dstate: State) -> tuple[Array, State, Params]:
        xp = namespace(dy)
        rows, kept, mask = tape
        dz = bends.bend_vjp(xp, self.activation, kept, shapes.fold(xp, clean(xp, dy, mask)))
        grads = {"W": rows.T @ dz}
        if self.bias:
            grads["b"] = xp.sum(dz, axis=0)
        return xp.reshape(dz @ p["W"].T, (*dy.shape[:-1], rows.shape[-1])), (), grads
