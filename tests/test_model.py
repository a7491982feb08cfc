"""The model: calls, gradients, states, batches, backends, and the table it prints."""

import sys
from contextlib import contextmanager

import numpy as np
import pytest
from rows import opened
from shell import Arrays, B, D, H, T, V, recurrent, tokens

import xprnn as xr

NUMPY = opened("numpy", "float64")


def flat(tree):
    return {name: xr.to_numpy(leaf) for name, leaf in xr.tree.flatten(tree).items()}


def close(found, wanted, tolerance=1e-12):
    found, wanted = flat(found), flat(wanted)
    assert found.keys() == wanted.keys()
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], rtol=tolerance, atol=tolerance, err_msg=name)


def slope(model, value, grads, step=1e-6):
    """The relative error of ``grads``, value(model)'s gradients, along a random direction, by a central difference."""
    rng, params = np.random.default_rng(3), model.params
    way = xr.tree.map(lambda a: model.backend.asarray(rng.normal(size=tuple(a.shape))), params)
    ends = []
    for sign in (1.0, -1.0):
        model.params = xr.tree.map(lambda a, b, sign=sign: a + sign * step * b, params, way)
        ends.append(value(model))
    model.params = params
    along = sum(float((flat(grads)[name] * leaf).sum()) for name, leaf in flat(way).items())
    return abs((ends[0] - ends[1]) / (2 * step) - along) / abs(along)


@pytest.mark.parametrize("single", [False, True])
def test_a_way_back_without_dx(backend, single):
    model, rng = xr.Model(xr.LSTM(4, 2), backend, input_shape=(None, 3)), np.random.default_rng(0)
    x = backend.asarray(rng.normal(size=(5, 3) if single else (2, 5, 3)))
    y, end, tape = model.forward(x)
    dx, ds, grads = model.backward(tape, y, end)
    nothing, *rest = model.backward(tape, y, end, inputs=False)
    assert nothing is None and dx.shape == x.shape
    close(tuple(rest), (ds, grads))


def test_two_forwards_before_one_backward(backend):
    a, model = Arrays(backend), recurrent(backend)
    other, dy, dz = a(3, 4, D), a(B, T, 2), a(3, 4, 2)
    wanted = []
    for x, cotangent in ((a.x, dy), (other, dz)):
        wanted.append(model.backward(model.forward(x)[2], cotangent))
    first, second = model.forward(a.x)[2], model.forward(other)[2]
    close(model.backward(first, dy), wanted[0], 0)
    close(model.backward(second, dz), wanted[1], 0)
    close(model.backward(first, dy), wanted[0], 0)  # and again: a tape is not used up


def test_what_forward_gives_may_be_written_into():
    a = Arrays(NUMPY)
    both = xr.GRU(H, bidirectional=True, merge="mul", return_sequences=False)
    layers = xr.Sequential(xr.Dropout(0.2), both, xr.Dense(2, "tanh"))
    model, dy = xr.Model(layers, NUMPY, input_shape=(None, D)), a(B, 2)
    wanted = model.backward(model.forward(a.x, lengths=[5, 2])[2], dy)
    y, end, tape = model.forward(a.x, lengths=[5, 2])
    for leaf in xr.tree.leaves((y, end)):
        leaf[...] = np.nan
    close(model.backward(tape, dy), wanted, 0)


def test_a_layer_used_twice_shares_its_weights(backend):
    a, dense = Arrays(backend), xr.Dense(D, "tanh")
    gru, other = xr.GRU(D), xr.Dense(2)
    shared = xr.Model(xr.Sequential(dense, gru, dense, gru, other), backend, input_shape=(None, D))
    assert list(shared.params) == ["dense", "gru", "dense_1"]
    apart = xr.Model(
        xr.Sequential(dense, gru, xr.Dense(D, "tanh"), xr.GRU(D), other), backend, input_shape=(None, D)
    )
    p = shared.params
    apart.params = {**p, "dense_1": p["dense"], "gru_1": p["gru"], "dense_2": p["dense_1"]}
    y, _, tape = shared.forward(a.x)
    z, _, other_tape = apart.forward(a.x)
    close(y, z, 0)
    dx, _, grads = shared.backward(tape, a.y)
    dz, _, more = apart.backward(other_tape, a.y)
    close(dx, dz, 0)
    for name in ("dense", "gru"):
        close(grads[name], xr.tree.map(lambda u, v: u + v, more[name], more[f"{name}_1"]))
    weights = backend.to_numpy(a.y)
    assert slope(shared, lambda m: float((backend.to_numpy(m(a.x)) * weights).sum()), grads) < 1e-7


