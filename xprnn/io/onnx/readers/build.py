"""From a chain of layers, as it was found in a graph, to layers as one would write them."""

from typing import Any

import numpy as np

from .... import cells
from ....cells import Cell
from ....layers.base import Layer
from ....layers.bidirectional import Bidirectional
from ....layers.direction import Direction
from ....layers.recurrent import GRU, LSTM, RNN, PeepholeLSTM, Recurrent
from ....layers.sequential import Sequential
from ....layers.time_distributed import TimeDistributed
from ....types import Params
from .flow import MOST, Chain, NoLayerError, Step


def links(chain: Chain | None) -> list[Chain]:
    """The links of a chain in order."""
    found: list[Chain] = []
    while chain is not None:
        found.append(chain)
        chain = chain.before
    return found[::-1]


def sequential(chain: Chain | None) -> tuple[Sequential, Params]:
    """The layers of a chain, and their parameters; a layer whose weights the file has once is one layer."""
    known: dict[tuple[Layer, tuple[str, ...]], Layer] = {}
    layers, params, found = [], [], links(chain)
    if sum(len(link.steps) for link in found) > MOST:
        raise NoLayerError(f"it has more than {MOST} layers")
    for link in found:
        layer, p = _layer(link)
        weights = tuple(name for step in link.steps for name in step.weights)
        layers.append(known.setdefault((layer, weights), layer) if weights else layer)
        params.append(p)
    whole = Sequential(*layers)
    return whole, dict(zip(whole.names, params, strict=True))


def alone(chain: Chain | None) -> tuple[Layer, Params]:
    """The layers of a chain as one, which is the layer itself where there is one."""
    whole, params = sequential(chain)
    return (whole.layers[0], params[whole.names[0]]) if len(whole.layers) == 1 else (whole, params)


def _layer(link: Chain) -> tuple[Layer, Params]:
    """The layer that a link is."""
    found = [_plain(step) for step in link.steps]
    if len(found) == 1:
        ((layer, params),) = found
    else:
        layer = Sequential(*(one for one, _ in found))
        params = dict(zip(layer.names, (p for _, p in found), strict=True))
    return TimeDistributed(layer) if link.wrapped or len(found) > 1 else layer, params


def _plain(step: Step) -> tuple[Layer, Params]:
    """A layer as one would write it: a direction is an LSTM, a GRU, ..."""
    if step.layer is None:
        raise NoLayerError(step.pending)
    if isinstance(step.layer, Direction):
        one = step.layer
        options = {"reverse": one.reverse, "learn_state": one.learn_state, "return_sequences": not step.last}
        return _stack(one.cell, options), {"0": step.params}
    if isinstance(step.layer, Bidirectional):
        return _both(step.layer, step.params, step.last)
    return step.layer, step.params


def _both(layer: Bidirectional, params: Params, last: bool) -> tuple[Layer, Params]:
    a, b = layer.forward_layer, layer.backward_layer
    learned = a.learn_state or b.learn_state
    if a.learn_state != b.learn_state and not last:
        return layer, params
    begun = {side: _begun(one, learned) | params[side] for side, one in (("forward", a), ("backward", b))}
    options: dict[str, Any] = {
        "bidirectional": True,
        "merge": layer.merge,
        "learn_state": learned,
        "return_sequences": not last,
    }
    if a.cell == b.cell:
        return _stack(a.cell, options), {"0": begun}
    return Recurrent(a.cell, b.cell, **options), {"0": begun}


def _begun(layer: Direction, learned: bool) -> Params:
    """An initial state of zeros, if one is learned."""
    return {f"state{n}": np.zeros(size) for n, size in enumerate(layer.cell.state_sizes)} if learned else {}


def _stack(cell: Cell, options: dict[str, Any]) -> Layer:
    """The recurrent layer of a cell."""
    match cell:
        case cells.RNN():
            return RNN(cell.hidden, activation=cell.activation, bias=cell.bias, double_bias=cell.double_bias, **options)
        case cells.LSTM():
            return LSTM(cell.hidden, bias=cell.bias, double_bias=cell.double_bias, **options)
        case cells.PeepholeLSTM():
            return PeepholeLSTM(cell.hidden, bias=cell.bias, double_bias=cell.double_bias, **options)
        case cells.GRU():
            return GRU(cell.hidden, bias=cell.bias, **options)
        case cells.GRUResetBefore(double_bias=False):
            return GRU(cell.hidden, reset_after=False, bias=cell.bias, **options)
    return Recurrent(cell, **options)
