"""Adagrad: a rate for each parameter that falls with the gradients it has met."""

from dataclasses import dataclass

from .. import tree
from ..arrays import namespace
from ..types import Array, Params
from .base import Optimizer, Rate, Slots, check_number, check_rate
from .leafwise import Numbers, leafwise


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """v ← v + g² and p ← p − η g / (√v + ε) (Duchi, Hazan and Singer 2011), as in PyTorch.

    initial_accumulator: the v before the first update.
    """

    learning_rate: Rate = 0.01
    initial_accumulator: float = 0.0
    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        check_rate(self)
        check_number(self, "initial_accumulator")
        check_number(self, "epsilon", above=0.0)

    def init(self, params: Params) -> Slots:
        """{"step": 0, "v": initial_accumulator in every place}."""
        v = tree.map(lambda p: namespace(p).full_like(p, self.initial_accumulator), params)
        return {"step": 0, "v": v}

    def update(self, params: Params, grads: Params, state: Slots) -> tuple[Params, Slots]:
        """The parameters and the state after one step along ``grads``."""
        numbers = self.rate(state["step"]), self.epsilon
        moved, v = leafwise("Adagrad", _move, numbers, params, grads, state["v"])
        return moved, {"step": state["step"] + 1, "v": v}


def _move(numbers: Numbers, p: Array, g: Array, v: Array) -> tuple[Array, ...]:
    rate, epsilon = numbers
    v = v + g * g
    return p - rate * g / (namespace(v).sqrt(v) + epsilon), v
