"""Models from PyTorch's modules."""

from dataclasses import replace
from typing import Any

from ...backend import Backend
from ...backend import backend as choose_backend
from ...initializers import Outline
from ...layers.base import Layer
from ...layers.direction import Direction
from ...layers.recurrent import Stack
from ...layers.sequential import Sequential
from ...model import Model
from .known import CONTAINERS, KNOWN, REASONS
from .state import params_of, tensors_of, weights_of


def from_module(
    module: Any, *, return_sequences: bool = True, backend: str | Backend = "numpy", dtype: str | None = None
) -> Model:
    """A model from a torch.nn.Module: its children in the order of their definition, with its weights and names.

    The module is one of ``KNOWN``, an nn.Sequential, or of any class whose children are those. A forward of its own is
    not read: that it calls its children in order, and does nothing else, is for the caller to know; compare once.
    Whatever ``batch_first`` says, a Model takes (batch, time, features), or (batch, time) token ids.

    return_sequences: False makes the last recurrent layer give its last output alone, each direction's own last, as h_n
                      has them (in two directions that is not ``out[:, -1]``).
    dtype:            that of the module unless given; half precision becomes "float32".

    A module that stands twice among the same children is one layer; weights tied in any other way become copies of
    equal value. ``padding_idx`` says nothing here: that row gets its gradient. Softplus does not jump at its threshold.
    Raises TypeError for children that are not known, ValueError for options that are not, with their names.
    """
    if "torch.nn.modules.module.Module" not in [f"{kind.__module__}.{kind.__name__}" for kind in type(module).__mro__]:
        raise TypeError(f"from_module takes a torch.nn.Module, not a {type(module).__name__}")
    layer = _layer(module, "") if _kind(module) else _chain(module, "")
    if not return_sequences:
        short = _shortened(layer)
        if short is None:
            raise ValueError("return_sequences=False is about the last recurrent layer, and the module has none")
        layer = short
    if dtype is None and not isinstance(backend, Backend):
        dtype = "float64" if any("float64" in str(a.dtype) for a in module.parameters()) else "float32"
    on, shape = choose_backend(backend, dtype), _shape(module)
    if shape is None:
        return Model(layer, on)
    outline, _ = layer.init(Outline(), shape)  # type: ignore[arg-type]
    tensors = tensors_of(module, weights_of(layer, outline))
    whose = f"the children of this {type(module).__name__}, in order"
    return Model(layer, on, input_shape=shape, params=params_of(layer, outline, tensors, whose)[0])


def _kind(module: Any) -> str:
    """The class of torch.nn whose forward ``module`` runs; "" for one of its own."""
    owner = next((kind for kind in type(module).__mro__ if "forward" in vars(kind)), type(module))
    own = "forward" in vars(module) or not owner.__module__.startswith("torch.nn.modules.")
    return "" if own else owner.__name__


def _layer(module: Any, name: str) -> Layer:
    """The layer that one child is, or the Sequential that a container is."""
    _check_plain(module, name)
    kind = _kind(module)
    if kind in CONTAINERS:
        return _chain(module, name)
    where = _where(module, name)
    if kind not in KNOWN:
        reason = REASONS.get(kind, "there is no layer for it" if kind else "its forward is its own, and is not read")
        raise TypeError(f"{where} cannot be converted: {reason}; known are Sequential, {', '.join(KNOWN)}")
    for option, value in KNOWN[kind].only.items():
        if getattr(module, option) != value:
            raise ValueError(f"{where} has {option}={getattr(module, option)!r}, and only {value!r} can be converted")
    try:
        return KNOWN[kind].layer(module)
    except ValueError as error:
        raise ValueError(f"{where} cannot be converted: {error}") from error


def _check_plain(module: Any, name: str) -> None:
    """Raise TypeError for hooks, which change what a module computes, and for weights that are not there yet."""
    if any("Uninitialized" in type(a).__name__ or a.is_meta for a in module.parameters(recurse=False)):
        raise TypeError(f"{_where(module, name)} has no weights yet")
    if module._forward_hooks or module._forward_pre_hooks:
        raise TypeError(f"{_where(module, name)} has forward hooks, and what they do is not read")


def _chain(module: Any, name: str) -> Layer:
    """The children of ``module`` one after the other; the same module is the same layer."""
    _check_plain(module, name)
    tensors = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    if tensors:
        own = ", ".join(one for one, _ in tensors)
        raise TypeError(f"{_where(module, name)} has tensors of its own, {own}, and how it uses them is not read")
    found = module.named_modules(remove_duplicate=False)
    children = {child: one for child, one in found if child and "." not in child}
    if not children and _kind(module) not in CONTAINERS:
        raise TypeError(f"{_where(module, name)} has no children, and its forward is its own, and is not read")
    known: dict[int, tuple[str, Layer]] = {}
    for child, one in children.items():
        if id(one) not in known:
            known[id(one)] = child, _layer(one, f"{name}.{child}" if name else child)
    places = [known[id(one)] for one in children.values()]
    return Sequential(*(layer for _, layer in places), names=tuple(child for child, _ in places))


def _shortened(layer: Layer) -> Layer | None:
    """``layer`` with the last output alone of its last recurrent layer; None if there is none."""
    if isinstance(layer, Stack | Direction):
        return replace(layer, return_sequences=False)
    if isinstance(layer, Sequential):
        for n in reversed(range(len(layer.layers))):
            short = _shortened(layer.layers[n])
            if short is not None:
                return Sequential(*layer.layers[:n], short, *layer.layers[n + 1 :], names=layer.names)
    return None


def _shape(module: Any) -> tuple[int | None, ...] | None:
    """The shape of a sample, from the first child that wants a number of features or token ids; None if none does."""
    for one in module.modules():
        kind = _kind(one)
        if kind == "Embedding":
            return (None,)
        known = KNOWN.get(kind)
        if known is not None and known.features is not None:
            return (None, known.features(one))
    return None


def _where(module: Any, name: str) -> str:
    """What errors call a module."""
    kind = type(module).__name__
    return f"{name!r} ({kind})" if name else f"the {kind}"
