"""A cell over time, and the reverse.

A sequence is a list of pieces. One piece is full backpropagation through time; pieces that are computed again on the
way back are checkpointing; not passing ``ds`` from one call to the one before is truncated backpropagation; pieces of
length one are streaming.
"""

from typing import NamedTuple

from . import tree
from .arrays import device, namespace
from .cells.base import Cell
from .kernels import Kernel, choose, find
from .kernels.record import Pieces, Record
from .ops.masks import clean
from .types import Array, Params


class Tape(NamedTuple):
    """What ``scan_vjp`` needs: who ran over what, in which cuts of time, in the order they were walked.

    tapes:  the kernel's of each cut; those of None are made again when they are needed.
    starts: for that the states that entered each cut, (cuts, B, n) for each leaf. All that is held from cut to cut is
            in one array: small ones between large ones that come and go leave holes that nothing fits in.
    """

    kernel: Kernel
    reverse: bool
    x: Array
    mask: Array | None
    cuts: list[slice]
    tapes: list
    starts: tuple[Array, ...]


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
    kernel: Kernel | str | None = None,
    tape: bool = True,
    outputs: bool = True,
) -> tuple[Array | None, tuple, Tape | None]:
    """Run ``cell`` over x (T, B, D), T ≥ 1, from the state ``s`` (zeros if None) -> ys (T, B, H), the last state, tape.

    mask:    (T, B, 1) bool; where it is False the state stays, y is 0, and x may hold anything, NaN included.
    reverse: walk from the last step to the first; with right padding each row then starts at its own end.
    segment: keep only the states between pieces of this many steps and compute the rest again on the way back:
             memory O(T/segment + segment) for one forward more (Chen et al., 2016), besides x and ys.
    kernel:  who runs it, or its name in ``kernels``: "loop" runs anything anywhere. None: the first that can.
    tape:    False for inference: None comes back in its place. outputs: likewise, where the last state is all.
    """
    xp, T = namespace(x), x.shape[0]
    kernel = choose(cell, x, mask) if kernel is None else find(kernel)
    s = zero_state(cell, x) if s is None else s
    size = segment or T
    cuts = [slice(start, min(start + size, T)) for start in range(0, T, size)][:: -1 if reverse else 1]
    ys, tapes, starts = Pieces(xp, T), [], Record(xp, len(cuts))
    for n, cut in enumerate(cuts):
        if tape and segment is not None:
            starts.put(n, s)
        part, rows = _part(x, mask, cut)
        y, s, saved = kernel.forward(cell, p, part, s, rows, reverse, tape and segment is None)
        tapes.append(saved)
        if outputs:
            ys.put(cut, y)
    kept = Tape(kernel, reverse, x, mask, cuts, tapes, starts.arrays()) if tape else None
    return ys.array() if outputs else None, s, kept


def scan_vjp(
    cell: Cell, p: Params, tape: Tape, dys: Array | None, ds: tuple | None = None, *, inputs: bool = True
) -> tuple[Array | None, tuple, Params]:
    """From the cotangents of ys and of the last state (None: zero) -> dx, the initial state's cotangent, dp.

    inputs: False where dx is not wanted: None comes back in its place.
    """
    kernel, reverse, x, mask, cuts, tapes, starts = tape
    ds = zero_state(cell, x) if ds is None else ds
    dxs = Pieces(namespace(x), x.shape[0])
    dp = tree.Sum()
    for n, cut in reversed(list(enumerate(cuts))):
        saved, dy = tapes[n], None if dys is None else dys[cut, ...]
        if saved is None:
            part, rows = _part(x, mask, cut)
            _, _, saved = kernel.forward(cell, p, part, tuple(a[n, ...] for a in starts), rows, reverse)
        dx, ds, more = kernel.backward(cell, p, saved, dy, ds)
        del saved  # before the next is made
        dp = dp.plus(more)
        if inputs:
            dxs.put(cut, dx)
    return dxs.array() if inputs else None, ds, dp.whole


def _part(x: Array, mask: Array | None, cut: slice) -> tuple[Array, Array | None]:
    """A cut of x and of the mask; nothing that padding holds reaches a product."""
    if mask is None:
        return x[cut, ...], None
    rows = mask[cut, ...]
    return clean(namespace(x), x[cut, ...], rows[..., 0]), rows
