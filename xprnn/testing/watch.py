"""Watching what goes through a cell: the dtype and device of every array on its way."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from ..backend import Backend
from ..cells.base import Cell
from ..types import Array, Generator, Namespace, Params
from . import compare
from .transfer import of_backend


@dataclass(frozen=True)
class Watched(Cell):
    """``cell``, of which every result must be of the backend: its library, device and dtype."""

    cell: Cell
    backend: Backend

    @property
    def hidden(self) -> int:  # type: ignore[override]
        return self.cell.hidden

    @property
    def takes_dropout(self) -> bool:  # type: ignore[override]
        return self.cell.takes_dropout

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return self.cell.state_sizes

    def init(self, rng: Generator, features: int) -> Params:
        return self.cell.init(rng, features)

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        return self._seen("project", self.cell.project(xp, p, x))

    def prepare(self, xp: Namespace, p: Params) -> Params:
        return self._seen("prepare", self.cell.prepare(xp, p))

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        return self._seen("step", self.cell.step(xp, p, u, s))

    def linearize(self, xp: Namespace, p: Params, s: tuple, new: tuple, saved: tuple) -> tuple:
        return self._seen("linearize", self.cell.linearize(xp, p, s, new, saved))

    def prepare_vjp(self, xp: Namespace, p: Params) -> Params:
        return self._seen("prepare_vjp", self.cell.prepare_vjp(xp, p))

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        return self._seen("step_vjp", self.cell.step_vjp(xp, p, k, ds))

    def project_vjp(self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple) -> tuple[Array, Params]:
        return self._seen("project_vjp", self.cell.project_vjp(xp, p, x, s, k, delta))

    def _seen(self, function: str, results: Any) -> Any:
        of_backend("precision", self, {function: results})
        return results


def inside(case: Any) -> None:
    """Raise AssertionError if an array that NumPy makes inside the cell has another float dtype than the inputs."""
    cell, xp, a, seen = case.cell, case.backend.xp, case.draw(), set()

    class Spy(np.ndarray):
        def __array_finalize__(self, parent: Any) -> None:
            if self.dtype.kind == "f":
                seen.add(self.dtype.name)

    def spy(name: str, leaves: Any) -> Any:
        if seen - {case.backend.dtype}:
            compare.fail("precision", case, f"{name} makes {sorted(seen)} of {case.backend.dtype}")
        return tree.map(lambda v: np.array(v, case.backend.dtype).view(Spy), leaves)

    p, x, s, ds = spy("nothing", (a.p, a.x[0], a.s, a.ds))
    u = spy("project", cell.project(xp, p, x))
    new, saved = spy("step", cell.step(xp, spy("prepare", cell.prepare(xp, p)), u, s))
    k = spy("linearize", cell.linearize(xp, p, s, new, saved))
    _, delta = spy("step_vjp", cell.step_vjp(xp, spy("prepare_vjp", cell.prepare_vjp(xp, p)), k, ds))
    spy("project_vjp", cell.project_vjp(xp, p, x, s, k, delta))
