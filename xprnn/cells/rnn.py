"""The simple recurrent network of Elman (1990)."""

from dataclasses import dataclass

from .. import initializers
from ..ops import activations
from ..ops.gates import drop
from ..types import Array, Generator, Namespace, Params
from .base import Cell


@dataclass(frozen=True)
class RNN(Cell):
    """Elman's network: h' = f(x Wx + h Wh + b).

    Parameters: Wx (D, H), Wh (H, H), b (H,) unless ``bias`` is False. State: (h,), each (B, H).
    ``activation`` is f: a name that ``xprnn.ops.activations`` knows ("tanh", "relu", "identity", ...).
    Source: Elman, Finding structure in time, Cognitive Science 14 (1990).
    """

    hidden: int
    activation: str = "tanh"
    bias: bool = True
    takes_dropout = True

    def __post_init__(self) -> None:
        activations.get(self.activation)

    def init(self, rng: Generator, features: int) -> Params:
        H = self.hidden
        p = {"Wx": initializers.glorot_uniform(rng, (features, H)), "Wh": initializers.orthogonal(rng, (H, H))}
        return p | {"b": initializers.zeros(rng, (H,))} if self.bias else p

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        u = x @ p["Wx"]
        return u + p["b"] if self.bias else u

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        f = activations.get(self.activation)
        (h,) = s
        z = u + drop(p, h) @ p["Wh"]
        y = f.function(xp, z)
        return (y,), (f.saved(z, y),)

    def linearize(self, xp: Namespace, p: Params, s: tuple, saved: tuple) -> tuple:
        return (activations.get(self.activation).slope(xp, *saved),)

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (slope,), (dh,) = k, ds
        dz = dh * slope
        return (drop(p, dz @ p["Wh"].T),), (dz,)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h,), (dz,) = s, delta
        dp = {"Wx": x.T @ dz, "Wh": drop(p, h).T @ dz}
        return dz @ p["Wx"].T, dp | {"b": xp.sum(dz, axis=0)} if self.bias else dp
