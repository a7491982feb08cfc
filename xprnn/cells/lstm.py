"""Long short-term memory, with forget gate."""

from dataclasses import dataclass

from .. import initializers
from ..ops.gates import add_biases, add_biases_vjp, drop, init_biases, scale_of, split, transposed
from ..types import Array, Generator, Namespace, Params
from .base import Cell

SIGMOID = (True, True, False, True)
"""Which of the gates i f g o have a sigmoid."""


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
    A step in the loop: 10 array operations and 3 copies forward, 7 and 0 back.
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
        first = biases.get("b", biases.get("bx"))
        if first is not None:
            first[H : 2 * H] = 1.0
        return p | biases

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
        return (o * xp.tanh(c), c), (z,)

    def linearize(self, xp: Namespace, p: Params, s: tuple, new: tuple, saved: tuple) -> tuple:
        (_, c), (i, f, g, o), t = s, split(saved[0], 4), xp.tanh(new[1])
        gates = [g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), t * o * (1 - o)]
        return o * (1 - t * t), xp.concat(gates, axis=-1), f

    def prepare_vjp(self, xp: Namespace, p: Params) -> Params:
        return p | {"WhT": transposed(xp, p["Wh"])}

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (into_c, dz, f), (dh, dc) = k, ds
        into_c *= dh
        into_c += dc
        dz *= xp.concat([into_c, into_c, into_c, dh], axis=-1)
        return (drop(p, dz @ p["WhT"]), into_c * f), (dz,)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h, _), (dz,) = s, delta
        dp = {"Wx": x.T @ dz, "Wh": drop(p, h).T @ dz}
        return dz @ p["Wx"].T, dp | add_biases_vjp(xp, p, dz)
