"""The kernel for JAX: any cell over a whole sequence as one compiled ``lax.scan``, forward and backward.

JAX compiles each walk once for a cell, the shapes and the flags, and keeps it. Inside a ``jax.jit`` or ``jax.grad`` of
the user's own the walk becomes part of what is traced.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import array_api_compat

from ..arrays import namespace
from ..cells.base import Cell
from ..types import Array, Params
from .folding import fold, folds, over_time, pick, unfold, zero_padding


class Tape(NamedTuple):
    """What the walk back needs: the input, the mask, the first state, those after each step, what the steps saved."""

    x: Array
    mask: Array | None
    s: tuple
    states: tuple
    saved: tuple
    reverse: bool


def accepts(cell: Cell, x: Array, mask: Array | None) -> bool:
    """Whether x is JAX's, traced or not, and ``cell`` can be told from others: JAX compiles for a cell that hashes."""
    return array_api_compat.is_jax_array(x) and _hashable(cell)


def forward(
    cell: Cell, p: Params, x: Array, s: tuple, mask: Array | None, reverse: bool, tape: bool = True,
    outputs: bool = True,
) -> tuple[Array | None, tuple, Any]:  # fmt: skip
    """Walk x (T, B, D) from the state s -> ys (T, B, H) if ``outputs``, the last state, the tape if ``tape``."""
    ys, end, (states, saved) = _compiled(_forward)(cell, (reverse, tape, outputs), p, x, s, mask)
    return ys, end, Tape(x, mask, s, states, saved, reverse) if tape else None


def step(cell: Cell, p: Params, x: Array, s: tuple) -> tuple[Array, tuple]:
    """One step x (B, D) from the state s -> y (B, H), the next state."""
    s = _compiled(_step)(cell, (), p, x, s)
    return s[0], s


def backward(
    cell: Cell, p: Params, tape: Tape, dys: Array | None, ds: tuple, inputs: bool = True
) -> tuple[Array | None, tuple, Params]:
    """Walk back from the cotangents of ys (None: zero) and of the last state -> dx if ``inputs``, ds, dp."""
    *arrays, reverse = tape
    return _compiled(_backward)(cell, (reverse, inputs), p, tuple(arrays), dys, ds)


def _hashable(cell: Cell) -> bool:
    try:
        hash(cell)
    except TypeError:
        return False
    return True


@functools.cache
def _compiled(walk: Callable) -> Callable:
    """``walk``, compiled by JAX when it is called, anew for other flags and shapes."""
    import jax

    return jax.jit(walk, static_argnums=(0, 1))


def _forward(
    cell: Cell, flags: tuple[bool, bool, bool], p: Params, x: Array, s: tuple, mask: Array | None
) -> tuple[Array | None, tuple, tuple]:
    from jax.lax import scan

    xp, (reverse, tape, outputs) = namespace(x), flags
    ready = cell.prepare(xp, p)

    def step(s: tuple, at: tuple) -> tuple[tuple, tuple]:
        u, real = at
        new, saved = cell.step(xp, ready, u, s)
        new = new if real is None else pick(xp, real, new, s)
        return new, (new, saved) if tape else (new[: int(outputs)], ())

    u = unfold(xp, cell.project(xp, p, fold(xp, x)), x.shape[0])
    end, kept = scan(step, s, (u, mask), reverse=reverse)
    return zero_padding(xp, mask, kept[0][0]) if outputs else None, end, kept


def _step(cell: Cell, _: tuple, p: Params, x: Array, s: tuple) -> tuple:
    xp = namespace(x)
    return cell.step(xp, cell.prepare(xp, p), cell.project(xp, p, x), s)[0]


def _backward(
    cell: Cell, flags: tuple[bool, bool], p: Params, tape: tuple, dys: Array | None, ds: tuple
) -> tuple[Array | None, tuple, Params]:
    from jax.lax import scan

    (x, mask, s, new, saved), (reverse, inputs), xp = tape, flags, namespace(tape[0])
    T, ready = x.shape[0], cell.prepare_vjp(xp, p)
    wide, flat_x = over_time(xp, p, T), fold(xp, x)
    ends = ((a[1:, ...], b[None, ...]) if reverse else (b[None, ...], a[:-1, ...]) for a, b in zip(new, s, strict=True))
    old = folds(xp, tuple(map(xp.concat, ends)))
    flat_k = cell.linearize(xp, wide, old, folds(xp, new), folds(xp, saved))

    def step(ds: tuple, at: tuple) -> tuple[tuple, tuple]:
        k, dy, real = at
        ds = ds if dy is None else (ds[0] + dy, *ds[1:])
        before, delta = cell.step_vjp(xp, ready, k, ds)
        return before if real is None else pick(xp, real, before, ds), delta

    dys = None if dys is None else zero_padding(xp, mask, dys)
    k = tuple(unfold(xp, a, T) for a in flat_k)
    ds, delta = scan(step, ds, (k, dys, mask), length=T, reverse=not reverse)
    flat_delta = folds(xp, tuple(zero_padding(xp, mask, a) for a in delta))
    dx, dp = cell.project_vjp(xp, wide, flat_x, old, flat_k, flat_delta)
    return unfold(xp, dx, T) if inputs else None, ds, dp
