"""The gated recurrent unit with the reset gate after the product, as PyTorch, Keras and cuDNN have it."""

from dataclasses import dataclass

from .. import initializers
from ..ops.activations import sigmoid
from ..ops.gates import drop, split
from ..types import Array, Generator, Namespace, Params
from .base import Cell


@dataclass(frozen=True)
class GRU(Cell):
    """Gated recurrent unit, reset after the product.

        r, z = σ(x Wx + bx + h Wh + bh)                       each from its block of columns, in the order r z n
        n    = tanh(x Wx + bx + r ⊙ (h Wh + bh))
        h'   = (1 - z) ⊙ n + z ⊙ h

    Parameters: Wx (D, 3H), Wh (H, 3H), bx and bh (3H,) unless ``bias`` is False. State: (h,), each (B, H).
    Source: Cho et al. (2014), first version on arXiv, in the form of cuDNN; ``GRUResetBefore`` is the published one.
    """

    hidden: int
    bias: bool = True
    takes_dropout = True

    def init(self, rng: Generator, features: int) -> Params:
        H = self.hidden
        p = {
            "Wx": initializers.glorot_uniform(rng, (features, H), gates=3),
            "Wh": initializers.orthogonal(rng, (H, H), gates=3),
        }
        biases = {"bx": initializers.zeros(rng, (3 * H,)), "bh": initializers.zeros(rng, (3 * H,))}
        return p | biases if self.bias else p

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        u = x @ p["Wx"]
        return u + p["bx"] if self.bias else u

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        (h,) = s
        v = drop(p, h) @ p["Wh"]
        (ur, uz, un), (vr, vz, vn) = split(u, 3), split(v + p["bh"] if self.bias else v, 3)
        r, z = sigmoid(xp, ur + vr), sigmoid(xp, uz + vz)
        n = xp.tanh(un + r * vn)
        return (n + z * (h - n),), (r, z, n, vn)

    def linearize(self, xp: Namespace, p: Params, s: tuple, saved: tuple) -> tuple:
        (h,), (r, z, n, vn) = s, saved
        kn = (1 - z) * (1 - n * n)
        gates = xp.concat([kn * vn * r * (1 - r), (h - n) * z * (1 - z), kn * r], axis=-1)
        return gates, z, kn

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (gates, z, _), (dh,) = k, ds
        dv = xp.concat([dh, dh, dh], axis=-1) * gates
        return (drop(p, dv @ p["Wh"].T) + dh * z,), (dv, dh)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h,), (_, _, kn), (dv, dh) = s, k, delta
        dr, dz, _ = split(dv, 3)
        du = xp.concat([dr, dz, dh * kn], axis=-1)
        dp = {"Wx": x.T @ du, "Wh": drop(p, h).T @ dv}
        biases = {"bx": xp.sum(du, axis=0), "bh": xp.sum(dv, axis=0)} if self.bias else {}
        return du @ p["Wx"].T, dp | biases
