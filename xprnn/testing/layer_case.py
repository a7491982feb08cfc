"""A case of the laws of layers: a layer, the shape of its samples, and the numbers it is run on."""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..backend import Backend, backend
from ..layers.base import Context, Layer
from ..random import Key
from ..types import Shape
from .case import draw_mask
from .compare import Results
from .transfer import copies, place

TOKENS = 3


class Inputs(NamedTuple):
    """What goes in, on the host: state, None for the initial one; cotangents dy, 0 where y is padding, and dstate."""

    p: dict
    x: np.ndarray
    state: Any
    mask: np.ndarray | None
    dy: np.ndarray
    dstate: Any


@dataclass(frozen=True)
class LayerCase:
    """One configuration of a layer under a law.

    shape:    that of one sample, (None, D), (D,) or, for token ids, all below 3, (None,).
    padding:  "none", "ragged" or "holes", for samples with a time axis.
    training: whether the call has a key for dropout.
    begun:    whether an initial state is given.
    """

    layer: Layer
    shape: Shape
    backend: Backend = field(default_factory=lambda: backend("numpy", "float64"))
    padding: str = "none"
    training: bool = False
    begun: bool = True
    steps: int = 7
    batch: int = 4
    seed: int = 0

    def __str__(self) -> str:
        return (
            f"{self.layer} for samples {self.shape} on {self.backend} in {self.backend.dtype}, padding={self.padding}, "
            f"training={self.training}, begun={self.begun}, steps={self.steps}, batch={self.batch}, seed={self.seed}"
        )

    @property
    def tolerance(self) -> float:
        """The relative error that rounding alone explains."""
        return 1e-12 if self.backend.dtype == "float64" else 1e-5

    @property
    def over_time(self) -> bool:
        """Whether samples have a time axis."""
        return len(self.shape) == 2 or self.shape == (None,)

    def draw(self) -> Inputs:
        """Random inputs: all parameters, biases too, and the state are well away from zero."""
        rng = np.random.default_rng(self.seed)
        p = tree.map(lambda a: 0.5 * rng.normal(size=a.shape), self.layer.init(rng, self.shape)[0])
        sample = (self.steps, *self.shape[1:]) if self.over_time else self.shape
        shape = (self.batch, *(n for n in sample if n is not None))
        x = rng.normal(size=shape) if self.shape[-1:] != (None,) else rng.integers(0, TOKENS, shape)
        mask = draw_mask(rng, self.padding, self.steps, self.batch) if self.over_time else None
        mask = None if mask is None else mask.T
        y, end, _ = self.layer.forward(p, x, None, Context(mask))
        state, dstate = (tree.map(lambda a: rng.normal(size=a.shape), end) for _ in range(2))
        dy = rng.normal(size=y.shape)
        if not self.layer.shortens:
            dy = fill(dy, self.layer.mask_after(x, mask), 0.0)
        return Inputs(p, x, state if self.begun else None, mask, dy, dstate)

    def place(self, inputs: Inputs) -> Inputs:
        """``inputs`` as arrays of the backend."""
        return Inputs(*place(self.backend, tuple(inputs)))

    def forward(self, a: Inputs, tape: bool = True) -> tuple[Any, Any, Any]:
        """The layer's forward on placed inputs: y, last state, tape."""
        key = Key(self.seed).fold("laws") if self.training else None
        return self.layer.forward(a.p, a.x, a.state, Context(a.mask, key, tape))

    def both(self, a: Inputs) -> Results:
        """Forward and backward on placed inputs; without a given state ``ds`` is left out."""
        y, end, tape = self.forward(a)
        dx, ds, dp = self.layer.backward(a.p, tape, a.dy, a.dstate)
        return Results(y, end, dx, ds if self.begun else None, dp)

    def run(self, inputs: Inputs) -> Results:
        """Forward and backward on host inputs; results on the host as float64."""
        return Results(*copies(self, self.both(self.place(inputs))))

    def alone(self, inputs: Inputs, row: int) -> Results:
        """One row run as a batch of its own, in which its padding is left out and 0 in the results."""
        one = slice(row, row + 1)
        x, state, dy, dstate = tree.map(lambda v: v[one], (inputs.x, inputs.state, inputs.dy, inputs.dstate))
        real = np.arange(self.steps) if inputs.mask is None else np.flatnonzero(inputs.mask[row])
        in_time = self.over_time and not self.layer.shortens
        cut = x[:, real] if self.over_time else x
        case = replace(self, batch=1, padding="none")
        r = case.run(Inputs(inputs.p, cut, state, None, dy[:, real] if in_time else dy, dstate))
        if not self.over_time:
            return r
        return r._replace(y=_spread(r.y, real, dy) if in_time else r.y, dx=_spread(r.dx, real, x))


def fill(v: np.ndarray, mask: np.ndarray | None, rubbish: float) -> np.ndarray:
    """``v`` (B, T, ...) with ``rubbish`` where the mask (B, T) is False."""
    if mask is None:
        return v
    return np.where(mask.reshape(*mask.shape, *(1,) * (v.ndim - 2)), v, rubbish)


def _spread(some: np.ndarray | None, real: np.ndarray, like: np.ndarray) -> np.ndarray | None:
    """``some`` steps (1, t, ...) put where they were in time, with zeros between them."""
    if some is None:
        return None
    whole = np.zeros(like.shape)
    whole[:, real] = some
    return whole
