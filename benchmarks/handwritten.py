"""RNN, LSTM and GRU (reset after) by hand in NumPy, as fast as it goes: what the loop kernel is measured against.

Every operation has an ``out=``, every buffer is made once a call, the inputs' products and all weight gradients are one
GEMM each, sigmoids are tanh of halved weights, and the walk back multiplies by coefficients made for many steps at
once. Parameters are those of the library's cells; x (T, B, D), states (B, H).

    FORWARD[kind](p, x, s) -> ys                TRAIN[kind](p, x, s, dys) -> ys, {"x": dx, "Wx": dWx, ...}
"""

import numpy as np
from numpy import add, dot, matmul, multiply, subtract, tanh


def blocks(a, count):
    """``a`` cut into views along its last axis."""
    return np.split(a, count, axis=-1)


def flat(a):
    """(T, B, n) -> (T·B, n)"""
    return a.reshape(-1, a.shape[-1])


def chunks(T, width):
    """Slices of time whose steps of ``width`` numbers stay in a cache together."""
    size = max(1, 32768 // width)
    return (slice(start, min(start + size, T)) for start in range(0, T, size))


def halved(gates, H, which, dtype):
    """(1, gates·H): ½ for the sigmoid gates and 1 for the others; and ½ and 0."""
    scale, shift = np.ones((gates, H), dtype), np.zeros((gates, H), dtype)
    scale[which], shift[which] = 0.5, 0.5
    return scale.reshape(1, -1), shift.reshape(1, -1)


def before(first, rest):
    """The states before each step, (T·B, H)."""
    return flat(np.concatenate([first[None], rest[:-1]]))


def column_sums(a):
    return dot(np.ones((1, a.shape[0]), a.dtype), a)[0]


def rnn_forward(p, x, s):
    (h,), (T, B, _), Wh = s, x.shape, p["Wh"]
    ys, a = np.empty((T, B, Wh.shape[0]), x.dtype), np.empty_like(h)
    matmul(flat(x), p["Wx"], out=flat(ys))
    add(ys, p["b"], out=ys)
    for y in ys:
        dot(h, Wh, a)
        add(a, y, a)
        tanh(a, y)
        h = y
    return ys


def rnn_train(p, x, s, dys):
    ys = rnn_forward(p, x, s)
    k = multiply(ys, ys)
    subtract(1, k, out=k)
    dh, WhT = np.zeros_like(s[0]), np.ascontiguousarray(p["Wh"].T)
    for kt, dy in zip(k[::-1], dys[::-1], strict=True):
        add(dh, dy, dh)
        multiply(dh, kt, kt)
        dot(kt, WhT, dh)
    dz = flat(k)
    grads = {"Wx": dot(flat(x).T, dz), "Wh": dot(before(s[0], ys).T, dz), "b": column_sums(dz)}
    return ys, {"x": dot(dz, p["Wx"].T).reshape(x.shape), "h": dh, **grads}


def lstm_gates(p, x, s):
    """Gates before their steps, (T, B, 4H); halved Wh; what makes sigmoids of tanh."""
    (T, B, _), (_, H) = x.shape, s[0].shape
    scale, shift = halved(4, H, [0, 1, 3], x.dtype)
    z = matmul(flat(x), p["Wx"] * scale)
    add(z, p["b"] * scale, out=z)
    return z.reshape(T, B, 4 * H), p["Wh"] * scale, scale, shift


def lstm_forward(p, x, s):
    (h, c), (u, Wh, scale, shift) = s, lstm_gates(p, x, s)
    ys, a = np.empty((*u.shape[:2], h.shape[1]), x.dtype), np.empty_like(u[0])
    (i, f, g, o), c, ig, t = blocks(a, 4), c.copy(), np.empty_like(c), np.empty_like(c)
    for ut, y in zip(u, ys, strict=True):
        dot(h, Wh, a)
        add(a, ut, a)
        tanh(a, a)
        multiply(a, scale, a)
        add(a, shift, a)
        multiply(f, c, c)
        multiply(i, g, ig)
        add(c, ig, c)
        tanh(c, t)
        multiply(o, t, y)
        h = y
    return ys


def lstm_taped(p, x, s):
    """ys, the gates, c after and tanh(c) of each step."""
    (h, c), (z, Wh, scale, shift) = s, lstm_gates(p, x, s)
    ys, cs, ts = (np.empty((*z.shape[:2], h.shape[1]), x.dtype) for _ in range(3))
    a, ig = np.empty_like(z[0]), np.empty_like(h)
    for zt, i, f, g, o, new, t, y in zip(z, *blocks(z, 4), cs, ts, ys, strict=True):
        dot(h, Wh, a)
        add(a, zt, a)
        tanh(a, a)
        multiply(a, scale, a)
        add(a, shift, zt)
        multiply(f, c, new)
        multiply(i, g, ig)
        add(new, ig, new)
        tanh(new, t)
        multiply(o, t, y)
        h, c = y, new
    return ys, z, cs, ts


def lstm_coefficients(s, z, cs, ts):
    """What dh and dc are multiplied by on their way into the gates, (T, B, 4H); ts becomes the way from dh into dc."""
    (T, B, H), k = ts.shape, np.empty_like(z)
    olds = np.concatenate([s[1][None], cs[:-1]])
    for cut in chunks(T, B * H):
        (i, f, g, o), t, (ki, kf, kg, ko) = blocks(z[cut], 4), ts[cut], blocks(k[cut], 4)
        for gate, other, out in ((i, g, ki), (f, olds[cut], kf), (o, t, ko)):
            subtract(1, gate, out=out)
            multiply(out, gate, out=out)
            multiply(out, other, out=out)
        for inner, gate, out in ((g, i, kg), (t, o, t)):
            multiply(inner, inner, out=out)
            subtract(1, out, out=out)
            multiply(out, gate, out=out)
    return k


def lstm_train(p, x, s, dys):
    ys, z, cs, ts = lstm_taped(p, x, s)
    k, (_, fs, _, _), WhT = lstm_coefficients(s, z, cs, ts), blocks(z, 4), np.ascontiguousarray(p["Wh"].T)
    dh, dc, into = (np.zeros_like(s[0]) for _ in range(3))
    back = (a[::-1] for a in (k, *blocks(k, 4), ts, fs, dys))
    for kt, ki, kf, kg, ko, t, f, dy in zip(*back, strict=True):
        add(dh, dy, dh)
        multiply(dh, t, into)
        add(dc, into, dc)
        multiply(dc, ki, ki)
        multiply(dc, kf, kf)
        multiply(dc, kg, kg)
        multiply(dh, ko, ko)
        dot(kt, WhT, dh)
        multiply(dc, f, dc)
    dz = flat(k)
    grads = {"Wx": dot(flat(x).T, dz), "Wh": dot(before(s[0], ys).T, dz), "b": column_sums(dz)}
    return ys, {"x": dot(dz, p["Wx"].T).reshape(x.shape), "h": dh, "c": dc, **grads}


def gru_taped(p, x, s, keep=True):
    """ys, the gates r z, the candidate n, and (where ``keep``) what r lets through, of each step."""
    (h,), (T, B, _), H = s, x.shape, p["Wh"].shape[0]
    half, (scale, _) = np.asarray(0.5, x.dtype), halved(3, H, [0, 1], x.dtype)
    Wx, Wh, bx, bh = p["Wx"] * scale, p["Wh"] * scale, p["bx"] * scale, p["bh"] * scale
    rz, n = np.empty((T, B, 2 * H), x.dtype), np.empty((T, B, H), x.dtype)
    for gates, cut in ((rz, np.s_[:, : 2 * H]), (n, np.s_[:, 2 * H :])):
        matmul(flat(x), Wx[cut], out=flat(gates))
    add(rz, (bx + bh)[:, : 2 * H], out=rz)
    add(n, bx[:, 2 * H :], out=n)
    vs = np.empty_like(n) if keep else [np.empty_like(h)] * T
    ys, bh, v, w = np.empty_like(n), bh[:, 2 * H :], np.empty((B, 3 * H), x.dtype), np.empty_like(h)
    seen, through = v[:, : 2 * H], v[:, 2 * H :]
    for gates, r, z, nt, vt, y in zip(rz, *blocks(rz, 2), n, vs, ys, strict=True):
        dot(h, Wh, v)
        add(through, bh, vt)
        add(seen, gates, gates)
        tanh(gates, gates)
        multiply(gates, half, gates)
        add(gates, half, gates)
        multiply(r, vt, w)
        add(nt, w, nt)
        tanh(nt, nt)
        subtract(h, nt, w)
        multiply(w, z, w)
        add(w, nt, y)
        h = y
    return ys, rz, n, vs


def gru_forward(p, x, s):
    return gru_taped(p, x, s, keep=False)[0]


def gru_coefficients(olds, rz, n, vs):
    """(T, B, 5, H): what dh is multiplied by on its way into h Wh + bh of n, into r, z, n, and past all gates."""
    (T, B, H), k = n.shape, np.empty((*n.shape[:2], 5, n.shape[2]), n.dtype)
    for cut in chunks(T, B * H):
        (r, z), nt, (kv, kr, kz, kn, past) = blocks(rz[cut], 2), n[cut], np.moveaxis(k[cut], 2, 0)
        past[...] = z
        multiply(nt, nt, out=kn)
        subtract(1, kn, out=kn)
        subtract(1, z, out=kz)
        multiply(kn, kz, out=kn)
        multiply(kz, z, out=kz)
        multiply(kn, r, out=kv)
        subtract(1, r, out=kr)
        multiply(kr, kv, out=kr)
        multiply(kr, vs[cut], out=kr)
        multiply(kz, olds[cut] - nt, out=kz)
    return k


def gru_train(p, x, s, dys):
    ys, rz, n, vs = gru_taped(p, x, s)
    (T, B, H), olds = n.shape, np.concatenate([s[0][None], ys[:-1]])
    k = gru_coefficients(olds, rz, n, vs)
    wide = k.reshape(T, B, 5 * H)
    WhT = np.concatenate([p["Wh"][:, 2 * H :], p["Wh"][:, : 2 * H]], axis=1).T.copy()  # n r z, as in k
    dh = np.zeros_like(s[0])
    spread = dh[:, None, :]
    for kt, dv, past, dy in zip(k[::-1], wide[::-1, :, : 3 * H], wide[::-1, :, 4 * H :], dys[::-1], strict=True):
        add(dh, dy, dh)
        multiply(spread, kt, kt)
        dot(dv, WhT, dh)
        add(dh, past, dh)
    du, dv = flat(wide)[:, H : 4 * H], flat(wide)[:, : 3 * H]
    grads = {"Wx": dot(flat(x).T, du), "Wh": np.roll(dot(flat(olds).T, dv), -H, axis=1)}
    biases = {"bx": column_sums(du), "bh": np.roll(column_sums(dv), -H)}
    return ys, {"x": dot(du, p["Wx"].T).reshape(x.shape), "h": dh, **grads, **biases}


FORWARD = {"RNN": rnn_forward, "LSTM": lstm_forward, "GRU": gru_forward}
TRAIN = {"RNN": rnn_train, "LSTM": lstm_train, "GRU": gru_train}
