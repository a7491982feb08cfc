"""Long short-term memory whose sums and whose memory are normalized."""

from dataclasses import dataclass

from .. import initializers
from ..ops.gates import add_biases, drop, scale_of, split, transposed
from ..ops.norm import normalize, normalize_huge, normalize_vjp
from ..types import Array, Generator, Namespace, Params
from .base import Cell
from .lstm import LSTM, SIGMOID


@dataclass(frozen=True)
class LayerNormLSTM(Cell):
    """Long short-term memory with layer normalization.

        a  = gx ⊙ N(x Wx) + gh ⊙ N(h Wh) + b
        i, f, o = σ(a),  g = tanh(a)                          each from its block of columns, in the order i f g o
        c' = f ⊙ c + i ⊙ g
        h' = o ⊙ tanh(gc ⊙ N(c') + bc)
        N(v) = (v - μ) / √(σ² + ε)                            mean and variance of a row, of all four gates together

    Parameters: Wx (D, 4H), Wh (H, 4H), the gains gx and gh (4H,) and gc (H,), and unless ``bias`` is False b (4H,) and
    bc (H,). Gains start at 1, the forget gate's bias at 1, the others at 0. State: (h, c), each (B, H); c is not
    normalized, as h' alone sees N(c'). Source: Ba, Kiros and Hinton, Layer normalization (2016), equations 20-22, whose
    three biases of a gate are one here: only their sum counts. haste's LayerNormLSTM is the same; TensorFlow Addons'
    LayerNormLSTMCell and the LSTM of PyTorch's TorchScript benchmarks hand gc ⊙ N(c') + bc on as c.
    A step in the loop: 29 array operations and 5 copies forward, 21 and 2 back.
    """

    hidden: int
    bias: bool = True
    epsilon: float = 1e-5
    takes_dropout = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.epsilon > 0:
            raise ValueError(f"LayerNormLSTM: epsilon must be above 0, not {self.epsilon!r}.")

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden, self.hidden)

    def init(self, rng: Generator, features: int) -> Params:
        H, ones = self.hidden, initializers.constant(1.0)
        gains = {name: ones(rng, (width,)) for name, width in (("gx", 4 * H), ("gh", 4 * H), ("gc", H))}
        biases = {"bc": initializers.zeros(rng, (H,))} if self.bias else {}
        return LSTM(H, self.bias).init(rng, features) | gains | biases

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        n, _ = normalize_huge(xp, x @ p["Wx"], self.epsilon)
        scale = scale_of(xp, p["Wx"], SIGMOID)
        return add_biases(p, n * (scale * p["gx"]), scale)

    def prepare(self, xp: Namespace, p: Params) -> Params:
        scale = scale_of(xp, p["Wh"], SIGMOID)
        return p | {"gh": scale * p["gh"], "scale": scale, "shift": 1.0 - scale}

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        h, c = s
        nh, rate = normalize(xp, drop(p, h) @ p["Wh"], self.epsilon)
        z = nh * p["gh"]
        z += u
        z = xp.tanh(z)
        z *= p["scale"]
        z += p["shift"]
        i, f, g, o = split(z, 4)
        c = f * c
        c += i * g
        return (o * self._bent(xp, p, normalize(xp, c, self.epsilon)[0]), c), (z, nh, rate)

    def linearize(self, xp: Namespace, p: Params, s: tuple, new: tuple, saved: tuple) -> tuple:
        (_, c), (z, nh, rate) = s, saved
        (i, f, g, o), (nc, rate_c) = split(z, 4), normalize(xp, new[1], self.epsilon)
        t = self._bent(xp, p, nc)
        into_m = o * (1 - t * t)  # m = gc ⊙ N(c') + bc
        gates = xp.concat([g * i * (1 - i), c * f * (1 - f), i * (1 - g * g), t * o * (1 - o)], axis=-1)
        return into_m * p["gc"] * rate_c, gates, nc, f, nh, rate, into_m

    def prepare_vjp(self, xp: Namespace, p: Params) -> Params:
        return p | {"WhT": transposed(xp, p["Wh"])}

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        (into_nc, dz, nc, f, nh, rate, _), (dh, dc) = k, ds
        into_nc *= dh
        into_c = normalize_vjp(xp, nc, into_nc)
        into_c += dc
        dz *= xp.concat([into_c, into_c, into_c, dh], axis=-1)
        dv = normalize_vjp(xp, nh, dz * p["gh"])  # v = h Wh
        dv *= rate
        return (drop(p, dv @ p["WhT"]), into_c * f), (dz, dv, dh)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        (h, _), (_, _, nc, _, nh, _, into_m), (dz, dv, dh) = s, k, delta
        nx, rate = normalize_huge(xp, x @ p["Wx"], self.epsilon)
        du, dm = rate * normalize_vjp(xp, nx, dz * p["gx"]), dh * into_m
        dp = {"Wx": x.T @ du, "Wh": drop(p, h).T @ dv}
        dp |= {name: xp.sum(a, axis=0) for name, a in (("gx", dz * nx), ("gh", dz * nh), ("gc", dm * nc))}
        biases = {"b": xp.sum(dz, axis=0), "bc": xp.sum(dm, axis=0)} if self.bias else {}
        return du @ p["Wx"].T, dp | biases

    def _bent(self, xp: Namespace, p: Params, n: Array) -> Array:
        """tanh(gc ⊙ n + bc)"""
        m = n * p["gc"]
        return xp.tanh(m + p["bc"] if self.bias else m)
