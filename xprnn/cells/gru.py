"""The gated recurrent unit with the reset gate after the product, as PyTorch, Keras and cuDNN have it."""

from dataclasses import dataclass

from .. import initializers
from ..ops.gates import drop, half, init_biases, scale_of, split, transposed
from ..types import Array, Generator, Namespace, Params
from .base import Cell

SIGMOID = (True, True, False)
"""Which of the gates r z n have a sigmoid."""


@dataclass(frozen=True)
class GRU(Cell):
    """Gated recurrent unit, reset after the product.

        r, z = σ(x Wx + bx + h Wh + bh)                       each from its block of columns, in the order r z n
        n    = tanh(x Wx + bx + r ⊙ (h Wh + bh))
        h'   = (1 - z) ⊙ n + z ⊙ h

    Parameters: Wx (D, 3H), Wh (H, 3H), bx and bh (3H,) unless ``bias`` is False. State: (h,), each (B, H).
    Source: Cho et al. (2014), first version on arXiv, in the form of cuDNN; ``GRUResetBefore`` is the published one.
    A step in the loop: 12 array operations and 4 copies forward, 6 and 1 back.
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
        return p | init_biases(rng, 3 * H, self.bias, double=self.bias)

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        scale = scale_of(xp, p["Wx"], SIGMOID)
        u = x @ (p["Wx"] * scale)
        if self.bias:
            rz, n = p["bh"][: 2 * self.hidden], p["bh"][2 * self.hidden :]
            u += scale * (p["bx"] + xp.concat([rz, xp.zeros_like(n)]))  # bh of n comes with its product
        return u

    def prepare(self, xp: Namespace, p: Params) -> Params:
        H, scale = self.hidden, scale_of(xp, p["Wh"], SIGMOID)
        more = {"Wh": p["Wh"] * scale, "half": half(xp, scale)}
        return p | more | ({"bn": xp.reshape(p["bh"], (1, 3 * H))[:, 2 * H :]} if self.bias else {})

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        (h,), H = s, self.hidden
        v = drop(p, h) @ p["Wh"]
        rz, vn = v[:, : 2 * H], v[:, 2 * H :]
        if self.bias:
            vn = vn + p["bn"]
        rz += u[:, : 2 * H]
        rz = xp.tanh(rz)
        rz *= p["half"]
        rz += p["half"]
        r, z = split(rz, 2)
        n = r * vn
        n += u[:, 2 * H :]
        n = xp.tanh(n)
        h = h - n
        h *= z
        h += n
        return (h,), (rz, n, vn)

    def linearize(self, xp: Namespace, p: Params, s: tuple, new: tuple, saved: tuple) -> tuple:
        (h,), (rz, n, vn) = s, saved
        r, z = split(rz, 2)
        kn = (1 - z) * (1 - n * n)
        gates = xp.concat([kn * vn * r * (1 - r), (h - n) * z * (1 - z), kn * r], axis=-1)
        return gates, z, kn

    def prepare_vjp(self, xp: Namespace, p: Params) -> Params:
        return p | {"WhT": transposed(xp, p["Wh"])}

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (dv, z, _), (dh,) = k, ds
        dv *= xp.concat([dh, dh, dh], axis=-1)
        before = drop(p, dv @ p["WhT"])
        before += dh * z
        return (before,), (dv, dh)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h,), (_, _, kn), (dv, dh) = s, k, delta
        dr, dz, _ = split(dv, 3)
        du = xp.concat([dr, dz, dh * kn], axis=-1)
        dp = {"Wx": x.T @ du, "Wh": drop(p, h).T @ dv}
        biases = {"bx": xp.sum(du, axis=0), "bh": xp.sum(dv, axis=0)} if self.bias else {}
        return du @ p["Wx"].T, dp | biases
