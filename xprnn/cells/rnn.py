"""The simple recurrent network of Elman (1990)."""

from dataclasses import dataclass

from .. import initializers
from ..ops import activations
from ..ops.gates import add_biases, add_biases_vjp, drop, init_biases
from ..types import Array, Generator, Namespace, Params
from .base import Cell


@dataclass(frozen=True)
class RNN(Cell):
    """Elman's network: h' = f(x Wx + h Wh + b).

    Parameters: Wx (D, H), Wh (H, H), b (H,) unless ``bias`` is False. State: (h,), each (B, H).
    ``activation`` is f: a name that ``xprnn.ops.activations`` knows ("tanh", "relu", "identity", ...).
    ``double_bias``: bx and bh, each (H,), instead of b: only their sum counts, as in PyTorch and cuDNN.
    Source: Elman, Finding structure in time, Cognitive Science 14 (1990).
    """

    hidden: int
    activation: str = "tanh"
    bias: bool = True
    double_bias: bool = False
    takes_dropout = True

    def __post_init__(self) -> None:
        activations.get(self.activation)

    def init(self, rng: Generator, features: int) -> Params:
        H = self.hidden
        p = {"Wx": initializers.glorot_uniform(rng, (features, H)), "Wh": initializers.orthogonal(rng, (H, H))}
        return p | init_biases(rng, H, self.bias, self.double_bias)

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        return add_biases(p, x @ p["Wx"])

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
        return dz @ p["Wx"].T, dp | add_biases_vjp(xp, p, dz)
