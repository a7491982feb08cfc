"""Recurrent layers one above the other at the same time: while one does some steps, the one below does the next ones.

In turn n layer l does chunk n - l of the steps; back, the turns are taken from the last one. Nothing in a turn needs
anything else of it, and a turn ends where both streams have ended: what one has left the other reads in a later turn,
and memory that both may use goes back between turns. Weights' gradients are summed from the last chunk to the first.
"""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from .. import gpu, tree
from ..arrays import namespace
from ..kernels.record import cut_up
from ..ops.masks import clean
from ..random import Key
from ..types import Array, Namespace, Params, State
from .base import Context, Layer
from .dropout import Dropout
from .sequence_dropout import SequenceDropout

CHUNK = 64
"""The steps of a chunk: as many as a recording of ``kernel="graph"`` has."""


class Place(NamedTuple):
    """A layer where it stands: its parameters, its state (on the way back that one's cotangent), and its key."""

    layer: Layer
    p: Params
    state: State
    key: Key | None = None


class Stage(NamedTuple):
    """A recurrent layer: at which of the places it stands, and by what dropout before it multiplies: (B, T, D) each."""

    place: int
    keeps: list[Array]


class Tape(NamedTuple):
    """What the way back needs: who ran over what in which cuts of time, and the tape of each layer for each chunk."""

    stages: list[Stage]
    x: Array
    cuts: list[slice]
    masks: list[Array | None]
    tapes: dict[tuple[int, int], Any]


def reach(places: list[Place], first: int, x: Array) -> int:
    """How many of the places, from ``first`` on, are overlapped over x: recurrent layers, and dropout between them."""
    if gpu.STREAMS == 1 or x.ndim != 3 or x.shape[1] <= CHUNK or gpu.device_of(x) is None:
        return 0
    stop = layers = 0
    for n, (layer, *_) in enumerate(places[first:], 1):
        if layer.overlaps:
            stop, layers = n, layers + 1
        elif not isinstance(layer, Dropout | SequenceDropout):
            break
        if layer.shortens or not layers:
            break
    return stop if layers > 1 else 0


def forward(places: list[Place], x: Array, ctx: Context) -> tuple[Array, list[State], Tape]:
    """y, the state of each place after the last step, and the tape."""
    xp, T, stages = namespace(x), x.shape[1], _stages(places, x, ctx)
    cuts = cut_up(T, CHUNK)
    contexts = [ctx.part(cut) for cut in cuts]
    ys = {(-1, chunk): x[:, cut, :] for chunk, cut in enumerate(cuts)}
    states, tapes = [places[stage.place].state for stage in stages], {}

    def do(layer: int, chunk: int) -> tuple[Array, State, Any]:
        place, here = places[stages[layer].place], contexts[chunk]
        part = _dropped(xp, ys[layer - 1, chunk], here.mask, stages[layer].keeps, cuts[chunk])
        return place.layer.forward(place.p, part, states[layer], here._replace(key=place.key))

    for turn in _turns(len(stages), len(cuts)):
        for (layer, chunk), (y, state, tape) in _taken(x, turn, do):
            ys[layer, chunk], states[layer], tapes[layer, chunk] = y, state, tape
            del ys[layer - 1, chunk]
    parts = [ys[len(stages) - 1, chunk] for chunk in range(len(cuts))]
    y = parts[-1] if places[-1].layer.shortens else xp.concat(parts, axis=1)
    return y, _placed(places, stages, states, ()), Tape(stages, x, cuts, [one.mask for one in contexts], tapes)


