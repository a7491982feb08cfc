"""What an optimizer is: a frozen description, and a pair of pure functions of parameters, gradients and state."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from .. import tree
from ..arrays import namespace
from ..types import Params

Rate = float | Callable[[int], float]
Slots = dict[str, Any]


class Optimizer(ABC):
    """A rule that moves parameters against their gradients.

    Parameters, gradients and each slot of the state are trees of one structure; an empty tree is fine. The rule
    computes in the dtype and on the device of the parameters, changes nothing it is given, and lets a NaN show.
    """

    learning_rate: Rate

    @abstractmethod
    def init(self, params: Params) -> Slots:
        """The state before the first update: {"step": 0} and a tree for each quantity the rule carries on."""

    @abstractmethod
    def update(self, params: Params, grads: Params, state: Slots) -> tuple[Params, Slots]:
        """The parameters and the state after one step along ``grads``."""

    def rate(self, step: int) -> float:
        """The learning rate of the update that follows ``step`` updates."""
        return float(self.learning_rate(step)) if callable(self.learning_rate) else self.learning_rate


def zeros(params: Params) -> Params:
    """Zeros in the structure, shapes, dtype and device of ``params``."""
    return tree.map(lambda p: namespace(p).zeros_like(p), params)


def check_number(
    owner: object,
    name: str,
    *,
    least: float = 0.0,
    above: float = -math.inf,
    below: float = math.inf,
) -> None:
    """Make the field ``name`` of the frozen ``owner`` a Python float; TypeError or ValueError unless it is in range.

    A NumPy scalar would decide the dtype of what it is multiplied with; a Python float leaves it alone.
    """
    value = getattr(owner, name)
    what = f"{type(owner).__name__}: {name}={value!r}"
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{what}; wanted a number") from None
    if isinstance(value, (str, bool)):
        raise TypeError(f"{what}; wanted a number")
    if not (number >= least and above < number < below):
        lower = f"above {above}" if above >= least else f"at least {least}"
        upper = "finite" if below == math.inf else f"below {below}"
        raise ValueError(f"{what}; wanted a number {lower} and {upper}")
    object.__setattr__(owner, name, number)


def check_rate(optimizer: Optimizer) -> None:
    """Raise unless the learning rate is a number of at least 0 or a schedule, a function of the step."""
    if not callable(optimizer.learning_rate):
        check_number(optimizer, "learning_rate")


def check_count(owner: object, name: str, least: int = 1) -> None:
    """Raise TypeError unless the field ``name`` is an integer, ValueError unless it is at least ``least``."""
    value = getattr(owner, name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{type(owner).__name__}: {name}={value!r}; wanted an integer")
    if value < least:
        raise ValueError(f"{type(owner).__name__}: {name}={value!r}; wanted at least {least}")
