"""One update: forward, loss, backward, clipping, optimizer; pure."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import tree
from ..backend import Backend
from ..layers.base import Context, Layer
from ..losses import Loss
from ..optimizers import Optimizer, clip_by_norm, clip_by_value
from ..random import Key
from ..types import Array, Params, State
from .check import limit, whole
from .data import Data
from .gradients import gradients


@dataclass(frozen=True)
class Recipe:
    """How to train.

    epochs:     how often the data are gone through.
    batch_size: rows in an update.
    chunk:      truncated backpropagation: steps in an update; the state crosses from one chunk to the next, the
                gradient does not (Williams and Peng, 1990). None takes sequences whole.
    segment:    checkpointing of the whole model: memory for this many steps at a time, for one forward more on the way
                back (Chen et al., 2016). The gradient is that of all steps, if the loss is a mean over them as the
                library's are; only what dropout and zoneout draw for single steps is drawn anew for each segment.
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
    segment: int | None = None

    def __post_init__(self) -> None:
        counts, limits = ("epochs", "batch_size", "chunk", "segment"), ("clip", "clip_value")
        for name, check in ((name, whole if name in counts else limit) for name in counts + limits):
            value = getattr(self, name)
            if value is not None or name in ("epochs", "batch_size"):
                object.__setattr__(self, name, check(name, value))
        if not isinstance(self.shuffle, bool):
            raise TypeError(f"shuffle is True or False, not {self.shuffle!r}")


class Run(NamedTuple):
    """All that changes in training, so that a run goes on from it as if it had never stopped.

    epoch and update count what is done: epochs in all, and updates of the one under way. state is what its next chunk
    starts from; total and weight make the mean loss of the epoch so far. sizes are those of what the epoch under way
    goes through: x's axes, batch_size, chunk or 0.
    """

    params: Params
    optimizer: dict[str, Any]
    epoch: int = 0
    update: int = 0
    state: State = None
    total: Array | float = 0.0
    weight: Array | int = 0
    sizes: tuple[int, ...] = ()

    def moved(self, target: Backend, before: Params | None, after: Params | None) -> "Run":
        """A copy of this run on another backend; where its parameters were ``before``, they are ``after``."""
        run = Run(*tree.map(lambda a: a if isinstance(a, (int, float)) else target.copy(a), tuple(self)))
        return run if after is None or self.params is not before else run._replace(params=after)


def step(layer: Layer, recipe: Recipe, run: Run, batch: Data, key: Key) -> tuple[Params, dict[str, Any], State, Array]:
    """The parameters, the optimizer's state and the last state after an update on ``batch``, and its loss before it."""
    ctx = Context(mask=batch.mask, key=key)
    value, grads, state = gradients(layer, recipe.loss, run.params, batch, run.state, ctx, recipe.segment)
    if recipe.clip_value is not None:
        grads = clip_by_value(grads, recipe.clip_value)
    if recipe.clip is not None:
        grads = clip_by_norm(grads, recipe.clip)
    params, optimizer = recipe.optimizer.update(run.params, grads, run.optimizer)
    return params, optimizer, state, value