@contextmanager
def float_dtypes():
    """The names of the float dtypes of all arrays that array-api-strict makes in the meantime."""
    strict = pytest.importorskip("array_api_strict")
    cls, made = strict._array_object.Array, set()
    plain = cls._new

    def spy(x, /, device):
        # The library's own clip makes float64 of a Python number's bounds; the result has the array's dtype.
        if not (x.ndim == 0 and any(sys._getframe(n).f_code.co_name == "clip" for n in range(1, 6))):
            made.add(x.dtype.name)
        return plain(x, device)

    cls._new = staticmethod(spy)
    try:
        yield made
    finally:
        cls._new = plain


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_intermediate_has_the_models_dtype(dtype):
    with float_dtypes() as made:
        backend = opened("array_api_strict:device1", dtype)
        model = xr.Model(
            xr.Sequential(
                xr.Embedding(V, D), xr.Dropout(0.2), xr.LayerNorm(), xr.TimeDistributed(xr.Dense(3, "gelu_tanh")),
                xr.LSTM(H, 2, dropout=0.3, recurrent_dropout=0.2, bidirectional=True, learn_state=True),
                xr.PeepholeLSTM(3), xr.GRU(3), xr.GRU(3, reset_after=False), xr.RNN(4, activation="selu", segment=2),
                xr.Pooling("mean"), xr.Dense(V),
            ),
            backend,
        )  # fmt: skip
        ids, y = backend.asarray(np.arange(12).reshape(4, 3) % V), backend.asarray(np.arange(4) % V)
        for optimizer in ("sgd", "rmsprop", "adagrad", "adam", "adamw"):
            model.fit(
                ids, y, loss="cross_entropy", optimizer=optimizer, lengths=[3, 1, 0, 2], clip=1.0, clip_value=0.5,
                batch_size=2, metrics=["accuracy", "bits"], verbose=False,
            )  # fmt: skip
        steps = xr.Model(xr.Sequential(xr.Embedding(V, 3, mask_zero=True), xr.GRU(3)), backend)
        target = backend.asarray(np.ones((4, 3, 3)))
        for loss in ("mse", "mae", "huber", "binary_cross_entropy"):
            steps.fit(ids, target, loss=loss, chunk=2, lengths=[3, 1, 0, 2], batch_size=2, verbose=False)
            steps.predict(ids)
        steps.stream()(ids[:, 0])
    assert {name for name in made if "float" in name or "complex" in name} == {dtype}


def test_a_loss_on_the_last_state_alone(backend):
    """Layers without a state above the last recurrent one get no gradient, as if the outputs' cotangent were 0."""
    a = Arrays(backend)
    inner = xr.Sequential(xr.Dense(3), xr.Sequential(xr.GRU(H), xr.LayerNorm()), xr.Dropout(0.2))
    layers = xr.Sequential(xr.LSTM(H), inner, xr.Dense(2), xr.Activation("tanh"))
    model = xr.Model(layers, backend, input_shape=(None, D))
    _, end, tape = model.forward(a.x)
    dstate = xr.tree.map(lambda s: a(*s.shape), end)
    dx, ds, grads = model.backward(tape, None, dstate)
    wanted = model.backward(tape, a.put(np.zeros((B, T, 2))), dstate)
    close((dx, ds, grads), wanted)
    assert list(grads) == list(model.params) and not flat(grads["dense"])["W"].any()
    assert flat(grads["lstm"])["0.Wx"].all()
    layers = xr.Sequential(xr.LSTM(H), xr.Sequential(xr.Dense(3)), xr.Dense(2))
    no_state = xr.Model(layers, backend, input_shape=(None, D))
    _, end, tape = no_state.forward(a.x)
    zeros = a.put(np.zeros((B, T, 2)))
    close(no_state.backward(tape, None, end), no_state.backward(tape, zeros, end))


