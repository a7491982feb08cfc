"""The gated recurrent unit with everything that the ONNX standard lets one choose."""

from dataclasses import dataclass

from ..ops import activations
from ..ops.gates import add_biases, add_biases_vjp, drop, split
from ..types import Array, Generator, Namespace, Params
from .base import Cell
from .gru import GRU
from .gru_reset_before import GRUResetBefore


@dataclass(frozen=True)
class GeneralGRU(Cell):
    """Gated recurrent unit with activations F and G of one's own, the reset gate after the product or before it.

        r, z = F(x Wx + h Wh + b)                             each from its block of columns, in the order r z n
        n    = G(x Wx + bx + r ⊙ (h Wh + bh))                 if ``reset_after``
        n    = G(x Wx + (r ⊙ h) Wh + b)                       if not
        h'   = (1 - z) ⊙ n + z ⊙ h

    activations: the names of F and G, which ``xprnn.ops.activations`` knows: ("sigmoid", "tanh").
    Parameters: Wx (D, 3H), Wh (H, 3H), and unless ``bias`` is False the biases bx and bh (3H,) if ``reset_after`` or
    ``double_bias``, else b (3H,). State: (h,), each (B, H).
    ``GRU`` and ``GRUResetBefore`` are the common cases. Source: the operator GRU of the ONNX standard.
    A step in the loop: 18 array operations and 8 copies forward, 9 and 2 back, with tanh and sigmoid only.
    """

    hidden: int
    activations: tuple[str, str] = ("sigmoid", "tanh")
    reset_after: bool = True
    bias: bool = True
    double_bias: bool = False
    takes_dropout = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.activations, tuple) or len(self.activations) != 2:
            raise ValueError(f"GeneralGRU has two activations, F and G, not {self.activations!r}")
        for name in self.activations:
            activations.get(name)

    def init(self, rng: Generator, features: int) -> Params:
        if self.reset_after:
            return GRU(self.hidden, self.bias).init(rng, features)
        return GRUResetBefore(self.hidden, self.bias, self.double_bias).init(rng, features)

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        return add_biases({"b": p["bx"]} if self.reset_after and self.bias else p, x @ p["Wx"])

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        (h,), (F, G), H = s, map(activations.get, self.activations), self.hidden
        (ur, uz, un), seen = split(u, 3), drop(p, h)
        if self.reset_after:
            v = seen @ p["Wh"]
            vr, vz, vn = split(v + p["bh"] if self.bias else v, 3)
        else:
            vr, vz = split(seen @ p["Wh"][:, : 2 * H], 2)
        zr, zz = ur + vr, uz + vz
        r, z = F.function(xp, zr), F.function(xp, zz)
        if not self.reset_after:
            vn = (r * seen) @ p["Wh"][:, 2 * H :]
        zn = un + r * vn if self.reset_after else un + vn
        n = G.function(xp, zn)
        return (n + z * (h - n),), (r, z, n, vn, F.saved(zr, r), F.saved(zz, z), G.saved(zn, n))

    def linearize(self, xp: Namespace, p: Params, s: tuple, new: tuple, saved: tuple) -> tuple:
        (h,), (r, z, n, vn, sr, sz, sn) = s, saved
        F, G = map(activations.get, self.activations)
        kn = (1 - z) * G.slope(xp, sn)
        into_r = vn if self.reset_after else drop(p, h)
        return kn, into_r * F.slope(xp, sr), (h - n) * F.slope(xp, sz), r, z

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (kn, kr, kz, r, z), (dh,), H = k, ds, self.hidden
        dn = dh * kn
        if self.reset_after:
            dv = xp.concat([dn * kr, dh * kz, dn * r], axis=-1)
            return (drop(p, dv @ p["Wh"].T) + dh * z,), (dv, dn)
        dq = dn @ p["Wh"][:, 2 * H :].T  # q = r ⊙ h, as the product sees it
        dv = xp.concat([dq * kr, dh * kz], axis=-1)
        return (drop(p, dv @ p["Wh"][:, : 2 * H].T + dq * r) + dh * z,), (dv, dn)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h,), (_, _, _, r, _), (dv, dn), H = s, k, delta, self.hidden
        du, seen = xp.concat([dv[:, : 2 * H], dn], axis=-1), drop(p, h)
        if self.reset_after:
            dp = {"Wx": x.T @ du, "Wh": seen.T @ dv}
            biases = {"bx": xp.sum(du, axis=0), "bh": xp.sum(dv, axis=0)} if self.bias else {}
        else:
            dp = {"Wx": x.T @ du, "Wh": xp.concat([seen.T @ dv, (r * seen).T @ dn], axis=-1)}
            biases = add_biases_vjp(xp, p, du)
        return du @ p["Wx"].T, dp | biases
