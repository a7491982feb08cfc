"""The kernel for any cell on any library: a Python loop over the steps."""

from typing import Any, NamedTuple

from ..arrays import namespace
from ..cells.base import Cell
from ..types import Array, Namespace, Params
from .record import Record


class Tape(NamedTuple):
    """What the walk back needs: the input, the mask, the states before each step, what the steps saved, their order."""

    x: Array
    mask: Array | None
    before: tuple
    saved: tuple
    order: range


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
    order = range(T)[::-1] if reverse else range(T)
    after = 0 if reverse else 1  # of T + 1 states, step t stands between t and t + 1
    states, saves = Record(xp, T + 1), Record(xp, T)
    states.put(T if reverse else 0, s if tape else s[:1])
    for t in order:
        new, saved = cell.step(xp, p, u[t], s)
        s = new if real is None else _pick(xp, real[t], new, s)
        states.put(t + after, s if tape else s[:1])
        if tape:
            saves.put(t, saved)
    slabs = states.arrays()
    ys = slabs[0][after : T + after, ...]
    if mask is not None:
        ys = xp.where(mask, ys, xp.zeros_like(ys))
    if not tape:
        return ys, s, None
    before = tuple(slab[1 - after : T + 1 - after, ...] for slab in slabs)
    return ys, s, Tape(x, mask, before, saves.arrays(), order)


def backward(cell: Cell, p: Params, tape: Tape, dys: Array | None, ds: tuple) -> tuple[Array, tuple, Params]:
    """Walk back from the cotangents of ys (None: zero) and of the last state -> dx, ds, dp."""
    x, mask, before, saved, order = tape
    xp, T = namespace(x), x.shape[0]
    wide = _over_time(xp, p, T)
    flat_x, flat_s = _fold(xp, x), _folds(xp, before)
    flat_k = cell.linearize(xp, wide, flat_s, _folds(xp, saved))
    k = list(zip(*(xp.unstack(_unfold(xp, a, T)) for a in flat_k), strict=True)) or [()] * T
    if mask is not None and dys is not None:
        dys = xp.where(mask, dys, xp.zeros_like(dys))
    dy = None if dys is None else xp.unstack(dys)
    real = None if mask is None else xp.unstack(mask)
    deltas = Record(xp, T)
    for t in reversed(order):
        if dy is not None:
            ds = (ds[0] + dy[t], *ds[1:])
        new, delta = cell.step_vjp(xp, p, k[t], ds)
        ds = new if real is None else _pick(xp, real[t], new, ds)
        deltas.put(t, delta)
    delta = deltas.arrays()
    if mask is not None:
        delta = tuple(xp.where(mask, a, xp.zeros_like(a)) for a in delta)
    dx, dp = cell.project_vjp(xp, wide, flat_x, flat_s, flat_k, _folds(xp, delta))
    return _unfold(xp, dx, T), ds, dp


def _pick(xp: Namespace, rows: Array, new: tuple, old: tuple) -> tuple:
    """``new`` in the rows (B, 1) that are True, ``old`` in the others."""
    return tuple(xp.where(rows, a, b) for a, b in zip(new, old, strict=True))


def _fold(xp: Namespace, a: Array) -> Array:
    """(T, B, n) -> (T·B, n)"""
    return xp.reshape(a, (a.shape[0] * a.shape[1], a.shape[2]))


def _folds(xp: Namespace, leaves: tuple) -> tuple:
    return tuple(_fold(xp, a) for a in leaves)


def _unfold(xp: Namespace, a: Array, T: int) -> Array:
    """(T·B, n) -> (T, B, n)"""
    return xp.reshape(a, (T, a.shape[0] // T, a.shape[1]))


def _over_time(xp: Namespace, p: Params, T: int) -> Params:
    """``p`` for all steps at once: recurrent dropout's multipliers (B, H), if any, repeated T times."""
    return p | {"keep": xp.tile(p["keep"], (T, 1))} if "keep" in p else p
