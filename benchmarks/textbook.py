"""The cells as textbooks and EpyNN write them in NumPy: a loop over the steps, gate by gate, lists of what was saved.

Here they are a contestant in float32, and in float64 the judge: they share no line with what they judge. Gates stand in
the order i f g o and r z n; the GRU resets after the product. The layer-normalized LSTM is for the judge alone: its two
products have all gates at once, as one norm goes over them. They run as well on CuPy's arrays, which NumPy's
functions hand on to CuPy.
"""

import numpy as np


def sigmoid(z):
    """1 / (1 + e⁻ᶻ)"""
    return 1 / (1 + np.exp(-z))


def blocks(weights, count):
    """Each gate's own Wx, Wh, bx and bh."""
    cut = {name: np.split(a, count, axis=-1) for name, a in weights.items()}
    return [tuple(_dense(cut[name][gate]) for name in ("Wx", "Wh", "bx", "bh")) for gate in range(count)]


def _dense(a):
    return a if a.flags.c_contiguous else a.copy()


def forward(cell, weights, x):
    """x (T, B, D) -> y (T, B, H) and what ``backward`` needs."""
    return _FORWARD[cell](weights, x)


def backward(cell, weights, tape, dy, gradients=None):
    """The gradients dx, dWx and dWh from that of y; the biases' are summed too, as training would.

    gradients: what takes the place of ``Gradients`` where not these sums are wanted.
    """
    return _BACKWARD[cell](weights, tape, dy, gradients or Gradients)


def _begin(weights, x):
    return np.zeros_like(x, shape=(x.shape[1], weights["Wh"].shape[0]))


def _rnn(weights, x):
    h, hs = _begin(weights, x), []
    for x_t in x:
        z = x_t @ weights["Wx"] + weights["bx"] + h @ weights["Wh"] + weights["bh"]
        hs.append(h)
        h = np.tanh(z)
        hs[-1] = (hs[-1], h)
    return np.stack([h for _, h in hs]), (x, hs)


def _rnn_back(weights, tape, dy, kind):
    x, hs = tape
    gradients = kind(weights, 1)
    dh, dx = 0, np.empty_like(x)
    for t in reversed(range(len(x))):
        before, h = hs[t]
        dz = (dh + dy[t]) * (1 - h * h)
        dx[t], dh = gradients.add(0, x[t], before, dz, dz)
    return gradients.all(dx)


def _lstm(weights, x):
    gates = blocks(weights, 4)
    h, saved = _begin(weights, x), []
    c = np.zeros_like(h)
    for x_t in x:
        i, f, g, o = (x_t @ Wx + bx + h @ Wh + bh for Wx, Wh, bx, bh in gates)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        after = f * c + i * g
        t = np.tanh(after)
        saved.append((h, c, i, f, g, o, t))
        h, c = o * t, after
    ys = [o * t for _, _, _, _, _, o, t in saved]
    return np.stack(ys), (x, saved)


def _lstm_back(weights, tape, dy, kind):
    x, saved = tape
    gradients = kind(weights, 4)
    dh, dc, dx = 0, 0, np.empty_like(x)
    for step in reversed(range(len(x))):
        h, c, i, f, g, o, t = saved[step]
        dh = dh + dy[step]
        dc = dc + dh * o * (1 - t * t)
        dz = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)
        parts = [gradients.add(gate, x[step], h, d, d) for gate, d in enumerate(dz)]
        dx[step], dh = (sum(part) for part in zip(*parts, strict=True))
        dc = dc * f
    return gradients.all(dx)


def _gru(weights, x):
    (Wxr, Whr, bxr, bhr), (Wxz, Whz, bxz, bhz), (Wxn, Whn, bxn, bhn) = blocks(weights, 3)
    h, saved, ys = _begin(weights, x), [], []
    for x_t in x:
        r = sigmoid(x_t @ Wxr + bxr + h @ Whr + bhr)
        z = sigmoid(x_t @ Wxz + bxz + h @ Whz + bhz)
        v = h @ Whn + bhn
        n = np.tanh(x_t @ Wxn + bxn + r * v)
        saved.append((h, r, z, n, v))
        h = (1 - z) * n + z * h
        ys.append(h)
    return np.stack(ys), (x, saved)


