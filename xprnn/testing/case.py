"""A case of the laws of cells: a cell, what runs it and how, and the numbers it is run on."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..backend import Backend, backend
from ..cells.base import Cell
from ..kernels import Kernel, loop
from ..scan import scan, scan_vjp
from .compare import Results
from .transfer import copies, place


class Inputs(NamedTuple):
    """What goes in, as float64 on the host: dys and ds are the cotangents of the outputs and of the last state."""

    p: dict
    x: np.ndarray
    s: tuple
    mask: np.ndarray | None
    dys: np.ndarray
    ds: tuple


@dataclass(frozen=True)
class Case:
    """One configuration of a cell under a law.

    kernel:  the kernel, by the rules of ``scan`` if None.
    padding: "none", "ragged" (right padding; one row full, one without any step) or "holes" (an arbitrary mask).
    dropout: the rate of recurrent dropout.
    """

    cell: Cell
    backend: Backend = field(default_factory=lambda: backend("numpy", "float64"))
    kernel: Kernel | None = None
    reverse: bool = False
    padding: str = "none"
    segment: int | None = None
    dropout: float = 0.0
    features: int = 3
    steps: int = 7
    batch: int = 4
    seed: int = 0

    def __str__(self) -> str:
        kernel = getattr(self.kernel, "__name__", self.kernel)
        return (
            f"{self.cell} on {self.backend} in {self.backend.dtype}, {kernel=!s}, reverse={self.reverse}, "
            f"padding={self.padding}, segment={self.segment}, dropout={self.dropout}, features={self.features}, "
            f"steps={self.steps}, batch={self.batch}, seed={self.seed}"
        )

    @property
    def tolerance(self) -> float:
        """The relative error that rounding alone explains."""
        return 1e-12 if self.backend.dtype == "float64" else 1e-5

    def draw(self) -> Inputs:
        """Random inputs: all parameters, biases too, and the state are well away from zero."""
        rng = np.random.default_rng(self.seed)
        p = tree.map(lambda a: 0.5 * rng.normal(size=a.shape), self.cell.init(rng, self.features))
        x = rng.normal(size=(self.steps, self.batch, self.features))
        sizes = self.cell.state_sizes
        if self.cell.zoneout:
            x = np.concatenate([x, rng.random((self.steps, self.batch, sum(sizes)))], axis=-1)
        s, ds = (tuple(rng.normal(size=(self.batch, n)) for n in sizes) for _ in range(2))
        dys = rng.normal(size=(self.steps, self.batch, sizes[0]))
        if self.dropout and self.cell.takes_dropout:
            p["keep"] = (rng.random((self.batch, sizes[0])) >= self.dropout) / (1 - self.dropout)
        return Inputs(p, x, s, draw_mask(rng, self.padding, self.steps, self.batch), dys, ds)

    def place(self, inputs: Inputs) -> Inputs:
        """``inputs`` as arrays of the backend, the mask with an axis more."""
        mask = None if inputs.mask is None else inputs.mask[..., None]
        return Inputs(*place(self.backend, tuple(inputs._replace(mask=mask))))

    def accepted(self) -> bool:
        """Whether the kernel takes these inputs."""
        if self.kernel is None:
            return True
        with self.backend.active():
            a = self.place(self.draw())
            return self.kernel.accepts(self.cell, a.x, a.mask)

    def forward(self, a: Inputs, tape: bool = True, outputs: bool = True) -> tuple[Any, tuple, Any]:
        """``scan`` on placed inputs, by the loop where the kernel does not take them: ys, last state, tape."""
        kernel = self.kernel
        if kernel is not None and not kernel.accepts(self.cell, a.x, a.mask):
            kernel = loop
        run = partial(scan, mask=a.mask, reverse=self.reverse, segment=self.segment)
        return run(self.cell, a.p, a.x, a.s, kernel=kernel, tape=tape, outputs=outputs)

    def both(self, a: Inputs) -> Results:
        """Forward and backward on placed inputs; results where they are."""
        ys, end, tape = self.forward(a)
        return Results(ys, end, *scan_vjp(self.cell, a.p, tape, a.dys, a.ds))

    def run(self, inputs: Inputs) -> Results:
        """Forward and backward on host inputs; results on the host as float64."""
        return Results(*copies(self, self.both(self.place(inputs))))

    def rounded(self, a: np.ndarray) -> np.ndarray:
        """``a`` as the backend's dtype can hold it."""
        return a.astype(self.backend.dtype).astype(np.float64)


def draw_mask(rng: np.random.Generator, padding: str, steps: int, batch: int) -> np.ndarray | None:
    """A mask (T, B), True where a step is real; the second of two or more rows has no real step, the first all."""
    if padding == "none":
        return None
    if padding == "ragged":
        lengths = rng.integers(1, steps, batch)
        lengths[0], lengths[1:2] = steps, 0
        return np.arange(steps)[:, None] < lengths
    if padding != "holes":
        raise ValueError(f"padding is 'none', 'ragged' or 'holes', not {padding!r}")
    mask = rng.random((steps, batch)) < 0.5
    mask[steps // 2, :] = True
    mask[:, 1:2] = False
    mask[[0, -1], 2:3] = False
    return mask
