"""What Keras's compile says, in this library's terms: an optimizer, a loss of logits, metrics, and targets that fit."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from . import losses, metrics
from .arrays import namespace
from .backend import Backend
from .layers.activation import bend
from .layers.base import Layer
from .layers.tail import bare, tail
from .losses import Loss
from .objectives import OBJECTIVES, CrossEntropy, Objective, SparseCategoricalCrossentropy
from .optimizers import Adagrad, Adam, AdamW, Optimizer, RMSprop
from .optimizers import get as get_optimizer
from .types import Array, Shape

# Keras's defaults, where this library follows PyTorch's.
OPTIMIZERS: dict[str, Optimizer] = {
    "adagrad": Adagrad(0.001, initial_accumulator=0.1, epsilon=1e-7),
    "adam": Adam(epsilon=1e-7),
    "adamw": AdamW(epsilon=1e-7, weight_decay=0.004),
    "rmsprop": RMSprop(epsilon=1e-7),
}
ACCURACIES = ("categorical_accuracy", "sparse_categorical_accuracy")
OF_LOGITS = (metrics.accuracy, metrics.bits, losses.cross_entropy, losses.binary_cross_entropy)


@dataclass(frozen=True)
class Compiled:
    """How to train and judge a model whose output, without the activation ``activation``, the loss takes.

    layer:    the model with the identity in place of that activation; its parameters are the model's.
    metrics:  by name, of what ``layer`` gives.
    """

    layer: Layer
    optimizer: Optimizer
    loss: Loss
    objective: Objective | None
    metrics: dict[str, Callable] = field(default_factory=dict)

    def targets(self, backend: Backend, y: Any, output: Shape | None) -> Array:
        """y as an array of ``backend`` that fits outputs (N, *output), as Keras makes them fit.

        Classes stay integers, of shape (N, ...) or (N, ..., 1); anything else becomes floats, and gets a last axis
        where it lacks one and the output's has length 1. Raises TypeError for classes that are not integers.
        """
        classes = isinstance(self.objective, SparseCategoricalCrossentropy)
        numbers = self.objective is not None and not classes
        y = backend.asarray(y, backend.dtype if numbers else None)
        xp = namespace(y)
        rank = 1 + len(output or ())
        if classes and not xp.isdtype(y.dtype, "integral"):
            raise TypeError(f"sparse_categorical_crossentropy takes classes as integers, not y of {y.dtype}")
        with backend.active():
            if classes and y.ndim == rank and y.shape[-1] == 1:
                return y[..., 0]
            if numbers and output and output[-1] == 1 and y.ndim == rank - 1:
                return xp.expand_dims(y, axis=-1)
        return y


def compiled(layer: Layer, optimizer: Any, loss: Any, names: Iterable[str | Callable]) -> Compiled:
    """What ``Sequential.compile`` was given, looked at; ValueError or TypeError for what cannot be."""
    if isinstance(optimizer, str):
        optimizer = OPTIMIZERS.get(optimizer.lower(), optimizer)
    objective = OBJECTIVES.get(loss.lower()) if isinstance(loss, str) else loss if isinstance(loss, Objective) else None
    ending = tail(layer)
    if objective is not None:
        _check_ending(objective, ending)
    wants = objective is not None and objective.wants_probabilities
    if wants:
        objective = replace(objective, from_logits=True)  # type: ignore[type-var]
    chosen = losses.get(loss if objective is None else objective)
    if objective is None and chosen in OF_LOGITS and ending in ("softmax", "sigmoid"):
        raise ValueError(f"{loss} takes logits; the model ends in {ending}: leave that out, or use Keras's name for it")
    logits = chosen in OF_LOGITS or isinstance(objective, CrossEntropy)
    measures = {_name(metric): _measure(metric, ending if wants else None, logits) for metric in names}
    return Compiled(bare(layer) if wants else layer, get_optimizer(optimizer), chosen, objective, measures)


def _check_ending(objective: Objective, ending: str | None) -> None:
    """Raise ValueError unless a model that ends in the activation ``ending`` gives what the loss is said to take."""
    wanted, name = objective.activation, type(objective).__name__
    if objective.wants_probabilities and ending != wanted:
        raise ValueError(
            f"{name} takes probabilities, of {wanted}; the model ends in {ending or 'no activation'}: end it in a "
            f"Dense or Activation layer with {wanted!r}, or give loss={name}(from_logits=True)"
        )
    if wanted and not objective.wants_probabilities and ending in ("softmax", "sigmoid"):
        raise ValueError(f"{name}(from_logits=True) takes logits; the model ends in {ending}: leave one of the two out")


def _measure(metric: str | Callable, ending: str | None, logits: bool) -> Callable:
    """The metric as a function of what the trained layer gives; ``ending`` makes the model's output of it.

    A loss of logits makes accuracy one of logits; otherwise it says yes where the output is above ½, as in Keras.
    """
    judge = metrics.get("accuracy" if metric in ACCURACIES else metric)
    if judge.measure is metrics.accuracy and not logits:
        return lambda y, target, mask=None: judge(y - 0.5, target, mask)
    if ending is None or judge.measure in OF_LOGITS:
        return judge
    return lambda y, target, mask=None: judge(bend(namespace(y), ending, y)[0], target, mask)


def _name(metric: str | Callable) -> str:
    return metric if isinstance(metric, str) else metrics.get(metric).name
