"""Adam, and AdamW: averages of the gradient and of its square, freed of their bias towards the zeros they start at."""

from dataclasses import dataclass

from ..arrays import namespace
from ..types import Array, Params
from .base import Optimizer, Rate, Slots, check_number, check_rate, zeros
from .leafwise import Numbers, leafwise


@dataclass(frozen=True)
class Adam(Optimizer):
    """p ← p − η m̂ / (√v̂ + ε) (Kingma and Ba 2015), as in PyTorch.

    m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g²; in update t, counted from 1, m̂ = m / (1 − β₁ᵗ) and
    v̂ = v / (1 − β₂ᵗ).
    ValueError for a beta outside [0, 1).
    """

    learning_rate: Rate = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check(self)

    def init(self, params: Params) -> Slots:
        """{"step": 0, "m": zeros, "v": zeros}."""
        return {"step": 0, "m": zeros(params), "v": zeros(params)}

    def update(self, params: Params, grads: Params, state: Slots) -> tuple[Params, Slots]:
        """The parameters and the state after one step along ``grads``."""
        return _update(self, params, grads, state)


@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam after p ← (1 − η λ) p, weight decay apart from the gradient (Loshchilov and Hutter 2019), as in PyTorch.

    weight_decay: λ, for every parameter, biases among them.
    ValueError for a beta outside [0, 1) or a weight_decay below 0.
    """

    learning_rate: Rate = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        _check(self)
        check_number(self, "weight_decay")

    def init(self, params: Params) -> Slots:
        """{"step": 0, "m": zeros, "v": zeros}."""
        return {"step": 0, "m": zeros(params), "v": zeros(params)}

    def update(self, params: Params, grads: Params, state: Slots) -> tuple[Params, Slots]:
        """The parameters and the state after one step along ``grads``."""
        return _update(self, params, grads, state, 1.0 - self.rate(state["step"]) * self.weight_decay)


def _check(rule: Adam | AdamW) -> None:
    """Raise unless the arguments that both share are in range."""
    check_rate(rule)
    check_number(rule, "beta_1", below=1.0)
    check_number(rule, "beta_2", below=1.0)
    check_number(rule, "epsilon", above=0.0)


def _update(
    rule: Adam | AdamW, params: Params, grads: Params, state: Slots, kept: float = 1.0
) -> tuple[Params, Slots]:
    """Adam's step, from ``kept`` times the parameters; the corrections are Python floats."""
    step, beta_1, beta_2 = state["step"] + 1, rule.beta_1, rule.beta_2
    rate, root = rule.rate(state["step"]) / (1.0 - beta_1**step), (1.0 - beta_2**step) ** 0.5
    numbers = rate, beta_1, 1.0 - beta_1, beta_2, 1.0 - beta_2, root, rule.epsilon, kept
    moved, m, v = leafwise("Adam", _move, numbers, params, grads, state["m"], state["v"])
    return moved, {"step": step, "m": m, "v": v}


def _move(numbers: Numbers, p: Array, g: Array, m: Array, v: Array) -> tuple[Array, ...]:
    rate, beta_1, rest_1, beta_2, rest_2, root, epsilon, kept = numbers
    m = beta_1 * m  # of its own from here on: what is added can be so in place
    m += rest_1 * g
    v = beta_2 * v
    v += rest_2 * (g * g)
    below = namespace(v).sqrt(v)
    below /= root
    below += epsilon
    way = rate * m
    way /= below
    del below
    return (p if kept == 1.0 else kept * p) - way, m, v
