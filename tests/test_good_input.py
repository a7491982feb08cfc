"""Input that must work: odd layouts, empty batches, length 0, single samples, padding of any value, huge numbers."""

from dataclasses import replace

import numpy as np
import pytest
from rows import opened
from shell import Arrays, B, D, H, T, V, recurrent, tokens

import xprnn as xr

LENGTHS = [3, 0]


def unaligned(x):
    raw = np.frombuffer(b"\0" + np.ascontiguousarray(x).tobytes(), np.uint8)[1:]
    odd = raw.view(x.dtype).reshape(x.shape)
    assert not (odd.flags.aligned and x.itemsize > 1) and not odd.flags.writeable
    return odd


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def sliced(x):
    wide = np.zeros((2 * x.shape[0], *x.shape[1:-1], 2 * x.shape[-1]), x.dtype)
    wide[1::2, ..., ::2] = x
    return wide[1::2, ..., ::2]


# Each an array equal to x, in another layout.
LAYOUTS = {
    "Fortran": np.asfortranarray,
    "negative strides": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "sliced": sliced,
    "transposed": lambda x: np.ascontiguousarray(np.moveaxis(x, 0, -1)).transpose(-1, *range(x.ndim - 1)),
    "read-only": read_only,
    "unaligned": unaligned,
}


def everything(model, x, y, dy, state=None, mask=None):
    """All that a model makes of its input, its training included, as NumPy arrays in one flat dict."""
    z, end, tape = model.forward(x, state, mask=mask)
    dx, dstate, grads = model.backward(tape, dy)
    losses = model.fit(x, y, epochs=2, batch_size=1, mask=mask, verbose=False).history["loss"]
    found = {"z": z, "predict": model.predict(x, mask=mask), "call": model(x, state, mask=mask), "end": end, "dx": dx,
             "dstate": dstate, "grads": grads, "params": model.params}  # fmt: skip
    numbers = {"loss": np.asarray(losses), "evaluate": np.asarray(list(model.evaluate(x, y, mask=mask).values()))}
    return {name: np.asarray(xr.to_numpy(a)) for name, a in xr.tree.flatten(found | numbers).items()}


def equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_change_nothing(layout):
    a = Arrays(opened("numpy", "float64"))
    given = {"x": a.x, "y": a.y, "dy": a(B, T, 2), "state": a.state(), "mask": np.arange(B * T).reshape(B, T) != 4}
    odd = {name: xr.tree.map(LAYOUTS[layout], one) for name, one in given.items()}
    copies = {name: xr.tree.map(np.copy, one) for name, one in given.items()}
    got = everything(recurrent("numpy").to("numpy", "float64"), **odd)
    wanted = everything(recurrent("numpy").to("numpy", "float64"), **given)
    for name in wanted:
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-12, atol=1e-14, err_msg=name)
    for one in (odd, given):  # the input is untouched
        equal(*(xr.tree.flatten(tree) for tree in (one, copies)))


