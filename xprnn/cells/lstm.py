"""Long short-term memory, with forget gate."""

from dataclasses import dataclass

from .. import initializers
from ..ops.activations import sigmoid
from ..ops.gates import add_biases, add_biases_vjp, drop, init_biases, split
from ..types import Array, Generator, Namespace, Params
from .base import Cell


@dataclass(frozen=True)
class LSTM(Cell):
    """Long short-term memory.

        i, f, o = σ(x Wx + h Wh + b),  g = tanh(x Wx + h Wh + b)    each from its block of columns, in the order i f g o
        c' = f ⊙ c + i ⊙ g
        h' = o ⊙ tanh(c')

    Parameters: Wx (D, 4H), Wh (H, 4H), b (4H,) unless ``bias`` is False. State: (h, c), each (B, H).
    ``double_bias``: bx and bh, each (4H,), instead of b: only their sum counts, as in PyTorch and cuDNN.
    The forget gate's bias starts at 1 (Jozefowicz et al., 2015).
    Source: Hochreiter and Schmidhuber (1997); Gers, Schmidhuber and Cummins, Learning to forget (2000).
    """

    hidden: int
    bias: bool = True
    double_bias: bool = False
    takes_dropout = True

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden, self.hidden)

    def init(self, rng: Generator, features: int) -> Params:
        H = self.hidden
        p = {
            "Wx": initializers.glorot_uniform(rng, (features, H), gates=4),
            "Wh": initializers.orthogonal(rng, (H, H), gates=4),
        }
        biases = init_biases(rng, 4 * H, self.bias, self.double_bias)
        for b in list(biases.values())[:1]:
            b[H : 2 * H] = 1.0
        return p | biases

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        return add_biases(p, x @ p["Wx"])

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        h, c = s
        i, f, g, o = split(u + drop(p, h) @ p["Wh"], 4)
        i, f, g, o = sigmoid(xp, i), sigmoid(xp, f), xp.tanh(g), sigmoid(xp, o)
        c = f * c + i * g
        t = xp.tanh(c)
        return (o * t, c), (i, f, g, o, t)

    def linearize(self, xp: Namespace, p: Params, s: tuple, saved: tuple) -> tuple:
        (_, c), (i, f, g, o, t) = s, saved
        gates = [g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), t * o * (1 - o)]
        return o * (1 - t * t), xp.concat(gates, axis=-1), f

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (into_c, gates, f), (dh, dc) = k, ds
        dc = dc + dh * into_c
        dz = xp.concat([dc, dc, dc, dh], axis=-1) * gates
        return (drop(p, dz @ p["Wh"].T), dc * f), (dz,)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h, _), (dz,) = s, delta
        dp = {"Wx": x.T @ dz, "Wh": drop(p, h).T @ dz}
        return dz @ p["Wx"].T, dp | add_biases_vjp(xp, p, dz)
