"""The layers without recurrence that the tests run over, inputs for them, and one run both ways."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xprnn.arrays import device
from xprnn.layers.activation import Activation
from xprnn.layers.base import Context
from xprnn.layers.dense import Dense
from xprnn.layers.dropout import Dropout
from xprnn.layers.embedding import Embedding
from xprnn.layers.layer_norm import LayerNorm
from xprnn.layers.masking import Masking
from xprnn.layers.pooling import Pooling
from xprnn.layers.time_distributed import TimeDistributed
from xprnn.random import Key

B, T, D, V = 4, 5, 3, 7
MASK = np.asarray([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]], dtype=bool)
FLOATS = {
    "dense": Dense(4, "tanh"),
    "dense of the input": Dense(4, "silu"),
    "dense without bias": Dense(2, bias=False),
    "dense with softmax": Dense(4, "softmax"),
    "dropout": Dropout(0.4),
    "layer norm": LayerNorm(),
    "activation": Activation("elu"),
    "softmax": Activation("softmax"),
    "last": Pooling("last"),
    "mean": Pooling("mean"),
    "max": Pooling("max"),
    "masking": Masking(0.5),
    "time distributed": TimeDistributed(Dense(4, "tanh")),
    "time distributed norm": TimeDistributed(LayerNorm()),
}
TOKENS = {
    "embedding": Embedding(V, 4),
    "embedding with zero as padding": Embedding(V, 4, mask_zero=True),
    "time distributed embedding": TimeDistributed(Embedding(V, 4)),
}
CASES = FLOATS | TOKENS


@dataclass
class Run:
    """One forward and backward of a layer, with a random cotangent, all results on the host."""

    y: Any
    dx: Any
    grads: dict
    dy: Any
    mask: Any


def read_only(x):
    x = np.asarray(x).copy()
    x.flags.writeable = False
    return x


def inputs(layer, mask=None, padding=np.nan, batch=B, steps=T, seed=0):
    """x for ``layer`` with ``padding`` where the mask is False, and parameters that are nowhere special."""
    rng = np.random.default_rng(seed)
    if layer in TOKENS.values():
        x, shape, padding = rng.integers(0, V, (batch, steps)), (None,), -999
    else:
        x, shape = rng.normal(size=(batch, steps, D)), (None, D)
        if isinstance(layer, Masking):
            x[:, 1:2] = layer.mask_value
    if mask is not None:
        x[~mask] = padding
    p, _ = layer.init(rng, shape)
    return read_only(x), {name: read_only(w + 0.3 * rng.normal(size=w.shape)) for name, w in p.items()}


def run(layer, x, p, mask, put=read_only, get=np.asarray, dtype="float64", seed=1):
    """Run ``layer`` both ways, where ``put`` and ``get`` say; the cotangent has NaN in padding."""
    moved = {name: put(w) for name, w in p.items()}
    there = put(x)
    ctx = Context(None if mask is None else put(mask), Key(3))
    y, state, tape = layer.forward(moved, there, None, ctx)
    after = layer.mask_after(there, ctx.mask)
    dy = np.random.default_rng(seed).normal(size=tuple(y.shape)).astype(dtype)
    host_after = None if after is None else get(after)
    if host_after is not None:
        dy[~host_after] = np.nan
    cotangent = put(dy)
    dx, dstate, grads = layer.backward(moved, tape, cotangent, ())
    assert state == dstate == ()
    assert grads.keys() == p.keys()
    for result in (y, dx, *grads.values()):
        if result is not None:
            assert result.dtype == cotangent.dtype
            assert device(result) == device(cotangent)
    return Run(get(y), None if dx is None else get(dx), {name: get(g) for name, g in grads.items()}, dy, host_after)
