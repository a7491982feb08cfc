"""The embedding: a row of a table for each token."""

from dataclasses import dataclass
from typing import Any

from .. import initializers
from ..arrays import namespace
from ..ops.masks import clean
from ..ops.rows import add_rows, signed, take_rows
from ..types import Array, Generator, Params, Shape, State
from . import shapes
from .base import Context, Layer


@dataclass(frozen=True)
class Embedding(Layer):
    """y = W[id], for integer ids (B, T) or (B,), 0 <= id < vocab; in padding ids may be anything and y is 0.

    Parameters: W (vocab, units), from N(0, 1) as in PyTorch. ids have no gradient: dx is None.
    ``mask_zero`` makes id 0 padding for this layer and those after it, as in Keras.
    Raises ValueError if vocab or units is no integer above 0 or the shape does not fit, TypeError if ids are not
    integers.
    """

    vocab: int
    units: int
    mask_zero: bool = False

    @property
    def rank(self) -> int | None:
        return 1

    def __post_init__(self) -> None:
        shapes.check_positive(self, "vocab", self.vocab)
        shapes.check_positive(self, "units", self.units)

    def check(self, x: Array, mask: Array | None) -> None:
        """Raise TypeError if ids are not integers, ValueError for the real one that is farthest out of range."""
        _check_integers(x)
        if 0 in x.shape:
            return
        xp = namespace(x)
        ids = xp.reshape(clean(xp, signed(xp, x), mask), (-1,))
        low, high = int(xp.min(ids)), int(xp.max(ids))
        if low >= 0 and high < self.vocab:
            return
        below = -low > high - self.vocab + 1
        place = int(xp.argmin(ids) if below else xp.argmax(ids))
        where = (place,) if x.ndim == 1 else divmod(place, x.shape[1])
        raise ValueError(
            f"Embedding met id {low if below else high} at {where} of ids {tuple(x.shape)}; with vocab={self.vocab} "
            f"ids go from 0 to {self.vocab - 1}."
        )

    @property
    def makes_mask(self) -> bool:
        return self.mask_zero

    def mask_after(self, x: Array, mask: Array | None) -> Array | None:
        if not self.mask_zero:
            return mask
        return x != 0 if mask is None else mask & (x != 0)

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        if len(shape) > 1:
            raise ValueError(f"Embedding takes samples of token ids, of shape (time,) or (), not {shape}.")
        if self.mask_zero and not shape:
            raise ValueError("Embedding with mask_zero takes samples of shape (time,), not (): a mask is one of steps.")
        return {"W": initializers.normal(1.0)(rng, (self.vocab, self.units))}, (*shape, self.units)

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        _check_integers(x)
        xp = namespace(x)
        x = signed(xp, x)
        mask = self.mask_after(x, ctx.mask)
        ids = clean(xp, x, mask)
        return clean(xp, take_rows(xp, p["W"], ids), mask), (), (ids, mask)

    def backward(self, p: Params, tape: Any, dy: Array, dstate: State) -> tuple[None, State, Params]:
        xp = namespace(dy)
        ids, mask = tape
        return None, (), {"W": add_rows(xp, p["W"].shape, ids, clean(xp, dy, mask))}


def _check_integers(x: Array) -> None:
    if not namespace(x).isdtype(x.dtype, "integral"):
        raise TypeError(f"Embedding takes ids of an integer dtype, not {x.dtype}; convert them where they are made.")
