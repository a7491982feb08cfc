"""Long short-term memory whose output is a projection of its hidden units."""

from dataclasses import dataclass

from .. import initializers
from ..ops.gates import add_biases, add_biases_vjp, drop, scale_of, split, transposed
from ..types import Array, Generator, Namespace, Params
from .base import Cell
from .lstm import LSTM, SIGMOID


@dataclass(frozen=True)
class ProjectedLSTM(Cell):
    """Long short-term memory with a recurrent projection to P = ``projection`` units.

        i, f, o = σ(x Wx + h Wh + b),  g = tanh(x Wx + h Wh + b)    each from its block of columns, in the order i f g o
        c' = f ⊙ c + i ⊙ g
        h' = (o ⊙ tanh(c')) Wp

    Parameters: Wx (D, 4H), Wh (P, 4H), Wp (H, P), b (4H,) unless ``bias`` is False. State: (h, c), (B, P) and (B, H).
    ``double_bias``: bx and bh, each (4H,), instead of b: only their sum counts, as in PyTorch and cuDNN.
    PyTorch's ``proj_size``. Source: Sak, Senior and Beaufays, Long short-term memory based recurrent neural network
    architectures for large vocabulary speech recognition (2014), without its non-recurrent projection.
    A step in the loop: 11 array operations and 3 copies forward, 8 and 1 back.
    """

    hidden: int
    projection: int
    bias: bool = True
    double_bias: bool = False
    takes_dropout = True

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.projection, self.hidden)

    def init(self, rng: Generator, features: int) -> Params:
        H, P = self.hidden, self.projection
        own = {"Wh": initializers.orthogonal(rng, (P, H), gates=4), "Wp": initializers.glorot_uniform(rng, (H, P))}
        return LSTM(H, self.bias, self.double_bias).init(rng, features) | own

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        scale = scale_of(xp, p["Wx"], SIGMOID)
        return add_biases(p, x @ (p["Wx"] * scale), scale)

    def prepare(self, xp: Namespace, p: Params) -> Params:
        scale = scale_of(xp, p["Wh"], SIGMOID)
        return p | {"Wh": p["Wh"] * scale, "scale": scale, "shift": 1.0 - scale}

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        h, c = s
        z = drop(p, h) @ p["Wh"]
        z += u
        z = xp.tanh(z)
        z *= p["scale"]
        z += p["shift"]
        i, f, g, o = split(z, 4)
        c = f * c
        c += i * g
        return ((o * xp.tanh(c)) @ p["Wp"], c), (z,)

    def linearize(self, xp: Namespace, p: Params, s: tuple, new: tuple, saved: tuple) -> tuple:
        (_, c), (i, f, g, o), t = s, split(saved[0], 4), xp.tanh(new[1])
        gates = [g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), t * o * (1 - o)]
        return o * (1 - t * t), xp.concat(gates, axis=-1), f, o * t

    def prepare_vjp(self, xp: Namespace, p: Params) -> Params:
        return p | {"WhT": transposed(xp, p["Wh"]), "WpT": transposed(xp, p["Wp"])}

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (into_c, dz, f, _), (dh, dc) = k, ds
        dm = dh @ p["WpT"]  # m = o ⊙ tanh(c')
        into_c *= dm
        into_c += dc
        dz *= xp.concat([into_c, into_c, into_c, dm], axis=-1)
        return (drop(p, dz @ p["WhT"]), into_c * f), (dz, dh)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h, _), (dz, dh), (*_, m) = s, delta, k
        dp = {"Wx": x.T @ dz, "Wh": drop(p, h).T @ dz, "Wp": m.T @ dh}
        return dz @ p["Wx"].T, dp | add_biases_vjp(xp, p, dz)
