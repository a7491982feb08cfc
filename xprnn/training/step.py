"""One update: forward, loss, backward, clipping, optimizer; pure."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from ..layers.base import Context, Layer
from ..losses import Loss
from ..optimizers import Optimizer, clip_by_norm, clip_by_value
from ..random import Key
from ..types import Array, Params, State
from .data import Data


@dataclass(frozen=True)
class Recipe:
    """How to train.

    epochs:     how often the data are gone through.
    batch_size: rows in an update.
    chunk:      truncated backpropagation: steps in an update; the state crosses from one chunk to the next, the
                gradient does not (Williams and Peng, 1990). None takes sequences whole.
    clip:       limit of the gradient's global norm (Pascanu et al., 2013); ``clip_value`` of each of its numbers.
    shuffle:    take the samples of each epoch in a new order, which the seed gives.
    """

    loss: Loss
    optimizer: Optimizer
    epochs: int = 1
    batch_size: int = 32
    chunk: int | None = None
    clip: float | None = None
    clip_value: float | None = None
    shuffle: bool = True

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "chunk"):
            value = getattr(self, name)
            if (name, value) != ("chunk", None) and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} is a whole number, 1 or more, not {value!r}")


class Run(NamedTuple):
    """All that changes in training, so that a run goes on from it as if it had never stopped.

    epoch and update count what is done: epochs in all, and updates of the one under way. state is what its next chunk
    starts from; total and weight make the mean loss of the epoch so far.
    """

    params: Params
    optimizer: dict[str, Any]
    epoch: int = 0
    update: int = 0
    state: State = None
    total: Array | float = 0.0
    weight: Array | int = 0


def step(layer: Layer, recipe: Recipe, run: Run, batch: Data, key: Key) -> tuple[Params, dict[str, Any], State, Array]:
    """The parameters, the optimizer's state and the last state after an update on ``batch``, and its loss before it."""
    ctx = Context(mask=batch.mask, key=key)
    y, state, tape = layer.forward(run.params, batch.x, run.state, ctx)
    value, dy = recipe.loss(y, batch.y, layer.mask_after(batch.x, batch.mask))
    _, _, grads = layer.backward(run.params, tape, dy, None)
    if recipe.clip_value is not None:
        grads = clip_by_value(grads, recipe.clip_value)
    if recipe.clip is not None:
        grads = clip_by_norm(grads, recipe.clip)
    params, optimizer = recipe.optimizer.update(run.params, grads, run.optimizer)
    return params, optimizer, state, value