@pytest.mark.parametrize("lengths", [None, [5, 2]])
def test_a_state_goes_in_and_comes_out(backend, lengths):
    a, model = Arrays(backend), recurrent(backend)
    x = a(B, 2 * T, D)
    state = a.state()
    whole, end, _ = model.forward(x, state)
    y, middle, _ = model.forward(x[:, :T, :], state)
    z, last, _ = model.forward(x[:, T:, :], middle)
    close(backend.xp.concat([y, z], axis=1), whole)
    close(last, end)
    close(model(x, state), whole, 0)
    _, none, _ = model.forward(x, (None, None))
    close(none, model.forward(x)[1], 0)
    zeros = xr.tree.map(lambda s: 0.0 * s, state)
    close(none, model.forward(x, zeros)[1], 0)


def test_merges(backend):
    a, made = Arrays(backend), {}
    for merge in ("concat", "sum", "mean", "mul"):
        model = xr.Model(xr.GRU(H, bidirectional=True, merge=merge), backend, input_shape=(None, D))
        made[merge] = backend.to_numpy(model(a.x, lengths=[5, 3]))
    one, two = made["concat"][..., :H], made["concat"][..., H:]
    for merge, wanted in {"sum": one + two, "mean": (one + two) / 2, "mul": one * two}.items():
        np.testing.assert_allclose(made[merge], wanted, rtol=1e-14, err_msg=merge)
    forth = xr.Model(xr.GRU(H), backend, input_shape=(None, D))
    back = xr.Model(xr.GRU(H, reverse=True), backend, input_shape=(None, D))
    forth.params, back.params = ({"0": model.params["0"][way]} for way in ("forward", "backward"))
    np.testing.assert_allclose(backend.to_numpy(forth(a.x, lengths=[5, 3])), one, rtol=1e-14)
    np.testing.assert_allclose(backend.to_numpy(back(a.x, lengths=[5, 3])), two, rtol=1e-14)


def test_a_learned_state_learns():
    a = Arrays(NUMPY)
    model = xr.Model(xr.Sequential(xr.LSTM(H, 2, learn_state=True), xr.Dense(2)), NUMPY, input_shape=(None, D))
    grads = model.backward(model.forward(a.x)[2], a.y)[2]
    assert slope(model, lambda m: float((m(a.x) * a.y).sum()), grads) < 1e-7
    states = [name for name in flat(grads) if "state" in name]
    assert len(states) == 4 and all(flat(grads)[name].all() for name in states)
    zero = flat(model.backward(model.forward(a.x, a.state())[2], a.y)[2])  # a given state has nothing to learn
    assert not any(zero[name].any() for name in states)
    model.fit(a.x, a.y, verbose=False)
    assert all(flat(model.params)[name].all() for name in states)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_prediction_in_batches(backend, size):
    a, model = Arrays(backend), recurrent(backend)
    x, lengths = a(7, T, D), [5, 0, 2, 3, 1, 4, 5]
    close(model.predict(x, batch_size=size, lengths=lengths), model(x, lengths=lengths))
    close(model.predict(x, batch_size=size), model(x))


def test_x_makes_the_parameters_and_any_length_follows(backend):
    a = Arrays(backend)
    stacked = xr.Sequential(xr.Dropout(0.1), xr.Dense(4), xr.LSTM(H))
    for layer in (stacked, xr.GRU(H), xr.Sequential(xr.Dense(4), xr.Dense(2))):
        model = xr.Model(layer, backend)
        assert model.params is None and model(a(B, T, D)).shape[1] == T
        assert model.input_shape == (None, D) and model(a(3, 8, D)).shape[:2] == (3, 8)
        known = xr.Model(layer, backend, input_shape=(None, D))
        close(model.params, known.params, 0)
    fixed = xr.Model(xr.GRU(H), backend, input_shape=(T, D))
    with pytest.raises(ValueError, match=r"\(2, 4, 3\); the model takes \(B, 5, 3\)"):
        fixed(a(B, 4, D))


