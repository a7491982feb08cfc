"""Long short-term memory whose output is a projection of its hidden units."""

from dataclasses import dataclass

from .. import initializers
from ..ops.activations import sigmoid
from ..ops.gates import add_biases, add_biases_vjp, drop, split
from ..types import Array, Generator, Namespace, Params
from .base import Cell
from .lstm import LSTM


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
        return add_biases(p, x @ p["Wx"])

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        h, c = s
        i, f, g, o = split(u + drop(p, h) @ p["Wh"], 4)
        i, f, g, o = sigmoid(xp, i), sigmoid(xp, f), xp.tanh(g), sigmoid(xp, o)
        c = f * c + i * g
        t = xp.tanh(c)
        return ((o * t) @ p["Wp"], c), (i, f, g, o, t)

    def linearize(self, xp: Namespace, p: Params, s: tuple, saved: tuple) -> tuple:
        (_, c), (i, f, g, o, t) = s, saved
        gates = [g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), t * o * (1 - o)]
        return o * (1 - t * t), xp.concat(gates, axis=-1), f, o * t

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (into_c, gates, f, _), (dh, dc) = k, ds
        dm = dh @ p["Wp"].T  # m = o ⊙ tanh(c')
        dc = dc + dm * into_c
        dz = xp.concat([dc, dc, dc, dm], axis=-1) * gates
        return (drop(p, dz @ p["Wh"].T), dc * f), (dz, dh)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h, _), (dz, dh), (*_, m) = s, delta, k
        dp = {"Wx": x.T @ dz, "Wh": drop(p, h).T @ dz, "Wp": m.T @ dh}
        return dz @ p["Wx"].T, dp | add_biases_vjp(xp, p, dz)