def _gru_back(weights, tape, dy, kind):
    x, saved = tape
    gradients = kind(weights, 3)
    dh, dx = 0, np.empty_like(x)
    for step in reversed(range(len(x))):
        h, r, z, n, v = saved[step]
        dh = dh + dy[step]
        dn = dh * (1 - z) * (1 - n * n)
        dr, dz = dn * v * r * (1 - r), dh * (h - n) * z * (1 - z)
        pairs = ((dr, dr), (dz, dz), (dn, dn * r))
        parts = [gradients.add(gate, x[step], h, *pair) for gate, pair in enumerate(pairs)]
        dx[step], into_h = (sum(part) for part in zip(*parts, strict=True))
        dh = dh * z + into_h
    return gradients.all(dx)


def normal(v):
    """Each row's (v - mean) / sqrt(variance + 1e-5), and what that was divided by."""
    away = v - v.mean(axis=-1, keepdims=True)
    width = np.sqrt((away * away).mean(axis=-1, keepdims=True) + 1e-5)
    return away / width, width


def normal_back(n, width, dn):
    """The gradient of v from that of ``normal(v)``."""
    return (dn - dn.mean(axis=-1, keepdims=True) - n * (dn * n).mean(axis=-1, keepdims=True)) / width


def _norm_lstm(weights, x):
    w, h, saved, ys = weights, _begin(weights, x), [], []
    c = np.zeros_like(h)
    for x_t in x:
        (nx, x_width), (nh, h_width) = normal(x_t @ w["Wx"]), normal(h @ w["Wh"])
        i, f, g, o = np.split(w["gx"] * nx + w["gh"] * nh + w["b"], 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        after = f * c + i * g
        nc, c_width = normal(after)
        t = np.tanh(w["gc"] * nc + w["bc"])
        saved.append((h, c, (i, f, g, o), t, (nx, nh, nc), (x_width, h_width, c_width)))
        h, c = o * t, after
        ys.append(h)
    return np.stack(ys), (x, saved)


def _norm_lstm_back(weights, tape, dy, kind):
    x, saved = tape
    w, gradients = weights, kind(weights | {"bx": weights["b"], "bh": weights["b"]}, 1)
    dh, dc, dx = 0, 0, np.empty_like(x)
    for step in reversed(range(len(x))):
        h, c, (i, f, g, o), t, (nx, nh, nc), (x_width, h_width, c_width) = saved[step]
        dh = dh + dy[step]
        dm = dh * o * (1 - t * t)
        dc = dc + normal_back(nc, c_width, dm * w["gc"])
        parts = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)
        dz = np.concatenate(parts, axis=-1)
        gradients.sum(gx=dz * nx, gh=dz * nh, gc=dm * nc, bx=dz, bc=dm)
        sides = normal_back(nx, x_width, dz * w["gx"]), normal_back(nh, h_width, dz * w["gh"])
        dx[step], dh = gradients.add(0, x[step], h, *sides)
        dc = dc * f
    return gradients.all(dx)


class Gradients:
    """The weights' gradients, summed step by step."""

    def __init__(self, weights, gates):
        self.gates = blocks(weights, gates)
        self.sums = [tuple(np.zeros_like(a) for a in gate) for gate in self.gates]

    def add(self, gate, x, h, dx_side, dh_side):
        """Add a step's -> what the gate sends to x and to h."""
        (Wx, Wh, _, _), (dWx, dWh, dbx, dbh) = self.gates[gate], self.sums[gate]
        dWx += x.T @ dx_side
        dWh += h.T @ dh_side
        dbx += dx_side.sum(axis=0)
        dbh += dh_side.sum(axis=0)
        return dx_side @ Wx.T, dh_side @ Wh.T

    def all(self, dx):
        return dx, *(np.concatenate([gate[place] for gate in self.sums], axis=-1) for place in (0, 1))


_FORWARD = {"RNN": _rnn, "LSTM": _lstm, "GRU": _gru, "LayerNormLSTM": _norm_lstm}
_BACKWARD = {"RNN": _rnn_back, "LSTM": _lstm_back, "GRU": _gru_back, "LayerNormLSTM": _norm_lstm_back}