def test_the_seed_is_all_there_is_to_chance(backend):
    assert flat(tokens(backend).params).keys() == flat(tokens(NUMPY).params).keys()
    close(tokens(backend).params, tokens(NUMPY).params, 0)
    other = xr.Model(tokens(backend).layer, backend, seed=1)
    assert (flat(other.params)["embedding.W"] != flat(tokens(backend).params)["embedding.W"]).all()
    noisy = xr.Sequential(xr.Dropout(0.5), xr.GRU(H, 2, dropout=0.5))
    a, model = Arrays(backend), xr.Model(noisy, backend, input_shape=(None, D))
    twin = model.to(NUMPY)
    x = NUMPY.asarray(a.x)
    close(model.forward(a.x, key=xr.Key(1))[0], twin.forward(x, key=xr.Key(1))[0])
    assert (flat(model.forward(a.x, key=xr.Key(1))[0])[""] != flat(model.forward(a.x, key=xr.Key(2))[0])[""]).any()


def test_moving_leaves_everything_as_it_was(backend):
    a, model = Arrays(NUMPY), recurrent(NUMPY)
    model.fit(a.x, a.y, batch_size=1, verbose=False)
    there = model.to(backend)
    assert there.backend == backend and there.run is not model.run
    close(there.params, model.params, 0)
    close(there.run.optimizer | {"step": there.run.params}, model.run.optimizer | {"step": model.run.params}, 0)
    for one, data in ((model, a), (there, Arrays(backend))):
        one.fit(data.x, data.y, batch_size=1, epochs=3, resume=True, verbose=False)
    close(there.params, model.params)
    assert there.run.optimizer["step"] == model.run.optimizer["step"] == 6
    assert model.to("numpy").backend == NUMPY and model.to("numpy", "float32").backend.dtype == "float32"
    assert model.to(xr.backend("numpy", "float32")).backend.dtype == "float32"


def test_counts(backend):
    assert recurrent(backend).count_params() == (3 * 16 + 4 * 16 + 16) + (4 * 16 + 4 * 16 + 16) + (4 * 2 + 2)
    dense = xr.Dense(3)
    assert xr.Model(xr.Sequential(dense, dense), backend, input_shape=(3,)).count_params() == 12


def test_the_summary_to_the_letter():
    dense = xr.Dense(D)
    layers = xr.Sequential(xr.Embedding(1000, D), xr.LSTM(H, bidirectional=True), dense, dense, xr.Pooling("mean"))
    with pytest.raises(ValueError, match="dense is used twice"):
        xr.Model(layers, NUMPY)
    layers = xr.Sequential(xr.Embedding(1000, D), dense, xr.GRU(H), xr.Dense(D), dense, xr.Pooling("mean"))
    assert xr.Model(layers, NUMPY).summary() == """\
layer                  output shape     parameters
───────────────────────────────────────────────────────────────────────────
embedding (Embedding)  (None, None, 3)       3,000  1000×3
dense (Dense)          (None, None, 3)          12  3×3 + 3
gru (GRU)              (None, None, 4)         108  3×12 + 4×12 + 12 + 12
dense_1 (Dense)        (None, None, 3)          15  4×3 + 3
dense (Dense)          (None, None, 3)           0  shared with dense above
pooling (Pooling)      (None, 3)                 0
───────────────────────────────────────────────────────────────────────────
total parameters: 3,135"""
    assert xr.Model(xr.RNN(10), input_shape=(3, 1)).summary().splitlines()[2:] == [
        "RNN    (None, 3, 10)         120  1×10 + 10×10 + 10", "─" * 51, "total parameters: 120",
    ]  # fmt: skip


def test_numpys_numbers_are_sizes_too():
    layer = xr.Sequential(xr.LSTM(np.int64(4), np.int32(2)), xr.Dense(np.int16(2)))
    assert layer == xr.Sequential(xr.LSTM(4, 2), xr.Dense(2))
