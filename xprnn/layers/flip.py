"""The steps of a sequence in reverse order."""

from dataclasses import dataclass
from typing import Any

from ..arrays import device, namespace
from ..types import Array, Generator, Namespace, Params, Shape, State
from . import shapes
from .base import Context, Layer


@dataclass(frozen=True)
class Flip(Layer):
    """yₜ = x of step T - 1 - t, for x (B, T, D); of a masked sequence the real steps change places among themselves.

    Padding stays where it is, as it is. Twice is the identity, so the reverse is the layer itself.
    Raises ValueError if x has no time axis.
    """

    @property
    def rank(self) -> int | None:
        return 2

    @property
    def streams(self) -> bool:
        return False

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        shapes.features(self, shape, ranks=(2,))
        return {}, shape

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        if x.ndim != 3:
            raise ValueError(f"Flip met x of shape {tuple(x.shape)}; it takes (batch, time, features).")
        return _flip(namespace(x), x, ctx.mask), (), ctx.mask

    def backward(self, p: Params, tape: Any, dy: Array, dstate: State) -> tuple[Array, State, Params]:
        return _flip(namespace(dy), dy, tape), (), {}


def _flip(xp: Namespace, x: Array, mask: Array | None) -> Array:
    if mask is None:
        return xp.flip(x, axis=1)
    batch, steps = mask.shape
    first = steps * xp.arange(batch, device=device(x))[:, None]
    real = xp.astype(mask, first.dtype)
    behind = xp.sum(real, axis=1, keepdims=True) - xp.cumulative_sum(real, axis=1)  # real steps after this one
    places = xp.argsort(1 - real, axis=1, stable=True)  # where the first, second, ... real step stands
    chosen = xp.take(xp.reshape(places, (-1,)), xp.reshape(first + xp.where(mask, behind, 0 * behind), (-1,)), axis=0)
    here = xp.arange(steps, device=device(x))[None, :] + 0 * first
    rows = first + xp.where(mask, xp.reshape(xp.astype(chosen, first.dtype), mask.shape), here)
    return xp.reshape(xp.take(shapes.fold(xp, x), xp.reshape(rows, (-1,)), axis=0), x.shape)
