"""Long short-term memory whose gates look at the cell."""

from dataclasses import dataclass

from .. import initializers
from ..ops.gates import add_biases, add_biases_vjp, drop, half, scale_of, split, transposed
from ..types import Array, Generator, Namespace, Params
from .base import Cell
from .lstm import LSTM, SIGMOID


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
    A step in the loop: 19 array operations and 5 copies forward, 7 and 0 back.
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
        scale = scale_of(xp, p["Wx"], SIGMOID)
        return add_biases(p, x @ (p["Wx"] * scale), scale)

    def prepare(self, xp: Namespace, p: Params) -> Params:
        H, scale, Wc = self.hidden, scale_of(xp, p["Wh"], SIGMOID), 0.5 * xp.reshape(p["Wc"], (1, -1))
        peepholes = {"Wif": Wc[:, : 2 * H], "Wo": Wc[:, 2 * H :]}
        return p | peepholes | {"Wh": p["Wh"] * scale, "half": half(xp, scale)}

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        (h, c), H = s, self.hidden
        z = drop(p, h) @ p["Wh"]
        z += u
        gates = xp.concat([c, c], axis=-1)
        gates *= p["Wif"]
        gates += z[:, : 2 * H]
        gates = xp.tanh(gates)
        gates *= p["half"]
        gates += p["half"]
        (i, f), g = split(gates, 2), xp.tanh(z[:, 2 * H : 3 * H])
        c = f * c
        c += i * g
        o = c * p["Wo"]
        o += z[:, 3 * H :]
        o = xp.tanh(o)
        o *= p["half"]
        o += p["half"]
        return (o * xp.tanh(c), c), (gates, g, o)

    def linearize(self, xp: Namespace, p: Params, s: tuple, new: tuple, saved: tuple) -> tuple:
        (_, c), (_, new_c), (gates, g, o), (wi, wf, wo) = s, new, saved, split(p["Wc"], 3)
        (i, f), t = split(gates, 2), xp.tanh(new_c)
        ki, kf, ko = g * i * (1 - i), c * f * (1 - f), t * o * (1 - o)
        dz = xp.concat([ki, kf, i * (1 - g * g), ko], axis=-1)
        return o * (1 - t * t) + ko * wo, dz, f + ki * wi + kf * wf, new_c

    def prepare_vjp(self, xp: Namespace, p: Params) -> Params:
        return p | {"WhT": transposed(xp, p["Wh"])}

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (into_c, dz, through_c, _), (dh, dc) = k, ds
        into_c *= dh
        into_c += dc
        dz *= xp.concat([into_c, into_c, into_c, dh], axis=-1)
        return (drop(p, dz @ p["WhT"]), into_c * through_c), (dz,)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h, c), (dz,), (*_, new_c) = s, delta, k
        di, df, _, do = split(dz, 4)
        peep = xp.concat([di * c, df * c, do * new_c], axis=-1)
        dp = {"Wx": x.T @ dz, "Wh": drop(p, h).T @ dz, "Wc": xp.sum(peep, axis=0)}
        return dz @ p["Wx"].T, dp | add_biases_vjp(xp, p, dz)
