"""RMSprop: gradients over their recent size."""

from dataclasses import dataclass

from ..arrays import namespace
from ..types import Array, Params
from .base import Optimizer, Rate, Slots, check_number, check_rate, zeros
from .leafwise import Numbers, leafwise


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
        return {"step": 0, **{name: zeros(params) for name in self._names()}}

    def update(self, params: Params, grads: Params, state: Slots) -> tuple[Params, Slots]:
        """The parameters and the state after one step along ``grads``."""
        names = self._names()
        numbers = self.rate(state["step"]), self.rho, 1.0 - self.rho, self.epsilon, self.momentum
        rule = f"RMSprop<{bool(self.centered) + 2 * bool(self.momentum)}>"
        moved, *slots = leafwise(rule, self._move, numbers, params, grads, *(state[name] for name in names))
        return moved, {"step": state["step"] + 1, **dict(zip(names, slots, strict=True))}

    def _names(self) -> tuple[str, ...]:
        return ("v", *("m" * self.centered), *("b" * bool(self.momentum)))

    def _move(self, numbers: Numbers, p: Array, g: Array, *slots: Array) -> tuple[Array, ...]:
        """The rule for one leaf, whose slots stand in the order of their names."""
        rate, rho, rest, epsilon, momentum = numbers
        old = dict(zip(self._names(), slots, strict=True))
        new = {"v": rho * old["v"] + rest * (g * g)}
        if self.centered:
            new["m"] = rho * old["m"] + rest * g
        way = g / (_size(**new) + epsilon)
        if momentum:
            way = new["b"] = momentum * old["b"] + way
        return p - rate * way, *new.values()


def _size(v: Array, m: Array | None = None) -> Array:
    """√v, or √(v − m²), where rounding can leave v − m² just below 0 and a NaN must stay one."""
    xp = namespace(v)
    if m is None:
        return xp.sqrt(v)
    variance = v - m * m
    return xp.sqrt(xp.where(variance < 0, xp.zeros_like(v), variance))
