"""Training with segment=: the gradient of whole sequences, with memory for some of their steps at a time."""

import tracemalloc

import numpy as np
import pytest
from shell import NUMPY, D, H, V, same_params

import xprnn as xr
from xprnn.layers.base import Context
from xprnn.training.data import Data
from xprnn.training.gradients import gradients

N, T = 5, 7
LENGTHS = [7, 3, 0, 1, 4]
HOLES = np.random.default_rng(5).random((N, T)) < 0.5


def deep():
    return xr.Sequential(xr.LSTM(H, 2, recurrent_dropout=0.3), xr.SequenceDropout(0.2), xr.Dense(2))


def twice():
    layer = xr.GRU(D, learn_state=True)
    return xr.Sequential(layer, layer, xr.Dense(2, "tanh"))


def masked():
    return xr.Sequential(xr.Masking(), xr.LSTM(H, segment=2), xr.Dense(2))


def last():
    layers = xr.LSTM((H, 3), return_sequences=False, learn_state=True), xr.Dense(3, "tanh"), xr.Dense(2)
    return xr.Sequential(*layers)


def tokens():
    return xr.Sequential(xr.Embedding(V, D), xr.RNN(H), xr.Dense(V))


MODELS = {
    "deep": (deep, {}),
    "deep, lengths": (deep, {"lengths": LENGTHS}),
    "twice": (twice, {"mask": HOLES}),
    "masked": (masked, {}),
    "last output": (last, {}),
    "last output, lengths": (last, {"lengths": LENGTHS}),
    "last output, mask": (last, {"mask": HOLES}),
    "tokens": (tokens, {"lengths": LENGTHS, "loss": "cross_entropy"}),
    "in chunks": (twice, {"chunk": 5, "mask": HOLES}),
}


def drawn(backend, layer, options):
    """x, y and the options with arrays of the backend."""
    rng = np.random.default_rng(1)
    ids, real = rng.integers(0, V, (N, T)), np.arange(T)[:, None] < 5
    x, y = (ids, ids) if layer.takes_ids else (rng.normal(size=(N, T, D)), rng.normal(size=(N, T, 2)))
    x, y = x * real if layer.makes_mask else x, y[:, 0] if layer.shortens else y
    put = lambda a: backend.asarray(a)  # noqa: E731
    return put(x), put(y), options | ({"mask": put(options["mask"])} if "mask" in options else {})


@pytest.mark.parametrize("name", MODELS)
def test_segments_change_nothing(backend, name):
    make, options = MODELS[name]
    x, y, options = drawn(backend, make(), {"loss": "mse"} | options)
    options |= {"optimizer": xr.SGD(0.3, momentum=0.9), "epochs": 2, "batch_size": 3, "verbose": False}
    model = xr.Model(make(), backend, input_shape=(None, D) if x.ndim == 3 else (None,), seed=2)
    before, whole = model.to(backend), model.to(backend)
    wanted = whole.fit(x, y, **options)
    assert wanted["loss"][1] != wanted["loss"][0]
    for segment in (3,) if backend.name == "jax" else (1, 3, T, T + 1):
        cut = before.to(backend)
        found = cut.fit(x, y, segment=segment, **options)
        np.testing.assert_allclose(found["loss"], wanted["loss"], rtol=1e-12)
        same_params(cut, whole, 1e-12)


NOISY = {
    "dropout": xr.Sequential(xr.Dropout(0.4), xr.LSTM(H, 2, dropout=0.3), xr.Dense(2)),
    "zoneout": xr.Sequential(xr.Recurrent(xr.cells.Zoneout(xr.cells.LSTM(H), (0.3, 0.2))), xr.Dense(2)),
}