def test_zero_strides():
    a = Arrays(opened("numpy", "float64"))
    x, y = np.broadcast_to(a(1, 1, D), (B, T, D)), np.broadcast_to(a(2), (B, T, 2))
    mask = np.broadcast_to(np.array([True]), (B, T))
    got = everything(recurrent(a.backend), x, y, y, mask=mask)
    wanted = everything(recurrent(a.backend), x.copy(), y.copy(), y.copy(), mask=mask.copy())
    for name in wanted:
        np.testing.assert_allclose(got[name], wanted[name], rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("layout", ["Fortran", "negative strides", "sliced", "transposed", "read-only", "unaligned"])
def test_layouts_of_tokens(layout):
    a = Arrays(opened("numpy", "float64"))
    model, ids, dy = tokens(a.backend), a.rng.integers(0, V, (4, T)), a(4, T, V)
    outputs = []
    for x in (ids, LAYOUTS[layout](ids)):
        y, _, tape = model.forward(x)
        loss = model.to("numpy").fit(x, x, loss="cross_entropy", verbose=False)["loss"]
        outputs.append({"y": y, "loss": np.asarray(loss)} | xr.tree.flatten(model.backward(tape, dy)[2]))
    for name in outputs[0]:
        np.testing.assert_allclose(*(o[name] for o in outputs), rtol=1e-12, atol=1e-14, err_msg=name)


def test_torch_layouts():
    torch = pytest.importorskip("torch")
    a = Arrays(opened("torch", "float64"))
    x, y = a.x, a.y
    wanted = everything(recurrent(a.backend), x, y, y)
    turned = x.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    for odd in (turned, torch.stack([x, x], -1)[..., 0]):
        assert not odd.is_contiguous()
        got = everything(recurrent(a.backend), odd, y, y)
        for name in wanted:
            np.testing.assert_allclose(got[name], wanted[name], rtol=1e-12, atol=1e-14, err_msg=name)


def test_an_empty_batch(backend):
    a = Arrays(backend)
    for model, x, width in ((tokens(backend), a.put(np.zeros((0, T), int)), V), (recurrent(backend), a(0, T, D), 2)):
        y, state, tape = model.forward(x, lengths=[])
        dx, dstate, grads = model.backward(tape, a(0, T, width))
        assert tuple(y.shape) == tuple(model(x).shape) == tuple(model.predict(x).shape) == (0, T, width)
        assert dx is None or tuple(dx.shape) == (0, T, D)
        for before, after in zip(xr.tree.leaves(state), xr.tree.leaves(dstate), strict=True):
            assert tuple(before.shape) == tuple(after.shape) == (0, H)
        for grad in xr.tree.leaves(grads):
            np.testing.assert_array_equal(backend.to_numpy(grad), np.zeros(tuple(grad.shape)))
        params = xr.to_numpy(model.params)
        history = model.fit(x, a(0, T, width), epochs=2, validation=(x, a(0, T, width)), verbose=False)
        assert history.history == {"loss": [0.0, 0.0], "val_loss": [0.0, 0.0]}
        assert model.evaluate(x, a(0, T, width), metrics=["mae"]) == {"loss": 0.0, "mae": 0.0}
        for before, after in zip(xr.tree.leaves(params), xr.tree.leaves(model.params), strict=True):
            np.testing.assert_array_equal(before, backend.to_numpy(after))  # no gradient, no step


@pytest.mark.parametrize(
    "layer", [xr.LSTM(H, 2), xr.GRU(H), xr.RNN(H), xr.PeepholeLSTM(H), xr.GRU(H, reset_after=False)], ids=repr
)
@pytest.mark.parametrize("both", [False, True])
def test_length_0_gives_0_and_keeps_the_state(backend, layer, both):
    a = Arrays(backend)
    model = xr.Model(replace(layer, bidirectional=both), backend, input_shape=(None, D))
    begin = xr.tree.map(lambda n: a(B, n), model.layer.state_sizes)
    y, end, _ = model.forward(a.x, begin, lengths=LENGTHS)
    np.testing.assert_array_equal(backend.to_numpy(y)[1], np.zeros(y.shape[1:]))
    np.testing.assert_array_equal(backend.to_numpy(y)[0, 3:], np.zeros((2, y.shape[2])))
    for first, last in zip(xr.tree.leaves(begin), xr.tree.leaves(end), strict=True):
        np.testing.assert_array_equal(backend.to_numpy(last)[1], backend.to_numpy(first)[1])
        assert (backend.to_numpy(last)[0] != backend.to_numpy(first)[0]).all()
    short = xr.Model(replace(layer, bidirectional=both, return_sequences=False), backend, input_shape=(None, D))
    assert not backend.to_numpy(short(a.x, begin, lengths=LENGTHS))[1].any()


def test_a_single_sample_is_a_batch_of_one(backend):
    a = Arrays(backend)
    model = recurrent(backend)
    one, many = a.x[0, ...], a.x[:1, ...]
    state = a.state(1)
    single = xr.tree.map(lambda s: s[0, ...], state)
    mask = a.put([True, True, False, True, False])
    for alone, batch in (
        ({}, {}),
        ({"lengths": 3}, {"lengths": [3]}),
        ({"lengths": a.put(3)}, {"lengths": [3]}),
        ({"mask": mask}, {"mask": mask[None, ...]}),
    ):
        y, end, tape = model.forward(one, single, **alone)
        z, last, other = model.forward(many, state, **batch)
        back, forth = model.backward(tape, y, end), model.backward(other, z, last)
        assert tuple(y.shape) == (T, 2)
        found = {"y": y, "end": end, "dx": back[0], "dstate": back[1]}
        wanted = {"y": z, "end": last, "dx": forth[0], "dstate": forth[1]}
        for name, leaf in xr.tree.flatten(found).items():
            leaf, other = backend.to_numpy(leaf), backend.to_numpy(xr.tree.flatten(wanted)[name])
            np.testing.assert_array_equal(leaf, other[0], err_msg=name)
        for leaf, other in zip(xr.tree.leaves(back[2]), xr.tree.leaves(forth[2]), strict=True):
            np.testing.assert_array_equal(backend.to_numpy(leaf), backend.to_numpy(other))
        np.testing.assert_array_equal(*(backend.to_numpy(v) for v in (model(one, single, **alone), y)))
        np.testing.assert_array_equal(*(backend.to_numpy(v) for v in (model.predict(one), model(one))))
    ids = tokens(backend)
    np.testing.assert_array_equal(*(backend.to_numpy(v) for v in (ids(a.ids[0, ...]), ids(a.ids[:1, ...])[0, ...])))


# The kinds of models that padding must not get through; x is features (B, T, D).
PADDED = {
    "every layer": lambda: xr.Sequential(
        xr.Dropout(0.3), xr.Dense(4, "relu"), xr.LayerNorm(), xr.Activation("silu"), xr.TimeDistributed(xr.Dense(3)),
        xr.LSTM(H, num_layers=2, dropout=0.2, recurrent_dropout=0.3, learn_state=True), xr.Dense(2),
    ),
    "both ways": lambda: xr.Sequential(
        xr.LSTM(H, num_layers=2, bidirectional=True), xr.GRU(2, bidirectional=True, merge="mul"), xr.Dropout(0.3)
    ),
    "peepholes, checkpoints, reverse": lambda: xr.Sequential(xr.PeepholeLSTM(H, segment=2, reverse=True), xr.Dense(2)),
    "GRU as published": lambda: xr.Sequential(xr.LayerNorm(), xr.GRU(H, reset_after=False), xr.Dense(2, "softmax")),
    "last": lambda: xr.Sequential(xr.RNN(H, return_sequences=False), xr.Dense(2)),
    "mean": lambda: xr.Sequential(xr.Dense(3), xr.Pooling("mean"), xr.Dense(2)),
    "max": lambda: xr.Sequential(xr.GRU(H, bidirectional=True), xr.Pooling("max"), xr.LayerNorm(), xr.Dense(2)),
    "masking": lambda: xr.Sequential(xr.Masking(), xr.Dense(3, "tanh"), xr.GRU(H), xr.Dense(2)),
    "no product": lambda: xr.Sequential(xr.Dropout(0.5), xr.LayerNorm(), xr.Activation("softmax"), xr.LSTM(2)),
}  # fmt: skip


@pytest.mark.parametrize("kind", PADDED)
def test_padding_may_hold_anything(backend, kind):
    if backend.name == "jax" and kind != "last":
        pytest.skip("JAX compiles every operation of every shape: one model there")
    rng, mask = np.random.default_rng(1), np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [1, 0, 1, 1, 0]], bool)
    x, y = rng.normal(size=(3, T, D)), rng.normal(size=(3, T, 2))
    layer = PADDED[kind]()
    y = y[:, 0] if layer.shortens else y
    results = []
    for values in ((0.0,), (np.nan, np.inf, -np.inf)):
        a, b = x.copy(), y.copy()
        a[~mask] = np.resize(values, a[~mask].shape)
        if not layer.shortens:
            b[~mask] = np.resize(values, b[~mask].shape)
        model = xr.Model(layer, backend, seed=2, input_shape=(None, D))
        there = backend.asarray(mask)
        out, _, tape = model.forward(backend.asarray(a), mask=there, key=xr.Key(5))
        dy = xr.mse(out, backend.asarray(b), None if layer.shortens else there)[1]
        found = {"y": out, "call": model(backend.asarray(a), mask=there), "back": model.backward(tape, dy)}
        history = model.fit(
            backend.asarray(a), backend.asarray(b), mask=there, epochs=2, batch_size=2, metrics=["mae"], verbose=False
        )
        found |= {"params": model.params}
        flat = {name: backend.to_numpy(leaf) for name, leaf in xr.tree.flatten(found).items()}
        results.append(flat | {name: np.asarray(values) for name, values in history.history.items()})
    assert all(np.isfinite(leaf).all() for leaf in results[1].values())
    equal(*results)


