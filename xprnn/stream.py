"""A model one step at a time, the state carried from call to call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import door
from .arrays import device, is_numpy
from .types import Array, State

if TYPE_CHECKING:
    from .model import Model


class Stream:
    """Feed a model one step at a time: ``stream = model.stream(); y_t = stream(x_t)``.

    x_t is one step of a batch, (B, D) or (B,) token ids, or of a single sequence, (D,) or (). The outputs, one after
    the other, are those of the whole sequence. ``state`` may be read, kept and set again; None is the initial one, and
    others are as ``Model.forward`` gives them, without B for a single sequence. Each step takes the model's
    parameters as they are then.
    Raises ValueError for a model that must see the whole sequence first (bidirectional, reverse, pooling, or a last
    output where the input's values tell padding).
    """

    def __init__(self, model: Model, state: State = None) -> None:
        if not model.layer.streams:
            raise ValueError(f"{model.layer} needs the whole sequence before its first output; it cannot stream")
        if model.layer.makes_mask and model.layer.shortens:
            raise ValueError(
                f"{model.layer} gives its last real output, and finds padding by the input's values: one step alone "
                "cannot tell it; stream with return_sequences=True"
            )
        shape = (None,) if model.layer.rank == 1 else (None, None) if model.layer.rank == 2 else model.input_shape
        if shape is None or not door.has_time(model.layer, shape):
            raise ValueError(f"{model.layer} is not a model of sequences; call it")
        self._model, self._rank = model, len(shape)
        self.state = state

    @property
    def state(self) -> State:
        """What the steps so far have left; None at the beginning."""
        return door.leave(self._single, self._state)

    @state.setter
    def state(self, state: State) -> None:
        self._state, self._single = state, False
        self._known: tuple = ()  # place, dtype and shape of the array that was looked at

    def reset(self) -> None:
        """Go back to the initial state."""
        self.state = None

    def __call__(self, x_t: Array) -> Array:
        """The output of the next step, (B, H), or (H,) for a single sequence."""
        # Arrays that look alike are let in alike: a step is too short to look at each again.
        plain = is_numpy(x_t)
        known = (None, x_t.dtype, x_t.shape) if plain else self._model.backend.looks(x_t)
        if known != self._known:
            self._enter(x_t)
            self._known = known or ()
        if plain:
            return self._next(x_t)
        with self._model.backend.active():
            return self._next(x_t)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy begins with: it looks at its next step itself."""
        return self.__dict__ | {"_known": (), "_step": None}

    def _next(self, x_t: Array) -> Array:
        model = self._model
        x = x_t[None, ...] if self._single else x_t
        model.layer.check(x, None)
        y, self._state = self._step(model.params or {}, x, self._state)
        return y[0, ...] if self._single else y

    def _enter(self, x_t: Array) -> None:
        """Look at a step, and at a state that was set or that steps of another shape have left."""
        model, state = self._model, self.state
        door.check_kind(model.backend, model.layer, x_t, "x_t")
        if x_t.ndim not in (self._rank - 1, self._rank):
            axes = ["(B,) or ()", "(B, D) or (D,)"][self._rank - 1]
            raise ValueError(f"a step has the shape {tuple(x_t.shape)}; expected {axes}, without an axis for time")
        single = x_t.ndim == self._rank - 1
        with model.backend.active():
            x = model.backend.xp.expand_dims(x_t, axis=0 if single else 1)
            shape, _ = model.built(x)
            entry = door.enter(model.backend, model.layer, (None, *shape[1:]), x, state, None, None)
            xp, batch, dtype = model.backend.xp, entry.x.shape[0], getattr(model.backend.xp, model.backend.dtype)
            like = xp.zeros((batch, 1), dtype=dtype, device=device(entry.x))
        self._step, self._state, self._single = model.layer.stepper(like), entry.state, single
