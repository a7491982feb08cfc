"""Long short-term memory whose gates look at the cell."""

from dataclasses import dataclass

from .. import initializers
from ..ops.activations import sigmoid
from ..ops.gates import add_biases, add_biases_vjp, drop, split
from ..types import Array, Generator, Namespace, Params
from .base import Cell
from .lstm import LSTM


@dataclass(frozen=True)
class PeepholeLSTM(Cell):
    """Long short-term memory with peephole connections.

        i  = σ(x Wxi + h Whi + wi ⊙ c + bi)
        f  = σ(x Wxf + h Whf + wf ⊙ c + bf)
        c' = f ⊙ c + i ⊙ tanh(x Wxg + h Whg + bg)
        o  = σ(x Wxo + h Who + wo ⊙ c' + bo)
        h' = o ⊙ tanh(c')

    Parameters: Wx (D, 4H), Wh (H, 4H), b (4H,) unless ``bias`` is False, in the order i f g o; Wc (3H,) is wi wf wo.
    ``double_bias``: bx and bh, each (4H,), instead of b: only their sum counts, as in PyTorch and cuDNN.
    State: (h, c), each (B, H). Peepholes start at 0, the forget gate's bias at 1.
    Source: Graves, Mohamed and Hinton, Speech recognition with deep recurrent neural networks (2013), eqs. 3-7.
    """

    hidden: int
    bias: bool = True
    double_bias: bool = False
    takes_dropout = True

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden, self.hidden)

    def init(self, rng: Generator, features: int) -> Params:
        peepholes = {"Wc": initializers.zeros(rng, (3 * self.hidden,))}
        return LSTM(self.hidden, self.bias, self.double_bias).init(rng, features) | peepholes

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        return add_biases(p, x @ p["Wx"])

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        (h, c), (wi, wf, wo) = s, split(p["Wc"], 3)
        i, f, g, o = split(u + drop(p, h) @ p["Wh"], 4)
        i, f, g = sigmoid(xp, i + wi * c), sigmoid(xp, f + wf * c), xp.tanh(g)
        c = f * c + i * g
        o, t = sigmoid(xp, o + wo * c), xp.tanh(c)
        return (o * t, c), (i, f, g, o, t, c)

    def linearize(self, xp: Namespace, p: Params, s: tuple, saved: tuple) -> tuple:
        (_, c), (i, f, g, o, t, new_c), (wi, wf, wo) = s, saved, split(p["Wc"], 3)
        ki, kf, ko = g * i * (1 - i), c * f * (1 - f), t * o * (1 - o)
        gates = xp.concat([ki, kf, i * (1 - g * g), ko], axis=-1)
        return o * (1 - t * t) + ko * wo, gates, f + ki * wi + kf * wf, new_c

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (into_c, gates, through_c, _), (dh, dc) = k, ds
        dc = dc + dh * into_c
        dz = xp.concat([dc, dc, dc, dh], axis=-1) * gates
        return (drop(p, dz @ p["Wh"].T), dc * through_c), (dz,)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h, c), (dz,), (*_, new_c) = s, delta, k
        di, df, _, do = split(dz, 4)
        peep = xp.concat([di * c, df * c, do * new_c], axis=-1)
        dp = {"Wx": x.T @ dz, "Wh": drop(p, h).T @ dz, "Wc": xp.sum(peep, axis=0)}
        return dz @ p["Wx"].T, dp | add_biases_vjp(xp, p, dz)
