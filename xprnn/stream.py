"""A model one step at a time, the state carried from call to call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import door
from .layers.base import Context
from .types import Array, State

if TYPE_CHECKING:
    from .model import Model


class Stream:
    """Feed a model one step at a time: ``stream = model.stream(); y_t = stream(x_t)``.

    x_t is one step of a batch, (B, D) or (B,) token ids, or of a single sequence, (D,) or (). The outputs, one after
    the other, are those of the whole sequence. ``state`` may be read, kept and set again; None is the initial one.
    Raises ValueError for a model that must see the whole sequence first (bidirectional, reverse, pooling).
    """

    def __init__(self, model: Model, state: State = None) -> None:
        if not model.layer.streams:
            raise ValueError(f"{model.layer} needs the whole sequence before its first output; it cannot stream")
        if model.layer.rank is None:
            raise ValueError(f"{model.layer} is not a model of sequences; call it")
        self._model = model
        self.state = state

    def reset(self) -> None:
        """Go back to the initial state."""
        self.state = None

    def __call__(self, x_t: Array) -> Array:
        """The output of the next step, (B, H), or (H,) for a single sequence."""
        model = self._model
        model.backend.check(x_t, "x_t")
        with model.backend.active():
            xp = model.backend.xp
            rank = model.layer.rank or 0
            single = x_t.ndim == rank - 1
            x = xp.expand_dims(x_t, axis=0 if single else 1) if x_t.ndim in (rank - 1, rank) else x_t
            shape, params = model.built(x)
            entry = door.enter(model.backend, model.layer, (None, *shape[1:]), x, None, None, None)
            y, self.state, _ = model.layer.forward(params, entry.x, self.state, Context(tape=False))
            if not model.layer.shortens:
                y = y[:, 0, ...]
            return y[0, ...] if single else y
