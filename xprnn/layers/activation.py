"""The activation layer, and the bend that dense layers share with it: an elementwise activation or softmax."""

from dataclasses import dataclass
from typing import Any

from ..arrays import namespace
from ..ops import activations
from ..ops.masks import clean
from ..ops.softmax import softmax, softmax_vjp
from ..types import Array, Generator, Namespace, Params, Shape, State
from . import shapes
from .base import Context, Layer


@dataclass(frozen=True)
class Activation(Layer):
    """y = f(x), for x (B, D) or (B, T, D); "softmax" goes over the last axis, all else is elementwise.

    ``name`` is f: a name that ``xprnn.ops.activations`` knows, or "softmax". Raises ValueError if there is none such.
    """

    name: str

    def __post_init__(self) -> None:
        check_name(self.name)

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        shapes.features(self, shape)
        return {}, shape

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        xp = namespace(x)
        y, kept = bend(xp, self.name, clean(xp, x, ctx.mask))
        return y, (), (kept, ctx.mask)

    def backward(self, p: Params, tape: Any, dy: Array, dstate: State) -> tuple[Array, State, Params]:
        xp = namespace(dy)
        kept, mask = tape
        return bend_vjp(xp, self.name, kept, clean(xp, dy, mask)), (), {}


def check_name(name: str | None) -> None:
    """Raise ValueError unless ``name`` is an activation's, "softmax" or None."""
    if name is not None and name != "softmax":
        activations.get(name)


def bend(xp: Namespace, name: str | None, x: Array) -> tuple[Array, Array | None]:
    """y = f(x), and what ``bend_vjp`` needs of them; None is the identity."""
    if name is None:
        return x, None
    if name == "softmax":
        y = softmax(xp, x)
        return y, y
    f = activations.get(name)
    y = f.function(xp, x)
    return y, f.saved(x, y)


def bend_vjp(xp: Namespace, name: str | None, kept: Array | None, dy: Array) -> Array:
    """The reverse of ``bend``: dx from dy."""
    if name is None:
        return dy
    if name == "softmax":
        return softmax_vjp(xp, kept, dy)
    return dy * activations.get(name).slope(xp, kept)
