"""Layers one after the other."""

import re
from dataclasses import dataclass
from typing import Any

from .. import tree
from ..random import Key
from ..types import Array, Generator, Params, Shape, Sizes, State, Step
from . import chain
from .base import Context, Layer
from .overlap import Place


@dataclass(frozen=True, init=False, repr=False)
class Sequential(Layer):
    """Run ``layers`` in order: ``Sequential(Embedding(100, 64), LSTM(128), Dense(100))``.

    Parameters are a dict by layer name: "embedding", "lstm", "lstm_1", ... The same object given twice is one layer
    used twice, with one set of parameters; its gradient is the sum of both uses. State: a tuple, one entry a place.
    """

    layers: tuple[Layer, ...]
    names: tuple[str, ...]

    def __init__(self, *layers: Layer, names: tuple[str, ...] | None = None) -> None:
        for place, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                hint = "; xprnn.models.Sequential is Keras's, which takes a list" if isinstance(layer, list) else ""
                raise TypeError(f"Sequential takes layers, one after the other, not {layer!r}{hint}")
            if place and layer.makes_mask:
                raise ValueError(f"{layer} tells padding by the input's values, so it stands first, not at {place}")
        _check_names(layers, names)
        object.__setattr__(self, "layers", layers)
        object.__setattr__(self, "names", _names(layers) if names is None else tuple(names))

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"

    @property
    def shortens(self) -> bool:
        return any(layer.shortens for layer in self.layers)

    @property
    def rank(self) -> int | None:
        ranks = (layer.rank for layer in self.layers)  # asked once each: layers nest
        return next((rank for rank in ranks if rank is not None), None)

    @property
    def takes_ids(self) -> bool:
        first = next((layer for layer in self.layers if layer.rank is not None), None)
        return first is not None and first.takes_ids

    @property
    def state_sizes(self) -> Sizes:
        return tuple(layer.state_sizes for layer in self.layers)

    @property
    def makes_mask(self) -> bool:
        return any(layer.makes_mask for layer in self.layers)

    @property
    def streams(self) -> bool:
        return all(layer.streams for layer in self.layers)

    def check(self, x: Array, mask: Array | None) -> None:
        if self.layers:
            self.layers[0].check(x, mask)

    def mask_after(self, x: Array, mask: Array | None) -> Array | None:
        if self.shortens:
            return None
        return self.layers[0].mask_after(x, mask) if self.layers else mask

    def init(self, rng: Generator, shape: Shape) -> tuple[Params, Shape]:
        p: Params = {}
        for name, layer in zip(self.names, self.layers, strict=True):
            fresh, after = layer.init(rng, shape)
            known = p.setdefault(name, fresh)
            if _shapes(known) != _shapes(fresh):
                raise ValueError(f"{name} is used twice, with parameters {_shapes(known)} and {_shapes(fresh)}")
            shape = after
        return p, shape

    def forward(self, p: Params, x: Array, state: State, ctx: Context) -> tuple[Array, State, Any]:
        if state is not None and len(state) != len(self.layers):
            raise ValueError(f"a model of {len(self.layers)} layers wants as many states, not {len(state)}")
        y, ends, tape = chain.forward(self._places(p, state, ctx.key), x, ctx)
        return y, tuple(ends), tape

    def stepper(self, like: Array) -> Step:
        if self.makes_mask:
            return super().stepper(like)
        return chain.stepper([(name, layer.stepper(like)) for name, layer in zip(self.names, self.layers, strict=True)])

    def backward(self, p: Params, tape: Any, dy: Array | None, dstate: State) -> tuple[Array | None, State, Params]:
        dx, begins, grads = chain.backward(self._places(p, dstate), tape, dy)
        return dx, tuple(begins), self._summed(p, grads)

    def gradients(self, p: Params, tape: Any, dy: Array | None, dstate: State) -> tuple[State, Params]:
        stages = enumerate(zip(self.names, self.layers, strict=True))
        first = next((n for n, (name, layer) in stages if tree.leaves((p[name], layer.state_sizes))), None)
        _, begins, grads = chain.backward(self._places(p, dstate), tape, dy, first)
        before = self.layers[: len(self.layers) - len(begins)]
        return (*(layer.state_sizes for layer in before), *begins), self._summed(p, grads)

    def _places(self, p: Params, state: State, key: Key | None = None) -> list[Place]:
        return [
            Place(layer, p[name], None if state is None else state[n], None if key is None else key.fold(n))
            for n, (name, layer) in enumerate(zip(self.names, self.layers, strict=True))
        ]

    def _summed(self, p: Params, found: list[Params]) -> Params:
        """The gradients by name, each the sum over the places of that name; there may be none of the first places."""
        first = len(self.names) - len(found)
        grads: Params = {name: p[name] for name in self.names[:first]}
        for name, dp in reversed(list(zip(self.names[first:], found, strict=True))):
            grads[name] = tree.map(lambda a, b: a + b, grads[name], dp) if name in grads else dp
        return {name: grads[name] for name in p}


def _check_names(layers: tuple[Layer, ...], names: tuple[str, ...] | None) -> None:
    """Raise unless ``names`` is None or has a name for each layer, the same for the same object only, without dots."""
    if names is None:
        return
    if isinstance(names, str) or len(names) != len(layers):
        raise ValueError(f"{len(layers)} layers want as many names, not {names!r}")
    known: dict[str, Layer] = {}
    for name, layer in zip(names, layers, strict=True):
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"a layer's name is a string without dots, not {name!r}")
        if known.setdefault(name, layer) is not layer:
            raise ValueError(f"two different layers are named {name!r}: {known[name]} and {layer}")


def _shapes(p: Params) -> dict[str, tuple]:
    return {name: tuple(a.shape) for name, a in tree.flatten(p).items()}


def _names(layers: tuple[Layer, ...]) -> tuple[str, ...]:
    """A name for each place, "lstm", "lstm_1", ...; the same object has the same name wherever it stands."""
    known: dict[int, str] = {}
    for layer in layers:
        if id(layer) not in known:
            stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(layer).__name__).lower()
            taken = sum(re.fullmatch(rf"{stem}(_\d+)?", name) is not None for name in known.values())
            known[id(layer)] = f"{stem}_{taken}" if taken else stem
    return tuple(known[id(layer)] for layer in layers)
