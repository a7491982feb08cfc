"""Whole models' weights under PyTorch's names: out of a model, into one, and into a module of PyTorch's."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ... import tree
from ...arrays import namespace
from ...backend import to_numpy
from ...layers.base import Layer
from ...layers.sequential import Sequential
from ...layers.time_distributed import TimeDistributed
from ...model import Model
from ...types import Array, Params
from . import names


class Loaded(NamedTuple):
    """What ``load_state_dict(..., strict=False)`` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Leaf(NamedTuple):
    """A layer with parameters, in a model: what stands before its names, PyTorch's and ours."""

    theirs: str
    ours: str
    layer: Layer
    p: Params


def state_dict(model: Model) -> dict[str, Array]:
    """Copies of the model's weights under PyTorch's names, "0.weight_ih_l0": what its modules have in their state_dict.

    The layers' names are those in the model's ``Sequential``. Where a cell has one bias for PyTorch's two, the second
    is zero. Raises TypeError or ValueError for layers that PyTorch has not.
    """
    with model.backend.active():
        return {name: _own(a) for name, a in weights_of(model.layer, model.built()[1]).items()}


def load_state_dict(model: Model, state: Mapping[str, Any], strict: bool = True) -> Loaded:
    """Replace the model's weights by copies of those given, arrays of any library, PyTorch's tensors among them.

    ``state`` has the names and shapes of ``state_dict(model)``, as PyTorch's own and ``read`` give them; what has been
    kept to resume training is dropped. Where a cell has one bias for PyTorch's two, it is their sum.
    Without ``strict``, names that are missing or not known are passed over and returned. Raises ValueError, with the
    model as it was, if names or shapes do not fit.
    """
    params, loaded = params_of(model.layer, model.built()[1], state, f"this model, {model.layer}", strict)
    with model.backend.active():
        fresh = tree.map(lambda a: model.backend.asarray(a, model.backend.dtype), params)
    model.params, model.run = fresh, None
    return loaded


def to_module(model: Model, module: Any) -> None:
    """Write the model's weights into a torch.nn.Module that has its names and shapes, in place, in the module's dtype.

    Raises ValueError, with the module as it was, if names or shapes do not fit, or if weights that are one tensor in
    the module have come apart in the model.
    """
    import torch

    host = to_numpy(state_dict(model))
    tensors = tensors_of(module, host)
    fit(host, {name: tuple(a.shape) for name, a in tensors.items()}, f"this {type(module).__name__}")
    first: dict[int, str] = {}
    for name, tensor in tensors.items():
        other = first.setdefault(id(tensor), name)
        if host[name].tobytes() != host[other].tobytes():
            raise ValueError(f"{other} and {name} are one tensor in the module and have different values in the model")
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(host[name]))


def tensors_of(module: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A module's parameters and buffers by name; what has a name in ``wanted`` goes by that alone."""
    state = module.state_dict(keep_vars=True)
    known = {id(state[name]) for name in wanted if name in state}
    return {name: tensor for name, tensor in state.items() if name in wanted or id(tensor) not in known}


def fit(
    state: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], whose: str, strict: bool = True
) -> tuple[dict[str, np.ndarray], Loaded]:
    """The arrays of ``state`` that ``shapes`` has names for, on the host, and the names that only one of them has.

    Raises TypeError if ``state`` is no mapping, ValueError with all that is wrong if it does not fit.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"a state_dict is a dict of arrays by PyTorch's names, not a {type(state).__name__}")
    missing = [name for name in shapes if name not in state]
    unexpected = [name for name in state if name not in shapes]
    host = {name: to_numpy(state[name]) for name in shapes if name in state}
    problems = [f"missing: {', '.join(missing)}"] if strict and missing else []
    problems += [f"unexpected: {', '.join(map(str, unexpected))}"] if strict and unexpected else []
    problems += [
        f"{name} has the shape {a.shape}, not {tuple(shapes[name])}"
        for name, a in host.items()
        if a.shape != tuple(shapes[name])
    ]
    if problems:
        raise ValueError(f"this state_dict is not one of {whose}: {'; '.join(problems)}")
    return host, Loaded(missing, unexpected)


def leaves(layer: Layer, p: Params, theirs: str = "", ours: str = "") -> Iterator[Leaf]:
    """The layers in ``layer`` that have parameters, in PyTorch's order."""
    if isinstance(layer, Sequential):
        for their_name, name, one in zip(_their_names(layer.names), layer.names, layer.layers, strict=True):
            yield from leaves(one, p[name], f"{theirs}{their_name}.", f"{ours}{name}.")
    elif isinstance(layer, TimeDistributed):
        yield from leaves(layer.layer, p, theirs, ours)
    elif tree.leaves(p):
        yield Leaf(theirs, ours, layer, p)


def weights_of(layer: Layer, p: Params) -> dict[str, Array]:
    """PyTorch's weights of a whole model from its parameters, in its layout, not copied."""
    found: dict[str, Array] = {}
    for leaf in leaves(layer, p):
        try:
            found |= {leaf.theirs + name: a for name, a in names.to_torch(leaf.layer, leaf.p).items()}
        except (TypeError, ValueError) as error:
            raise type(error)(f"layer {leaf.ours[:-1]!r}: {error}") from error
    return found


def params_of(
    layer: Layer, p: Params, state: Mapping[str, Any], whose: str, strict: bool = True
) -> tuple[Params, Loaded]:
    """The parameters of a whole model, copies on the host, from PyTorch's weights; what is not in ``state`` is in p."""
    current = to_numpy(weights_of(layer, p))
    host, loaded = fit(state, {name: a.shape for name, a in current.items()}, whose, strict)
    weights = current | host
    flat: dict[str, np.ndarray] = {}
    for leaf in leaves(layer, p):
        own = {name: weights[leaf.theirs + name] for name in names.to_torch(leaf.layer, leaf.p)}
        params = tree.flatten(names.from_torch(leaf.layer, own))
        flat |= {leaf.ours + name: np.array(a, order="C") for name, a in params.items()}
    return tree.fill(p, flat), loaded


def _their_names(own: tuple[str, ...]) -> tuple[str, ...]:
    """PyTorch's names of a Sequential's places: one that stands in several has each place's name where those count."""
    places = tuple(map(str, range(len(own))))
    first = tuple(str(own.index(name)) for name in own)
    return places if own == first else own


def _own(a: Array) -> Array:
    """A copy whose memory is in the order of its axes, as files of safetensors must have it."""
    xp = namespace(a)
    return xp.reshape(xp.asarray(xp.reshape(a, (-1,)), copy=True), a.shape)