def backward(
    places: list[Place], tape: Tape, dy: Array | None, inputs: bool
) -> tuple[Array | None, list[State], list[Params]]:
    """From the cotangent of y -> dx, None unless ``inputs``, those of the initial states, and the gradients."""
    stages, x, cuts, masks, tapes = tape
    xp, end = namespace(x), len(cuts) - 1
    shortens = places[-1].layer.shortens
    dys = {(len(stages) - 1, chunk): _part(dy, cut, shortens, chunk == end) for chunk, cut in enumerate(cuts)}
    states, grads = [places[stage.place].state for stage in stages], [dict[str, Any]() for _ in stages]

    def do(layer: int, chunk: int) -> tuple[Array | None, State, Params]:
        inner, p, *_ = places[stages[layer].place]
        back = p, tapes[layer, chunk], dys[layer, chunk], states[layer]
        if layer or inputs:
            dx, begin, dp = inner.backward(*back)
            dx = _dropped(xp, dx, masks[chunk], stages[layer].keeps[::-1], cuts[chunk])
        else:
            dx, (begin, dp) = None, inner.gradients(*back)
        return dx, begin, dp if chunk == end else tree.map(operator.add, grads[layer], dp)

    for turn in reversed(_turns(len(stages), len(cuts))):
        for (layer, chunk), (dx, begin, dp) in _taken(x, turn, do):
            dys[layer - 1, chunk], states[layer], grads[layer] = dx, begin, dp
            del dys[layer, chunk]
    dx = xp.concat([dys[-1, chunk] for chunk in range(len(cuts))], axis=1) if inputs else None
    return dx, _placed(places, stages, states, ()), _placed(places, stages, grads, {})


def _turns(layers: int, chunks: int) -> list[list[tuple[int, int]]]:
    """The layers and chunks of each turn."""
    numbers = range(layers + chunks - 1)
    return [[(layer, turn - layer) for layer in range(layers) if 0 <= turn - layer < chunks] for turn in numbers]


def _taken(
    x: Array, turn: list[tuple[int, int]], do: Callable[[int, int], tuple]
) -> list[tuple[tuple[int, int], tuple]]:
    """Each layer and chunk with what ``do`` gives for them, where all of it is done; layers take turns with streams."""
    halves = [[at for at in turn if at[0] % 2 == stream] for stream in range(2)]
    found = gpu.both(x, *(partial(lambda half: [do(*at) for at in half], half) for half in halves))
    return [*zip(halves[0], found[0], strict=True), *zip(halves[1], found[1], strict=True)]


def _stages(places: list[Place], x: Array, ctx: Context) -> list[Stage]:
    """The recurrent layers, with the numbers that dropout draws for all steps."""
    xp, (B, T, width), stages, keeps = namespace(x), x.shape, [], []
    for n, (layer, _, _, key) in enumerate(places):
        if isinstance(layer, Dropout | SequenceDropout):
            own = ctx._replace(key=key)
            source, steps = (own.step_key, T) if isinstance(layer, Dropout) else (own.key, 1)
            if source is not None and layer.rate:
                keep = source.keep(xp, x, (B, steps, width), layer.rate)
                keeps.append(xp.broadcast_to(keep, (B, T, width)))
        else:
            stages.append(Stage(n, keeps))
            keeps, width = [], tree.leaves(layer.state_sizes)[0]
    return stages


def _dropped(xp: Namespace, x: Array, mask: Array | None, keeps: list[Array], cut: slice) -> Array:
    """x, steps of the cut, after dropout, or a cotangent before it."""
    for keep in keeps:
        x = clean(xp, x, mask) * keep[:, cut, :]
    return x


def _part(dy: Array | None, cut: slice, shortens: bool, ends: bool) -> Array | None:
    """The cotangent of a chunk's output: of a layer that gives the last output alone, what ends gives it."""
    if shortens:
        return dy if ends else None
    return None if dy is None else dy[:, cut, :]


def _placed(places: list[Place], stages: list[Stage], found: list, rest: Any) -> list:
    """What was found for each stage, at its place; what stands between has the rest."""
    at = {stage.place: a for stage, a in zip(stages, found, strict=True)}
    return [at.get(n, rest) for n in range(len(places))]
