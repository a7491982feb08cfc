"""Layers one after the other: the loop there and the loop back."""

from typing import Any

from .. import tree
from ..arrays import namespace
from ..types import Array, Params, State, Step
from . import overlap
from .base import Context
from .overlap import Place

Link = tuple[int, Any]
"""Of how many places it is the tape: of one, or of a run of layers that were overlapped; and the tape."""


def forward(places: list[Place], x: Array, ctx: Context) -> tuple[Array, list[State], list[Link]]:
    """y, the state of each place after the last step, and the tape."""
    ends: list[State] = []
    links: list[Link] = []
    while len(ends) < len(places):
        layer, p, state, key = places[len(ends)]
        count = overlap.reach(places, len(ends), x) or 1
        after = places[len(ends) + count - 1].layer.mask_after(x, ctx.mask)
        if count > 1:
            x, some, tape = overlap.forward(places[len(ends) : len(ends) + count], x, ctx)
            ends += some
        else:
            x, end, tape = layer.forward(p, x, state, ctx if key is None else ctx._replace(key=key))
            ends.append(end)
        if after is not ctx.mask:
            ctx = ctx._replace(mask=after)
        links.append((count, tape))
    return x, ends, links


def stepper(steps: list[tuple[str, Step]]) -> Step:
    """One step through layers, each with the parameters of its name; the state has a place for each of them."""

    def step(p: Params, x: Array, state: State) -> tuple[Array, State]:
        ends = []
        for n, (name, one) in enumerate(steps):
            x, end = one(p[name], x, None if state is None else state[n])
            ends.append(end)
        return x, tuple(ends)

    return step


def backward(
    places: list[Place], links: list[Link], dy: Array | None, first: int | None = None
) -> tuple[Array | None, list[State], list[Params]]:
    """From the cotangents of y and, in ``places``, of the last states -> dx, those of the initial ones, the gradients.

    first: what comes before this place is left out, of the lists too, and dx is None. None: it is the whole way back.
    """
    begins: list[State] = []
    grads: list[Params] = []
    stop = len(places)
    for count, tape in reversed(links):
        start = stop - count
        if first is not None and stop <= first:
            break
        dy, some, dps = _back(places[start:stop], tape, dy, start != first)
        begins[:0], grads[:0], stop = some, dps, start
    return dy, begins, grads


def _back(
    places: list[Place], tape: Any, dy: Array | None, inputs: bool
) -> tuple[Array | None, list[State], list[Params]]:
    """``backward`` through one link; dx is None unless ``inputs``."""
    if len(places) > 1:
        return overlap.backward(places, tape, dy, inputs)
    layer, p, dstate, _ = places[0]
    if dy is None and not tree.leaves(layer.state_sizes):  # nothing comes back to a layer without a state
        return None, [layer.state_sizes], [tree.map(lambda a: namespace(a).zeros_like(a), p)]
    way = p, tape, dy, dstate
    dx, begin, dp = layer.backward(*way) if inputs else (None, *layer.gradients(*way))
    return dx, [begin], [dp]