def test_nan_in_one_sample_stays_there(backend):
    rng = np.random.default_rng(1)
    for kind in ("both ways",) if backend.name == "jax" else ("every layer", "both ways", "max", "GRU as published"):
        x, outs = rng.normal(size=(3, T, D)), []
        layer = PADDED[kind]()
        for value in (0.5, np.nan):
            x[1, 2, 0] = value
            model = xr.Model(layer, backend, input_shape=(None, D))
            with np.errstate(invalid="ignore"):
                y, end, tape = model.forward(backend.asarray(x), key=xr.Key(1))
                dx, dstate, _ = model.backward(tape, y, end)
            outs.append([backend.to_numpy(leaf) for leaf in xr.tree.leaves((y, end, dx, dstate))])
        for healthy, sick in zip(*outs, strict=True):
            np.testing.assert_array_equal(healthy[[0, 2]], sick[[0, 2]])
        assert np.isnan(outs[1][0][1]).any()


HUGE = [
    xr.LSTM(H, 2), xr.GRU(H, 2), xr.GRU(H, reset_after=False), xr.PeepholeLSTM(H, bidirectional=True), xr.RNN(H, 2),
    xr.Sequential(xr.Dense(3, "sigmoid"), xr.LSTM(H)), xr.Sequential(xr.Dense(3, "gelu_tanh"), xr.GRU(H), xr.Dense(2)),
    xr.Sequential(xr.LayerNorm(), xr.LSTM(H)), xr.Sequential(xr.Dense(3, "softmax"), xr.RNN(H)),
]  # fmt: skip


@pytest.mark.parametrize("layer", HUGE, ids=repr)
def test_huge_inputs_stay_finite(row, layer):
    model = xr.Model(layer, row.backend, input_shape=(None, D))
    x = row.put(1e30 * np.random.default_rng(0).normal(size=(B, T, D)))
    y, end, tape = model.forward(x)
    dx, dstate, grads = model.backward(tape, row.put(np.ones(tuple(y.shape))))
    for name, leaf in xr.tree.flatten({"y": y, "end": end, "dx": dx, "dstate": dstate, "grads": grads}).items():
        assert np.isfinite(row.get(leaf)).all(), name


def test_layer_norm_of_huge_rows(row):
    norm, x = xr.LayerNorm(1e-30), np.random.default_rng(0).normal(size=(B, T, D))
    model = xr.Model(norm, row.backend, input_shape=(None, D))
    results = []
    for scale in (1.0, 1e30):
        y, _, tape = model.forward(row.put(scale * x))
        results.append((row.get(y), scale * row.get(model.backward(tape, row.put(x**2))[0])))
    for small, huge in zip(*results, strict=True):
        np.testing.assert_allclose(huge, small, rtol=10 * row.tolerance, atol=10 * row.tolerance)
