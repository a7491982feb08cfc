"""The gated recurrent unit as published, with the reset gate before the product."""

from dataclasses import dataclass

from .. import initializers
from ..ops.gates import add_biases, add_biases_vjp, drop, half, init_biases, scale_of, split, transposed
from ..types import Array, Generator, Namespace, Params
from .base import Cell
from .gru import SIGMOID


@dataclass(frozen=True)
class GRUResetBefore(Cell):
    """Gated recurrent unit, reset before the product.

        r, z = σ(x Wx + h Wh + b)                             each from its block of columns, in the order r z n
        n    = tanh(x Wx + (r ⊙ h) Wh + b)
        h'   = (1 - z) ⊙ n + z ⊙ h

    Parameters: Wx (D, 3H), Wh (H, 3H), b (3H,) unless ``bias`` is False. State: (h,), each (B, H).
    ``double_bias``: bx and bh, each (3H,), instead of b: only their sum counts, as in PyTorch and cuDNN.
    Source: Cho et al., Learning phrase representations using RNN encoder-decoder (2014); ONNX's default, Keras's
    ``reset_after=False``. The polarity of z is that of PyTorch and Keras, the opposite of some texts.
    A step in the loop: 12 array operations and 3 copies forward, 10 and 0 back.
    """

    hidden: int
    bias: bool = True
    double_bias: bool = False
    takes_dropout = True

    def init(self, rng: Generator, features: int) -> Params:
        H = self.hidden
        p = {
            "Wx": initializers.glorot_uniform(rng, (features, H), gates=3),
            "Wh": initializers.orthogonal(rng, (H, H), gates=3),
        }
        return p | init_biases(rng, 3 * H, self.bias, self.double_bias)

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        scale = scale_of(xp, p["Wx"], SIGMOID)
        return add_biases(p, x @ (p["Wx"] * scale), scale)

    def prepare(self, xp: Namespace, p: Params) -> Params:
        H, scale = self.hidden, scale_of(xp, p["Wh"], SIGMOID)
        Wrz, Wn = (p["Wh"] * scale)[:, : 2 * H], p["Wh"][:, 2 * H :]
        return p | {"Wrz": Wrz, "Wn": Wn, "half": half(xp, scale)}

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        (h,), H = s, self.hidden
        seen = drop(p, h)
        rz = seen @ p["Wrz"]
        rz += u[:, : 2 * H]
        rz = xp.tanh(rz)
        rz *= p["half"]
        rz += p["half"]
        r, z = split(rz, 2)
        n = (r * seen) @ p["Wn"]
        n += u[:, 2 * H :]
        n = xp.tanh(n)
        h = h - n
        h *= z
        h += n
        return (h,), (rz, n)

    def linearize(self, xp: Namespace, p: Params, s: tuple, new: tuple, saved: tuple) -> tuple:
        (h,), (rz, n) = s, saved
        r, z = split(rz, 2)
        gates = xp.concat([drop(p, h) * r * (1 - r), (h - n) * z * (1 - z)], axis=-1)
        return gates, (1 - z) * (1 - n * n), r, z

    def prepare_vjp(self, xp: Namespace, p: Params) -> Params:
        H, Wh = self.hidden, p["Wh"]
        return p | {"WrzT": transposed(xp, Wh[:, : 2 * H]), "WnT": transposed(xp, Wh[:, 2 * H :])}

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (drz, dn, r, z), (dh,) = k, ds
        dn *= dh
        dq = dn @ p["WnT"]  # q = r ⊙ h, as the product sees it
        drz *= xp.concat([dq, dh], axis=-1)
        dq *= r
        dq += drz @ p["WrzT"]
        before = drop(p, dq)
        before += dh * z
        return (before,), (drz, dn)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h,), (_, _, r, _), (drz, dn) = s, k, delta
        du, seen = xp.concat([drz, dn], axis=-1), drop(p, h)
        dp = {"Wx": x.T @ du, "Wh": xp.concat([seen.T @ drz, (r * seen).T @ dn], axis=-1)}
        return du @ p["Wx"].T, dp | add_biases_vjp(xp, p, du)
