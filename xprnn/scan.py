"""A cell over time, and the reverse.

A sequence is a list of pieces. One piece is full backpropagation through time; pieces that are computed again on the
way back are checkpointing; not passing ``ds`` from one call to the one before is truncated backpropagation; pieces of
length one are streaming.
"""

from typing import Any, NamedTuple

from . import tree
from .arrays import device, namespace
from .cells.base import Cell
from .kernels import Kernel, choose
from .ops.masks import clean
from .types import Array, Params


class Piece(NamedTuple):
    """A cut of time, what entered it, and its tape; a tape of None is made again when it is needed."""

    cut: slice
    x: Array
    s: tuple
    mask: Array | None
    tape: Any


class Tape(NamedTuple):
    """What ``scan_vjp`` needs: the kernel that ran, the direction, and the pieces in the order they were walked."""

    kernel: Kernel
    reverse: bool
    pieces: list[Piece]


def zero_state(cell: Cell, x: Array) -> tuple[Array, ...]:
    """The state of zeros for x (T, B, D): (B, n) for each leaf, of x's dtype and device."""
    xp = namespace(x)
    return tuple(xp.zeros((x.shape[1], n), dtype=x.dtype, device=device(x)) for n in cell.state_sizes)


def scan(
    cell: Cell,
    p: Params,
    x: Array,
    s: tuple | None = None,
    *,
    mask: Array | None = None,
    reverse: bool = False,
    segment: int | None = None,
    kernel: Kernel | None = None,
    tape: bool = True,
) -> tuple[Array, tuple, Tape | None]:
    """Run ``cell`` over x (T, B, D), T ≥ 1, from the state ``s`` (zeros if None) -> ys (T, B, H), the last state, tape.

    mask:    (T, B, 1) bool; where it is False the state stays, y is 0, and x may hold anything, NaN included.
    reverse: walk from the last step to the first; with right padding each row then starts at its own end.
    segment: keep only the states between pieces of this many steps and compute the rest again on the way back:
             memory O(T/segment + segment) for one forward more (Chen et al., 2016).
    tape:    False for inference: None comes back in its place.
    """
    xp, T = namespace(x), x.shape[0]
    kernel = kernel or choose(cell, x, mask)
    s = zero_state(cell, x) if s is None else s
    if mask is not None:
        x = clean(xp, x, mask[..., 0])
    size = segment or T
    cuts = [slice(start, min(start + size, T)) for start in range(0, T, size)]
    pieces, ys = [], []
    for cut in reversed(cuts) if reverse else cuts:
        part, rows = x[cut, ...], None if mask is None else mask[cut, ...]
        y, end, saved = kernel.forward(cell, p, part, s, rows, reverse, tape and segment is None)
        pieces.append(Piece(cut, part, s, rows, saved))
        ys.append(y)
        s = end
    return _join(xp, ys, reverse), s, Tape(kernel, reverse, pieces) if tape else None


def scan_vjp(
    cell: Cell, p: Params, tape: Tape, dys: Array | None, ds: tuple | None = None
) -> tuple[Array, tuple, Params]:
    """From the cotangents of ys and of the last state (None: zero) -> dx, the initial state's cotangent, dp."""
    kernel, reverse, pieces = tape
    xp = namespace(pieces[0].x)
    ds = zero_state(cell, pieces[0].x) if ds is None else ds
    dxs: list[Array] = []
    dp: Params = {}
    for cut, x, s, mask, kept in reversed(pieces):
        saved = kernel.forward(cell, p, x, s, mask, reverse)[2] if kept is None else kept
        dx, ds, more = kernel.backward(cell, p, saved, None if dys is None else dys[cut, ...], ds)
        dp = tree.map(lambda a, b: a + b, dp, more) if dp else more
        dxs.append(dx)
    return _join(xp, dxs, not reverse), ds, dp


def _join(xp: Any, parts: list[Array], backwards: bool) -> Array:
    if len(parts) == 1:
        return parts[0]
    return xp.concat(parts[::-1] if backwards else parts)
