"""A cell over time, and the reverse.

A walk over all steps is full backpropagation through time; one in pieces that are computed again on the way back is
checkpointing; not passing ``ds`` from one call to the one before is truncated backpropagation; calls for one step each
are streaming.
"""

from numbers import Integral
from typing import Any, NamedTuple

from . import tree
from .arrays import device, namespace
from .cells.base import Cell
from .kernels import Kernel, choose, find
from .kernels.record import Pieces, Record, cut_up
from .ops.masks import clean
from .types import Array, Params


class Checkpoints(NamedTuple):
    """What a walk in pieces leaves for the way back: its cuts of time, in the order in which they were walked.

    starts: the states that entered each cut, (cuts, B, n) for each leaf. All that is held from cut to cut is in one
            array: small ones between large ones that come and go leave holes that nothing fits in.
    """

    reverse: bool
    mask: Array | None
    cuts: list[slice]
    starts: tuple[Array, ...]


class Tape(NamedTuple):
    """What ``scan_vjp`` needs: who ran over what, and the kernel's tape of all steps, or None and the checkpoints."""

    kernel: Kernel
    x: Array
    whole: Any
    pieces: Checkpoints | None = None


def zero_state(cell: Cell, x: Array) -> tuple[Array, ...]:
    """The state of zeros for x (T, B, D): (B, n) for each leaf, of x's dtype and device."""
    xp = namespace(x)
    return tuple([xp.zeros((x.shape[1], n), dtype=x.dtype, device=device(x)) for n in cell.state_sizes])


def scan(
    cell: Cell,
    p: Params,
    x: Array,
    s: tuple | None = None,
    *,
    mask: Array | None = None,
    reverse: bool = False,
    segment: int | None = None,
    kernel: Kernel | str | None = None,
    tape: bool = True,
    outputs: bool = True,
) -> tuple[Array | None, tuple, Tape | None]:
    """Run ``cell`` over x (T, B, D), T ≥ 1, from the state ``s`` (zeros if None) -> ys (T, B, H), the last state, tape.

    The tape holds x, the mask and ys themselves: until ``scan_vjp`` nothing may be written into them.
    mask:    (T, B, 1) bool; where it is False the state stays, y is 0, and x may hold anything, NaN included.
    reverse: walk from the last step to the first; with right padding each row then starts at its own end.
    segment: keep only the states between pieces of this many steps and compute the rest again on the way back:
             memory O(T/segment + segment) for one forward more (Chen et al., 2016), besides x and ys.
    kernel:  who runs it, or its name in ``kernels``: "loop" runs anything anywhere. None: the first that can.
    tape:    False for inference: None comes back in its place. outputs: likewise, where the last state is all.
    """
    kernel = choose(cell, x, mask) if kernel is None else find(kernel)
    s = zero_state(cell, x) if s is None else s
    if segment is None:
        ys, s, whole = kernel.forward(cell, p, _cleaned(x, mask), s, mask, reverse, tape, outputs)
        return ys, s, Tape(kernel, x, whole) if tape else None
    if not (isinstance(segment, Integral) and segment >= 1):
        raise ValueError(f"segment is a number of steps, 1 or more, or None, not {segment!r}")
    xp, T = namespace(x), x.shape[0]
    cuts = cut_up(T, segment)[:: -1 if reverse else 1]
    parts, starts = Pieces(xp, T), Record(xp, len(cuts))
    for n, cut in enumerate(cuts):
        if tape:
            starts.put(n, s)
        part, rows = _part(x, mask, cut)
        y, s, _ = kernel.forward(cell, p, part, s, rows, reverse, False, outputs)
        if outputs:
            parts.put(cut, y)
    kept = Tape(kernel, x, None, Checkpoints(reverse, mask, cuts, starts.arrays())) if tape else None
    return parts.array() if outputs else None, s, kept


def scan_vjp(
    cell: Cell, p: Params, tape: Tape, dys: Array | None, ds: tuple | None = None, *, inputs: bool = True
) -> tuple[Array | None, tuple, Params]:
    """From the cotangents of ys and of the last state (None: zero) -> dx, the initial state's cotangent, dp.

    inputs: False where dx is not wanted: None comes back in its place.
    """
    kernel, x, whole, pieces = tape
    ds = zero_state(cell, x) if ds is None else ds
    if pieces is None:
        return kernel.backward(cell, p, whole, dys, ds, inputs)
    reverse, mask, cuts, starts = pieces
    dxs = Pieces(namespace(x), x.shape[0])
    total: Any = None
    for n, cut in reversed(list(enumerate(cuts))):
        part, rows = _part(x, mask, cut)
        start = tuple(a[n, ...] for a in starts)
        _, _, saved = kernel.forward(cell, p, part, start, rows, reverse, outputs=False)
        dx, ds, more = kernel.backward(cell, p, saved, None if dys is None else dys[cut, ...], ds, inputs)
        total = tree.add(total, more)
        if inputs:
            dxs.put(cut, dx)
        del saved, more  # before the next are made
    return dxs.array() if inputs else None, ds, total


def _part(x: Array, mask: Array | None, cut: slice) -> tuple[Array, Array | None]:
    """A cut of x and of the mask."""
    rows = None if mask is None else mask[cut, ...]
    return _cleaned(x[cut, ...], rows), rows


def _cleaned(x: Array, mask: Array | None) -> Array:
    """x without what padding holds: none of it reaches a product."""
    return x if mask is None else clean(namespace(x), x, mask[..., 0])
