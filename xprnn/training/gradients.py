"""The loss of a batch and its gradient: in one go, or in pieces of time, each computed again on the way back."""

from typing import NamedTuple

from .. import tree
from ..kernels.record import cut_up
from ..layers.base import Context, Layer
from ..losses import Loss
from ..types import Array, Params, State
from .data import Cut, Data, mean, pick, weight


class Piece(NamedTuple):
    """Some steps of a batch with their targets, what a call for them knows, and the state that enters them."""

    data: Data
    ctx: Context
    state: State


class Found(NamedTuple):
    """What the way back has found: sums over the steps that it has taken, and the cotangent of the state before."""

    loss: Array | float = 0.0
    seen: Array | int = 0
    grads: Params | None = None
    dstate: State = None


def gradients(
    layer: Layer, loss: Loss, p: Params, batch: Data, state: State, ctx: Context, segment: int | None
) -> tuple[Array, Params, State]:
    """The loss of ``batch`` from ``state`` on, its gradient by ``p``, and the state after the last step.

    segment: keep only the states between pieces of this many steps, and compute each piece again on the way back:
             memory for one piece at a time, outputs and all, for one forward more (Chen et al., 2016). The loss has to
             be a mean over the steps; that of a layer that shortens is of what the last piece gives.
    """
    if segment is None or segment >= batch.x.shape[1]:
        y, end, tape = layer.forward(p, batch.x, state, ctx)
        value, dy = loss(y, batch.y, layer.mask_after(batch.x, batch.mask))
        return value, layer.gradients(p, tape, dy, None)[1], end
    pieces = []
    for cut in cut_up(batch.x.shape[1], segment):
        data, here = _during(batch, cut, not layer.shortens), ctx.part(cut)
        pieces.append(Piece(data, here, state))
        _, state, _ = layer.forward(p, data.x, state, here._replace(tape=False))
    found = Found()
    while pieces:
        found = _back(layer, loss, p, pieces.pop(), found)
    return mean(found.loss, found.seen), tree.map(lambda g: mean(g, found.seen), found.grads), state


def _during(batch: Data, steps: slice, targets: bool) -> Data:
    """Some steps of the batch, with their targets, or all of them where they are not of steps."""
    cut = Cut(slice(None), steps, False)
    return pick(batch, cut) if targets else pick(batch._replace(y=None), cut)._replace(y=batch.y)


def _back(layer: Layer, loss: Loss, p: Params, piece: Piece, found: Found) -> Found:
    """What is found after one piece more; its tape is gone then, before the next is made."""
    data, ctx, state = piece
    y, _, tape = layer.forward(p, data.x, state, ctx)
    total, seen, dy = found.loss, found.seen, None
    if found.grads is None or not layer.shortens:
        mask = layer.mask_after(data.x, data.mask)
        value, dy = loss(y, data.y, mask)
        share = weight(data, mask, value)
        total, seen, dy = total + value * share, seen + share, dy * share
    begin, dp = layer.gradients(p, tape, dy, found.dstate)
    return Found(total, seen, tree.add(found.grads, dp), begin)
