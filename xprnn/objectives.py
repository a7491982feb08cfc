"""Losses as Keras describes them: which loss of this library they are, and what they are computed from."""

from abc import ABC
from dataclasses import dataclass, fields
from typing import Any, ClassVar


class Objective(ABC):
    """A loss by one of Keras's names.

    loss:       this library's name of it.
    activation: what makes probabilities of the logits that ``loss`` takes; None where it takes any numbers.
    """

    loss: ClassVar[str]
    activation: ClassVar[str | None] = None

    @property
    def wants_probabilities(self) -> bool:
        """Whether it is said to be of probabilities, while ``loss`` takes logits."""
        return False

    @property
    def options(self) -> dict[str, Any]:
        """What ``loss`` is to be called with besides prediction, target and mask."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "from_logits"}  # type: ignore[arg-type]


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """What cross-entropies share. ``from_logits``: the model ends in logits, not in probabilities."""

    from_logits: bool = False

    @property
    def wants_probabilities(self) -> bool:
        return not self.from_logits


@dataclass(frozen=True)
class MeanSquaredError(Objective):
    """``losses.mse``."""

    loss = "mse"


@dataclass(frozen=True)
class MeanAbsoluteError(Objective):
    """``losses.mae``."""

    loss = "mae"


@dataclass(frozen=True)
class Huber(Objective):
    """``losses.huber``."""

    loss = "huber"
    delta: float = 1.0


@dataclass(frozen=True)
class BinaryCrossentropy(CrossEntropy):
    """``losses.binary_cross_entropy`` of a sigmoid's output, or of logits."""

    loss = "binary_cross_entropy"
    activation = "sigmoid"


@dataclass(frozen=True)
class CategoricalCrossentropy(CrossEntropy):
    """``losses.cross_entropy`` of a softmax's output, or of logits, with probabilities as targets."""

    loss = "cross_entropy"
    activation = "softmax"
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class SparseCategoricalCrossentropy(CrossEntropy):
    """``losses.cross_entropy`` of a softmax's output, or of logits, with classes as targets."""

    loss = "cross_entropy"
    activation = "softmax"


OBJECTIVES: dict[str, Objective] = {
    "mse": MeanSquaredError(),
    "mean_squared_error": MeanSquaredError(),
    "mae": MeanAbsoluteError(),
    "mean_absolute_error": MeanAbsoluteError(),
    "huber": Huber(),
    "binary_crossentropy": BinaryCrossentropy(),
    "categorical_crossentropy": CategoricalCrossentropy(),
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy(),
}