@pytest.mark.parametrize("name", NOISY)
def test_each_segment_draws_its_own_and_draws_it_again(backend, name):
    layer, key, cuts = NOISY[name], xr.Key(3), (slice(0, 3), slice(3, 6), slice(6, 7))
    x, y, _ = drawn(backend, layer, {})
    p = xr.Model(layer, backend, input_shape=(None, D)).params
    state, ys, tapes = None, [], []
    for cut in cuts:  # all tapes are kept
        z, state, tape = layer.forward(p, x[:, cut, :], state, Context(key=key).part(cut))
        ys.append(z)
        tapes.append(tape)
    wanted, dy = xr.mse(backend.xp.concat(ys, axis=1), y)
    ds, grads = None, []
    for cut, tape in reversed(list(zip(cuts, tapes, strict=True))):
        _, ds, dp = layer.backward(p, tape, dy[:, cut, :], ds)
        grads.append(dp)
    value, found, end = gradients(layer, xr.mse, p, Data(x, y, None), None, Context(key=key), 3)
    np.testing.assert_allclose(float(value), float(wanted), rtol=1e-13)
    for ours, *theirs in zip(*map(xr.tree.leaves, (found, *grads)), strict=True):
        np.testing.assert_allclose(backend.to_numpy(ours), sum(map(backend.to_numpy, theirs)), rtol=1e-11, atol=1e-14)
    for ours, theirs in zip(xr.tree.leaves(end), xr.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(backend.to_numpy(ours), backend.to_numpy(theirs))
    here = [backend.to_numpy(layer.forward(p, x[:, :3, :], None, Context(key=key, past=n))[0]) for n in (0, 3, 6)]
    np.testing.assert_array_equal(here[0], backend.to_numpy(ys[0]))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(here[one] - here[other]).max() > 1e-3


def test_memory_is_for_a_segment_at_a_time():
    rng, steps = np.random.default_rng(0), 4096
    ids = rng.integers(0, 64, (2, steps))
    model = xr.Model(xr.Sequential(xr.Embedding(64, 16), xr.LSTM(16, 2, dropout=0.1), xr.Dense(64)), "numpy")

    def peak(**options):
        twin = model.to("numpy")
        tracemalloc.start()
        twin.fit(ids, ids, loss="cross_entropy", optimizer="sgd", verbose=False, **options)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(segment=64) < peak() / 20


def test_all_is_padding():
    x, y, _ = drawn(NUMPY, deep(), {})
    model = xr.Model(deep(), NUMPY, input_shape=(None, D))
    before = model.to(NUMPY)
    history = model.fit(x, y, optimizer="sgd", lengths=[0] * N, segment=2, verbose=False)
    assert history["loss"] == [0.0]
    same_params(model, before)


# What cannot be trained in segments: (layer, shape of y, words).
REFUSED = {
    "both ways": (xr.GRU(2, bidirectional=True), (N, T, 2), "segment=3 cuts sequences in time; .*whole sequences only"),
    "pooled": (xr.Sequential(xr.GRU(2), xr.Pooling("mean")), (N, 2), "segment=3 cuts sequences in time"),
    "no time": (xr.Dense(2), (N, 2), "segment=3 cuts sequences in time"),
    "y: steps": (xr.GRU(2), (N, 2), "with segment=3, y needs a target for each of the 7 steps"),
    "ends in x": (
        xr.Sequential(xr.Masking(), xr.GRU(2, return_sequences=False)), (N, 2),
        "finds in x itself where they end, .*leave that to lengths= or mask=",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_segments(name):
    layer, shape, words = REFUSED[name]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D) if name == "no time" else (N, T, D))
    model = xr.Model(layer, NUMPY, input_shape=x.shape[1:])
    before, y = model.params, rng.normal(size=shape)
    with pytest.raises(ValueError, match=words):
        model.training(x, y, loss="mse", optimizer="sgd", segment=3)
    assert model.params is before and model.run is None


@pytest.mark.parametrize("segment", [0, -1, 2.5, True])
def test_a_segment_is_a_number_of_steps(segment):
    x, y, _ = drawn(NUMPY, deep(), {})
    model = xr.Model(deep(), NUMPY, input_shape=(None, D))
    with pytest.raises(ValueError, match="segment is a whole number, 1 or more, not"):
        model.fit(x, y, segment=segment, verbose=False)


def test_trees_are_added_up_without_a_change_to_them(row):
    a = row.put(np.asarray([[1.0, 2.0]]))
    parts = [{"x": a, "y": (a, None)}, {"x": a + 1, "y": (a + 2, None)}, {"x": a + 3, "y": (a + 4, None)}]
    total = None
    for part in parts:
        total = xr.tree.add(total, part)
    np.testing.assert_array_equal(row.get(total["x"]), [[7.0, 10.0]])
    np.testing.assert_array_equal(row.get(total["y"][0]), [[9.0, 12.0]])
    np.testing.assert_array_equal(row.get(a), [[1.0, 2.0]])
    np.testing.assert_array_equal(row.get(parts[1]["x"]), [[2.0, 3.0]])
    assert total["y"][1] is None


def test_trees_are_added_up_in_place():
    a = np.asarray([1.0, 2.0])
    total = xr.tree.add(None, {"x": a})
    held = total["x"]
    assert xr.tree.add(total, {"x": a})["x"] is held


def test_the_part_of_a_part():
    whole = Context(mask=HOLES)
    first = whole.part(slice(2, 6))
    assert first.past == 2 and np.shares_memory(first.past_mask, HOLES) and np.shares_memory(first.mask, HOLES)
    second = first.part(slice(1, 4))
    assert second.past == 3
    np.testing.assert_array_equal(second.mask, HOLES[:, 3:6])
    np.testing.assert_array_equal(second.past_mask, HOLES[:, :3])
    np.testing.assert_array_equal(second.any_step, HOLES[:, :6].any(axis=1))
