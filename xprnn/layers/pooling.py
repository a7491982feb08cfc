"""Pooling: one vector for a whole sequence."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from ..arrays import device, namespace
from ..ops.masks import clean
from ..types import Array, Generator, Namespace, Params, Shape, State
from . import shapes
from .base import Context, Layer


@dataclass(frozen=True)
class Pooling(Layer):
    """The last, the mean or the maximum of the real steps: x (B, T, D) becomes y (B, D); with no real step it is 0.

    The last step is the last real one of any mask. The gradient of the maximum goes to the first step that has it.
    Raises ValueError if there is no such ``kind`` or x has no time axis.
    """

    kind: Literal["last", "mean", "max"]

    @property
    def rank(self) -> int | None:
        return 2

    def __post_init__(self) -> None:
        if self.kind not in POOLS:
            raise ValueError(f"Pooling: kind must be one of {', '.join(POOLS)}, not {self.kind!r}.")

    @property
    def shortens(self) -> bool:
        return True

    @property
    def streams(self) -> bool:
        return False

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        return {}, (shapes.features(self, shape, ranks=(2,)),)

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        if x.ndim != 3:
            raise ValueError(f"Pooling met x of shape {tuple(x.shape)}; it takes (batch, time, features).")
        xp = namespace(x)
        mask = xp.ones(x.shape[:2], dtype=xp.bool, device=device(x)) if ctx.mask is None else ctx.mask
        if x.shape[1] == 0:
            return xp.zeros((x.shape[0], x.shape[2]), dtype=x.dtype, device=device(x)), (), (mask[..., None], None)
        y, chosen, share = POOLS[self.kind](xp, x, mask)
        return y, (), (chosen, share)

    def backward(self, p: Params, tape: Any, dy: Array, dstate: State) -> tuple[Array, State, Params]:
        xp = namespace(dy)
        chosen, share = tape
        dx = (dy if share is None else dy * share)[:, None, :]
        return xp.where(chosen, dx, xp.zeros_like(dx)), (), {}


# Each pool: x (B, T, D), mask (B, T) -> y (B, D), where (B, T, D or 1) it took its elements, and their share of dy.


def _last(xp: Namespace, x: Array, mask: Array) -> tuple[Array, Array, None]:
    batch, steps = x.shape[:2]
    count = xp.arange(1, steps + 1, device=device(x))[None, :]
    count = xp.where(mask, count, xp.zeros_like(count))
    last = xp.max(count, axis=1)
    rows = steps * xp.arange(batch, device=device(x)) + xp.maximum(last - 1, xp.zeros_like(last))
    y = clean(xp, xp.take(shapes.fold(xp, x), rows, axis=0), last > 0)
    return y, (mask & (count == last[:, None]))[..., None], None


def _mean(xp: Namespace, x: Array, mask: Array) -> tuple[Array, Array, Array]:
    real = xp.sum(xp.astype(mask, x.dtype), axis=1, keepdims=True)
    share = 1.0 / xp.maximum(real, xp.ones_like(real))
    return xp.sum(clean(xp, x, mask), axis=1) * share, mask[..., None], share


def _max(xp: Namespace, x: Array, mask: Array) -> tuple[Array, Array, None]:
    real = xp.where(mask[..., None], x, xp.full_like(x, -math.inf))
    first = xp.argmax(real, axis=1)[:, None, :]
    step = xp.arange(x.shape[1], device=device(x))[None, :, None]
    return clean(xp, xp.max(real, axis=1), xp.any(mask, axis=1)), mask[..., None] & (step == first), None


POOLS = {"last": _last, "mean": _mean, "max": _max}
