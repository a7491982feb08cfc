"""The gated recurrent unit as published, with the reset gate before the product."""

from dataclasses import dataclass

from .. import initializers
from ..ops.activations import sigmoid
from ..ops.gates import add_biases, add_biases_vjp, drop, init_biases, split
from ..types import Array, Generator, Namespace, Params
from .base import Cell


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
        return add_biases(p, x @ p["Wx"])

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        (h,) = s
        H, seen = self.hidden, drop(p, h)
        r, z = split(sigmoid(xp, u[..., : 2 * H] + seen @ p["Wh"][:, : 2 * H]), 2)
        n = xp.tanh(u[..., 2 * H :] + (r * seen) @ p["Wh"][:, 2 * H :])
        return (n + z * (h - n),), (r, z, n)

    def linearize(self, xp: Namespace, p: Params, s: tuple, saved: tuple) -> tuple:
        (h,), (r, z, n) = s, saved
        gates = xp.concat([drop(p, h) * r * (1 - r), (h - n) * z * (1 - z)], axis=-1)
        return gates, (1 - z) * (1 - n * n), r, z

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (gates, kn, r, z), (dh,), H = k, ds, self.hidden
        dn = dh * kn
        dq = dn @ p["Wh"][:, 2 * H :].T  # q = r ⊙ h, as the product sees it
        drz = xp.concat([dq, dh], axis=-1) * gates
        return (drop(p, drz @ p["Wh"][:, : 2 * H].T + dq * r) + dh * z,), (drz, dn)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h,), (_, _, r, _), (drz, dn) = s, k, delta
        du, seen = xp.concat([drz, dn], axis=-1), drop(p, h)
        dp = {"Wx": x.T @ du, "Wh": xp.concat([seen.T @ drz, (r * seen).T @ dn], axis=-1)}
        return du @ p["Wx"].T, dp | add_biases_vjp(xp, p, du)
