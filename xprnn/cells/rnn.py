"""The simple recurrent network of Elman (1990)."""

from dataclasses import dataclass

from .. import initializers
from ..ops import activations
from ..ops.gates import add_biases, add_biases_vjp, drop, init_biases, transposed
from ..types import Array, Generator, Namespace, Params
from .base import Cell


@dataclass(frozen=True)
class RNN(Cell):
    """Elman's network: h' = f(x Wx + h Wh + b).

    Parameters: Wx (D, H), Wh (H, H), b (H,) unless ``bias`` is False. State: (h,), each (B, H).
    ``activation`` is f: a name that ``xprnn.ops.activations`` knows ("tanh", "relu", "identity", ...).
    ``double_bias``: bx and bh, each (H,), instead of b: only their sum counts, as in PyTorch and cuDNN.
    Source: Elman, Finding structure in time, Cognitive Science 14 (1990).
    A step in the loop: 3 array operations and 1 copy forward, 3 and 0 back, with tanh.
    """

    hidden: int
    activation: str = "tanh"
    bias: bool = True
    double_bias: bool = False
    takes_dropout = True

    def __post_init__(self) -> None:
        super().__post_init__()
        activations.get(self.activation)

    def init(self, rng: Generator, features: int) -> Params:
        H = self.hidden
        p = {"Wx": initializers.glorot_uniform(rng, (features, H)), "Wh": initializers.orthogonal(rng, (H, H))}
        return p | init_biases(rng, H, self.bias, self.double_bias)

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        return add_biases(p, x @ p["Wx"])

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        (h,), f = s, activations.get(self.activation)
        z = drop(p, h) @ p["Wh"]
        z += u
        return (f.function(xp, z),), () if f.of == "output" else (z,)

    def linearize(self, xp: Namespace, p: Params, s: tuple, new: tuple, saved: tuple) -> tuple:
        return (activations.get(self.activation).slope(xp, *(saved or new)),)

    def prepare_vjp(self, xp: Namespace, p: Params) -> Params:
        return p | {"WhT": transposed(xp, p["Wh"])}

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (dz,), (dh,) = k, ds
        dz *= dh
        return (drop(p, dz @ p["WhT"]),), (dz,)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h,), (dz,) = s, delta
        dp = {"Wx": x.T @ dz, "Wh": drop(p, h).T @ dz}
        return dz @ p["Wx"].T, dp | add_biases_vjp(xp, p, dz)
