"""RMSprop: gradients over their recent size."""

from dataclasses import dataclass

from .. import tree
from ..arrays import namespace
from ..types import Array, Params
from .base import Optimizer, Rate, Slots, average, check_number, check_rate, squares, zeros


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """v ← ρ v + (1 − ρ) g² and p ← p − η g / (√v + ε) (Tieleman and Hinton 2012), as in PyTorch.

    centered: √(v − m²) in place of √v, where m ← ρ m + (1 − ρ) g (Graves 2013).
    momentum: μ; with r the quotient above, b ← μ b + r and p ← p − η b.
    ValueError for a rho or momentum outside [0, 1).
    """

    learning_rate: Rate = 0.001
    rho: float = 0.9
    epsilon: float = 1e-8
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        check_rate(self)
        check_number(self, "rho", below=1.0)
        check_number(self, "epsilon", above=0.0)
        check_number(self, "momentum", below=1.0)

    def init(self, params: Params) -> Slots:
        """{"step": 0, "v": zeros}, and "m" where centered, and "b" where there is momentum."""
        names = ("v", *("m" * self.centered), *("b" * bool(self.momentum)))
        return {"step": 0, **{name: zeros(params) for name in names}}

    def update(self, params: Params, grads: Params, state: Slots) -> tuple[Params, Slots]:
        """The parameters and the state after one step along ``grads``."""
        rate = self.rate(state["step"])
        slots = {"step": state["step"] + 1, "v": average(self.rho, state["v"], squares(grads))}
        if self.centered:
            slots["m"] = average(self.rho, state["m"], grads)
        size = tree.map(_spread, slots["v"], slots["m"]) if self.centered else tree.map(_root, slots["v"])
        way = tree.map(lambda g, s: g / (s + self.epsilon), grads, size)
        if self.momentum:
            way = slots["b"] = tree.map(lambda b, r: self.momentum * b + r, state["b"], way)
        return tree.map(lambda p, d: p - rate * d, params, way), slots


def _root(v: Array) -> Array:
    """√v."""
    return namespace(v).sqrt(v)


def _spread(v: Array, m: Array) -> Array:
    """√(v − m²), where rounding can leave v − m² just below 0 and a NaN must stay one."""
    xp = namespace(v)
    variance = v - m * m
    return xp.sqrt(xp.where(variance < 0, xp.zeros_like(v), variance))
