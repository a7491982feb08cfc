"""The kernel for any cell on any library: a Python loop over the steps."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from ..arrays import is_numpy, namespace
from ..cells.base import Cell
from ..types import Array, Namespace, Params
from . import replay, walk
from .folding import fold, folds, over_time, pick, unfold, zero_padding

PLAIN = {int, float, bool, str, type(None)}
OWN = Cell.__module__.removesuffix("base")
"""How the names of modules with cells of the library begin."""


class Tape(NamedTuple):
    """What the walk back needs: the input, the mask, the T + 1 states, what the steps saved, and their order.

    Step t stands between the states t and t + 1, whichever way it is walked.
    """

    x: Array
    mask: Array | None
    states: tuple
    saved: tuple
    reverse: bool


class StepThere(NamedTuple):
    """A step of the way there: the cell's where the mask is True, or there is none; without a tape nothing is saved.

    functions: what the cell's class and those of cells within it call their step; here only so that two steps are
               equal, and a record of one is good for the other, where these are the same too.
    """

    xp: Namespace
    cell: Cell
    functions: tuple[Callable, ...]
    tape: bool

    def __call__(self, p: Params, s: tuple, at: tuple) -> tuple[tuple, tuple]:
        u, real = at
        new, saved = self.cell.step(self.xp, p, u, s)
        return new if real is None else pick(self.xp, real, new, s), saved if self.tape else ()


class StepBack(NamedTuple):
    """A step of the way back, made up as ``StepThere`` is."""

    xp: Namespace
    cell: Cell
    functions: tuple[Callable, ...]

    def __call__(self, p: Params, ds: tuple, at: tuple) -> tuple[tuple, tuple]:
        *k, dy, real = at
        ds = ds if dy is None else (ds[0] + dy, *ds[1:])
        before, delta = self.cell.step_vjp(self.xp, p, tuple(k), ds)
        return before if real is None else pick(self.xp, real, before, ds), delta


def accepts(cell: Cell, x: Array, mask: Array | None) -> bool:
    """Whether this kernel can run ``cell`` on ``x``: always."""
    return True


def forward(
    cell: Cell, p: Params, x: Array, s: tuple, mask: Array | None, reverse: bool, tape: bool = True,
    outputs: bool = True,
) -> tuple[Array | None, tuple, Any]:  # fmt: skip
    """Walk x (T, B, D) from the state s -> ys (T, B, H) if ``outputs``, the last state, the tape if ``tape``.

    What is not asked for is None. mask (T, B, 1) is False where a row has no step: there the state stays and y is 0.
    """
    xp, T = namespace(x), x.shape[0]
    u = unfold(xp, cell.project(xp, p, fold(xp, x)), T)
    ready, after = cell.prepare(xp, p), 0 if reverse else 1
    step = StepThere(xp, cell, _functions(cell, "step"), tape)
    s, states, saved = _walk(x, cell)(xp, step, ready, s, (u, mask), T, reverse, len(s) if tape else int(outputs))
    ys = zero_padding(xp, mask, states[0][after : T + after, ...]) if outputs else None
    return ys, s, Tape(x, mask, states, saved, reverse) if tape else None


def step(cell: Cell, p: Params, x: Array, s: tuple) -> tuple[Array, tuple]:
    """One step x (B, D) from the state s, without a mask or a tape -> y (B, H), an array of its own, the next state."""
    xp = namespace(x)
    s, _ = cell.step(xp, cell.prepare(xp, p), cell.project(xp, p, x), s)
    return xp.asarray(s[0], copy=True), s


def backward(
    cell: Cell, p: Params, tape: Tape, dys: Array | None, ds: tuple, inputs: bool = True
) -> tuple[Array | None, tuple, Params]:
    """Walk back from the cotangents of ys (None: zero) and of the last state -> dx if ``inputs``, ds, dp.

    dx is None where it is not asked for; a cell's ``project_vjp`` makes it all the same.
    """
    x, mask, states, saved, reverse = tape
    xp, T = namespace(x), x.shape[0]
    wide, ready, flat_x = over_time(xp, p, T), cell.prepare_vjp(xp, p), fold(xp, x)
    early, late = (folds(xp, tuple(a[first : T + first, ...] for a in states)) for first in (0, 1))
    old, new = (late, early) if reverse else (early, late)
    flat_k = cell.linearize(xp, wide, old, new, folds(xp, saved))
    step = StepBack(xp, cell, _functions(cell, "step_vjp"))
    dy = None if dys is None else zero_padding(xp, mask, dys)
    k = (unfold(xp, a, T) for a in flat_k)
    ds, _, deltas = _walk(x, cell)(xp, step, ready, ds, (*k, dy, mask), T, not reverse, 0)
    delta = folds(xp, tuple(zero_padding(xp, mask, a) for a in deltas))
    dx, dp = cell.project_vjp(xp, wide, flat_x, old, flat_k, delta)
    return unfold(xp, dx, T) if inputs else None, ds, dp


def _walk(x: Array, cell: Cell) -> walk.Walk:
    return partial(replay.walk, lasts=_lasts(cell)) if is_numpy(x) else walk.walk


def _lasts(cell: Cell) -> bool:
    """Whether all cells equal to this one do the same at every call: one of the library's, of plain values and such.

    What a user's cell calls, or an activation that a cell holds, may be another function at the next call.
    """
    fields = (_lasts(a) if isinstance(a, Cell) else _plain(a) for a in vars(cell).values())
    return type(cell).__module__.startswith(OWN) and all(fields)


def _plain(a: Any) -> bool:
    return type(a) in PLAIN or (type(a) is tuple and all(map(_plain, a)))


def _functions(cell: Cell, name: str) -> tuple[Callable, ...]:
    """The method of that name of the cell's class, and of the classes of the cells that it holds."""
    within = (one for a in vars(cell).values() if isinstance(a, Cell) for one in _functions(a, name))
    return getattr(type(cell), name), *within
