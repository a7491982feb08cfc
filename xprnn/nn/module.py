"""What the torch-shaped modules share: weights under PyTorch's names, and two modes."""

import math
from abc import ABC
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

from ..backend import Backend
from ..backend import backend as choose_backend
from ..initializers import uniform
from ..io.torch import Loaded, names
from ..io.torch.state import fit
from ..layers.direction import Direction
from ..layers.recurrent import Stack
from ..random import Key
from ..types import Array, Params
from . import door


class Place(NamedTuple):
    """Where a module lives, as its constructor was told: PyTorch's two arguments and ours."""

    device: None
    dtype: str | None
    backend: str | Backend
    seed: int


class Module(ABC):
    """A layer with weights on a backend.

    The weights are attributes with PyTorch's names and shapes, ``weight_ih_l0`` (gates · H, D) and so on, and may be
    replaced by others of the same shape. They begin as U(-1/√H, 1/√H), PyTorch's rule; each name has a stream of its
    own from ``seed``, so that they are the same on every backend.

    backend:  the array library, device and dtype of all that comes in and goes out.
    training: whether dropout is active; it is to begin with, as in PyTorch.
    """

    backend: Backend
    training: bool

    def _begin(self, layer: Stack | Direction, input_size: int, hidden_size: int, place: Place) -> None:
        """What constructors end with: choose the backend and draw the weights."""
        if place.device is not None:
            raise TypeError(
                f"{type(self).__name__} takes no device={place.device!r}: library and device are named together, "
                "backend='cupy:0' or backend='torch:cuda:0'"
            )
        self.input_size, self.hidden_size = input_size, hidden_size
        self.backend = choose_backend(place.backend, place.dtype)
        self.training = True
        self._layer, self._shapes = layer, names.shapes(layer, input_size)
        key, draw = Key(place.seed), uniform(1 / math.sqrt(hidden_size))
        with self.backend.active():
            for name, shape in self._shapes.items():
                setattr(self, name, self.backend.asarray(draw(key.fold(name).generator(), shape)))

    def named_parameters(self) -> Iterator[tuple[str, Array]]:
        """The weights themselves and their names, in PyTorch's order."""
        return ((name, getattr(self, name)) for name in self._shapes)

    def parameters(self) -> Iterator[Array]:
        """The weights themselves, in PyTorch's order."""
        return (weight for _, weight in self.named_parameters())

    def state_dict(self) -> dict[str, Array]:
        """Copies of the weights under PyTorch's names: what happens to the module later leaves them alone."""
        with self.backend.active():
            return {name: door.own(weight) for name, weight in self.named_parameters()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Loaded:
        """Replace the weights by copies of those given, arrays of any library, PyTorch's tensors among them.

        Without ``strict``, names that are missing or not known are passed over and returned. Raises ValueError, with
        the module as it was, if names or shapes do not fit.
        """
        host, loaded = fit(state_dict, self._shapes, repr(self), strict)
        with self.backend.active():
            fresh = {name: door.own(self.backend.asarray(a, self.backend.dtype)) for name, a in host.items()}
        for name, weight in fresh.items():
            setattr(self, name, weight)
        return loaded

    def train(self, mode: bool = True) -> Self:
        """Enter training mode, in which dropout is active; with False, leave it."""
        self.training = mode
        return self

    def eval(self) -> Self:
        """Leave training mode: no dropout."""
        return self.train(False)

    def _params(self) -> Params:
        """The layer's parameters, made of the weights as they are now."""
        weights = dict(self.named_parameters())
        for name, shape in self._shapes.items():
            door.check(self.backend, weights[name], name, shape)
        return names.from_torch(self._layer, weights)

    def _gradients(self, grads: Params) -> dict[str, Array]:
        """The gradients of the weights from those of the layer's parameters."""
        return names.to_torch(self._layer, grads)
