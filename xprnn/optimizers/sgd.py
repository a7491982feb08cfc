"""Stochastic gradient descent, plain and with momentum."""

from dataclasses import dataclass

from ..types import Array, Params
from .base import Optimizer, Rate, Slots, check_number, check_rate, zeros
from .leafwise import Numbers, leafwise


@dataclass(frozen=True)
class SGD(Optimizer):
    """p ← p − η g; with momentum μ: v ← μ v + g and p ← p − η v (Polyak 1964), as in PyTorch.

    nesterov: p ← p − η (g + μ v) instead (Nesterov 1983, in the form of Sutskever et al. 2013).
    ValueError for a momentum outside [0, 1), or for nesterov without momentum.
    """

    learning_rate: Rate = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        check_rate(self)
        check_number(self, "momentum", below=1.0)
        if self.nesterov and not self.momentum:
            raise ValueError("SGD: nesterov=True with momentum=0.0; wanted a momentum above 0")

    def init(self, params: Params) -> Slots:
        """{"step": 0}, and "v" where there is momentum."""
        return {"step": 0, "v": zeros(params)} if self.momentum else {"step": 0}

    def update(self, params: Params, grads: Params, state: Slots) -> tuple[Params, Slots]:
        """The parameters and the state after one step along ``grads``."""
        rate, step = self.rate(state["step"]), state["step"] + 1
        if not self.momentum:
            (moved,) = leafwise("SGD", _plain, (rate,), params, grads)
            return moved, {"step": step}
        name, rule = ("Momentum<true>", _nesterov) if self.nesterov else ("Momentum<false>", _heavy)
        moved, v = leafwise(name, rule, (rate, self.momentum), params, grads, state["v"])
        return moved, {"step": step, "v": v}


def _plain(numbers: Numbers, p: Array, g: Array) -> tuple[Array, ...]:
    (rate,) = numbers
    return (p - rate * g,)


def _heavy(numbers: Numbers, p: Array, g: Array, v: Array) -> tuple[Array, ...]:
    rate, momentum = numbers
    v = momentum * v + g
    return p - rate * v, v


def _nesterov(numbers: Numbers, p: Array, g: Array, v: Array) -> tuple[Array, ...]:
    rate, momentum = numbers
    v = momentum * v + g
    return p - rate * (g + momentum * v), v
