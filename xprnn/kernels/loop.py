"""The kernel for any cell on any library: a Python loop over the steps."""

from typing import Any, NamedTuple

from ..arrays import namespace
from ..cells.base import Cell
from ..types import Array, Namespace, Params
from .record import Record


class Tape(NamedTuple):
    """What the walk back needs: the input, the mask, the T + 1 states, what the steps saved, and their order.

    Step t stands between the states t and t + 1, whichever way it is walked.
    """

    x: Array
    mask: Array | None
    states: tuple
    saved: tuple
    reverse: bool


def accepts(cell: Cell, x: Array, mask: Array | None) -> bool:
    """Whether this kernel can run ``cell`` on ``x``: always."""
    return True


def forward(
    cell: Cell, p: Params, x: Array, s: tuple, mask: Array | None, reverse: bool, tape: bool = True
) -> tuple[Array, tuple, Any]:
    """Walk x (T, B, D) from the state s -> ys (T, B, H), the last state, the tape (None unless ``tape``).

    mask (T, B, 1) is False where a row has no step: there the state stays and y is 0.
    """
    xp, T = namespace(x), x.shape[0]
    u = xp.unstack(_unfold(xp, cell.project(xp, p, _fold(xp, x)), T))
    real = None if mask is None else xp.unstack(mask)
    ready, after = cell.prepare(xp, p), 0 if reverse else 1
    states, saves = Record(xp, T + 1), Record(xp, T)
    states.put(T if reverse else 0, s if tape else s[:1])
    for t in _order(T, reverse):
        new, saved = cell.step(xp, ready, u[t], s)
        s = new if real is None else _pick(xp, real[t], new, s)
        states.put(t + after, s if tape else s[:1])
        if tape and saved:
            saves.put(t, saved)
    slabs = states.arrays()
    ys = slabs[0][after : T + after, ...]
    if mask is not None:
        ys = xp.where(mask, ys, xp.zeros_like(ys))
    return ys, s, Tape(x, mask, slabs, saves.arrays(), reverse) if tape else None


def backward(cell: Cell, p: Params, tape: Tape, dys: Array | None, ds: tuple) -> tuple[Array, tuple, Params]:
    """Walk back from the cotangents of ys (None: zero) and of the last state -> dx, ds, dp."""
    x, mask, states, saved, reverse = tape
    xp, T = namespace(x), x.shape[0]
    wide, ready, flat_x = _over_time(xp, p, T), cell.prepare_vjp(xp, p), _fold(xp, x)
    old, new = (_cut(xp, states, first, T) for first in ((1, 0) if reverse else (0, 1)))
    flat_k = cell.linearize(xp, wide, old, new, tuple(_fold(xp, a) for a in saved))
    slabs = tuple(_unfold(xp, a, T) for a in flat_k)
    k = list(zip(*map(xp.unstack, slabs), strict=True)) or [()] * T
    if mask is not None and dys is not None:
        dys = xp.where(mask, dys, xp.zeros_like(dys))
    dy = None if dys is None else xp.unstack(dys)
    real = None if mask is None else xp.unstack(mask)
    deltas = Record(xp, T)
    for t in _order(T, not reverse):
        if dy is not None:
            ds = (ds[0] + dy[t], *ds[1:])
        before, delta = cell.step_vjp(xp, ready, k[t], ds)
        deltas.put(t, delta, k[t], slabs)
        ds = before if real is None else _pick(xp, real[t], before, ds)
    delta = deltas.arrays()
    if mask is not None:
        delta = tuple(xp.where(mask, a, xp.zeros_like(a)) for a in delta)
    dx, dp = cell.project_vjp(xp, wide, flat_x, old, flat_k, tuple(_fold(xp, a) for a in delta))
    return _unfold(xp, dx, T), ds, dp


def _order(T: int, reverse: bool) -> range:
    return range(T)[::-1] if reverse else range(T)


def _pick(xp: Namespace, rows: Array, new: tuple, old: tuple) -> tuple:
    """``new`` in the rows (B, 1) that are True, ``old`` in the others."""
    return tuple(xp.where(rows, a, b) for a, b in zip(new, old, strict=True))


def _fold(xp: Namespace, a: Array) -> Array:
    """(T, B, n) -> (T·B, n)"""
    return xp.reshape(a, (a.shape[0] * a.shape[1], a.shape[2]))


def _cut(xp: Namespace, states: tuple, first: int, T: int) -> tuple:
    """T of the T + 1 states, (T·B, n) each."""
    return tuple(_fold(xp, a[first : T + first, ...]) for a in states)


def _unfold(xp: Namespace, a: Array, T: int) -> Array:
    """(T·B, n) -> (T, B, n)"""
    return xp.reshape(a, (T, a.shape[0] // T, a.shape[1]))


def _over_time(xp: Namespace, p: Params, T: int) -> Params:
    """``p`` for all steps at once: recurrent dropout's multipliers (B, H), if any, repeated T times."""
    return p | {"keep": xp.tile(p["keep"], (T, 1))} if "keep" in p else p
