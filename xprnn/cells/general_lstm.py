"""Long short-term memory with everything that the ONNX standard lets one choose."""

from dataclasses import dataclass

from .. import initializers
from ..ops import activations
from ..ops.gates import add_biases, add_biases_vjp, drop, split
from ..types import Array, Generator, Namespace, Params
from .base import Cell
from .lstm import LSTM


@dataclass(frozen=True)
class GeneralLSTM(Cell):
    """Long short-term memory with activations F, G, K of one's own, with or without peepholes, coupled gates or not.

        i  = F(x Wxi + h Whi + wi ⊙ c + bi)
        f  = F(x Wxf + h Whf + wf ⊙ c + bf), or 1 - i if ``coupled``
        c' = f ⊙ c + i ⊙ G(x Wxg + h Whg + bg)
        o  = F(x Wxo + h Who + wo ⊙ c' + bo)
        h' = o ⊙ K(c')

    activations: the names of F, G and K, which ``xprnn.ops.activations`` knows: ("sigmoid", "tanh", "tanh").
    coupled:     f = 1 - i; the forget gate's weights are there and count for nothing.
    peepholes:   whether there are wi, wf, wo.
    Parameters: Wx (D, 4H), Wh (H, 4H), b (4H,) unless ``bias`` is False, in the order i f g o; Wc (3H,) is wi wf wo.
    ``double_bias``: bx and bh, each (4H,), instead of b: only their sum counts, as in PyTorch and cuDNN.
    State: (h, c), each (B, H). ``LSTM`` and ``PeepholeLSTM`` are the common cases, in a form that is faster.
    Source: the operator LSTM of the ONNX standard; Greff et al., LSTM: a search space odyssey (2017).
    A step in the loop: 20 array operations and 12 copies forward, 7 and 1 back, with tanh and sigmoid only.
    """

    hidden: int
    activations: tuple[str, str, str] = ("sigmoid", "tanh", "tanh")
    coupled: bool = False
    peepholes: bool = False
    bias: bool = True
    double_bias: bool = False
    takes_dropout = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.activations, tuple) or len(self.activations) != 3:
            raise ValueError(f"GeneralLSTM has three activations, F, G and K, not {self.activations!r}")
        for name in self.activations:
            activations.get(name)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden, self.hidden)

    def init(self, rng: Generator, features: int) -> Params:
        p = LSTM(self.hidden, self.bias, self.double_bias).init(rng, features)
        return p | {"Wc": initializers.zeros(rng, (3 * self.hidden,))} if self.peepholes else p

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        return add_biases(p, x @ p["Wx"])

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        (h, c), (F, G, K) = s, map(activations.get, self.activations)
        zi, zf, zg, zo = split(u + drop(p, h) @ p["Wh"], 4)
        if self.peepholes:
            wi, wf, wo = split(p["Wc"], 3)
            zi, zf = zi + wi * c, zf + wf * c
        i, g = F.function(xp, zi), G.function(xp, zg)
        f = 1 - i if self.coupled else F.function(xp, zf)
        new_c = f * c + i * g
        zo = zo + wo * new_c if self.peepholes else zo
        o, t = F.function(xp, zo), K.function(xp, new_c)
        slopes = (F.saved(zi, i), F.saved(zf, f), G.saved(zg, g), F.saved(zo, o), K.saved(new_c, t))
        return (o * t, new_c), (i, f, g, o, t, *slopes)

    def linearize(self, xp: Namespace, p: Params, s: tuple, new: tuple, saved: tuple) -> tuple:
        (_, c), (_, new_c), (i, f, g, o, t, si, sf, sg, so, st) = s, new, saved
        F, G, K = map(activations.get, self.activations)
        ki = (g - c if self.coupled else g) * F.slope(xp, si)
        kf = xp.zeros_like(c) if self.coupled else c * F.slope(xp, sf)
        ko = t * F.slope(xp, so)
        into_c, through_c = o * K.slope(xp, st), f
        if self.peepholes:
            wi, wf, wo = split(p["Wc"], 3)
            into_c, through_c = into_c + ko * wo, through_c + ki * wi + kf * wf
        return into_c, xp.concat([ki, kf, i * G.slope(xp, sg), ko], axis=-1), through_c, new_c

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (into_c, gates, through_c, _), (dh, dc) = k, ds
        dc = dc + dh * into_c
        dz = xp.concat([dc, dc, dc, dh], axis=-1) * gates
        return (drop(p, dz @ p["Wh"].T), dc * through_c), (dz,)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h, c), (dz,), (*_, new_c) = s, delta, k
        dp = {"Wx": x.T @ dz, "Wh": drop(p, h).T @ dz} | add_biases_vjp(xp, p, dz)
        if self.peepholes:
            di, df, _, do = split(dz, 4)
            dp["Wc"] = xp.sum(xp.concat([di * c, df * c, do * new_c], axis=-1), axis=0)
        return dz @ p["Wx"].T, dp
