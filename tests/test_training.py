"""Training: fit against a loop by hand, exact means, order, chunks, validation, early stopping; and that it learns."""

import itertools

import numpy as np
import pytest
from shell import NUMPY, Arrays, D, H, T, V, data, named, recurrent, same_params, tokens

import xprnn as xr
from xprnn.optimizers import schedules

LENGTHS = [5, 2, 0, 4, 1, 3, 5]


def noisy(backend):
    """A model with every kind of dropout."""
    layers = xr.Sequential(xr.Dropout(0.2), xr.LSTM(H, 2, dropout=0.3, recurrent_dropout=0.2), xr.Dense(2))
    return xr.Model(layers, backend, input_shape=(None, D), seed=3)


def test_fit_is_a_loop_of_forward_loss_backward_update(backend):
    x, y = data(backend, 3)
    model, twin, rule = recurrent(backend), recurrent(backend), xr.Adam(0.01)
    history = model.fit(x, y, optimizer=rule, epochs=3, batch_size=3, clip=0.5, clip_value=0.1, verbose=False)
    state, losses = rule.init(twin.params), []
    for _ in range(3):
        z, _, tape = twin.forward(x)
        value, dz = xr.mse(z, y)
        grads = xr.clip_by_norm(xr.clip_by_value(twin.backward(tape, dz)[2], 0.1), 0.5)
        twin.params, state = rule.update(twin.params, grads, state)
        losses.append(float(value))
    same_params(model, twin)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-14)
    assert history.epochs == 3 and history.stopped == ""
    assert model.run.optimizer["step"] == 3 and model.run.epoch == 3 and model.run.update == 0


def test_fit_is_a_loop_over_training():
    x, y = data()
    rule = xr.SGD(0.1, momentum=0.9)
    options = {"loss": "huber", "optimizer": rule, "epochs": 2, "batch_size": 3, "lengths": LENGTHS}
    model, twin = noisy(NUMPY), noisy(NUMPY)
    history = model.fit(x, y, validation=(x, y, LENGTHS), metrics=["mae"], verbose=False, **options)
    losses, judged = [], []
    for report in twin.training(x, y, **options):
        if report.last:
            losses.append(report.loss)
            judged.append(twin.evaluate(x, y, loss="huber", metrics=["mae"], batch_size=3, lengths=LENGTHS))
    assert history["loss"] == losses
    for name in ("loss", "mae"):
        assert history[f"val_{name}"] == [one[name] for one in judged]
    same_params(model, twin)


def test_reports_count(backend):
    x, y = data(backend)
    reports = list(recurrent(backend).training(x, y, loss="mse", optimizer="sgd", epochs=2, batch_size=3, chunk=2))
    assert [(r.epoch, r.update) for r in reports] == [(e, u) for e in (1, 2) for u in range(1, 10)]
    assert all((r.epochs, r.updates, r.last) == (2, 9, r.update == 9) for r in reports)
    assert str(reports[-1]) == f"epoch 2/2  update 9/9  loss {reports[-1].loss:.4f}"


def test_the_callers_loop_may_break():
    x, y = data()
    model = recurrent(NUMPY)
    before = model.params
    reports = model.training(x, y, loss="mse", optimizer="sgd", epochs=5, batch_size=3)
    assert model.params is before  # nothing happens before the first next
    for _ in range(4):
        report = next(reports)
        assert model.params is model.run.params
    assert (report.epoch, report.update) == (2, 1) and model.run.epoch == 1 and model.run.update == 1


@pytest.mark.parametrize("chunk", [None, 2])
def test_means_are_over_all_real_steps(backend, chunk):
    x, y = data(backend)
    model = recurrent(backend)
    z, wanted = backend.to_numpy(model(x, lengths=LENGTHS)), backend.to_numpy(y)
    real = np.arange(T)[None, :] < np.asarray(LENGTHS)[:, None]
    squares = float(((z - wanted) ** 2)[real].mean())
    absolute = float(np.abs(z - wanted)[real].mean())
    for size in (2, 3) if backend.name == "jax" else (1, 2, 3, 7, 50):
        found = model.evaluate(x, y, metrics=["mae"], lengths=LENGTHS, batch_size=size, chunk=chunk)
        np.testing.assert_allclose([found["loss"], found["mae"]], [squares, absolute], rtol=1e-13)
        still = model.to(backend)  # at a learning rate of 0 the epoch's loss is that of one model
        history = still.fit(
            x, y, optimizer=xr.SGD(0.0), lengths=LENGTHS, batch_size=size, chunk=chunk, metrics=["mae"], verbose=False
        )
        np.testing.assert_allclose([history["loss"][0], history["mae"][0]], [squares, absolute], rtol=1e-13)
        assert history.history.keys() == {"loss", "mae"}


def test_means_over_samples():
    a = Arrays(NUMPY)
    model = xr.Model(xr.Sequential(xr.GRU(H, return_sequences=False), xr.Dense(2)), NUMPY, input_shape=(None, D))
    x, y = a(7, T, D), a(7, 2)
    squares = float(((model(x, lengths=LENGTHS) - y) ** 2).mean())
    np.testing.assert_allclose(model.evaluate(x, y, lengths=LENGTHS, batch_size=3)["loss"], squares, rtol=1e-13)
    zeros = xr.Model(xr.Sequential(xr.Masking(), xr.GRU(H), xr.Dense(2)), NUMPY, input_shape=(None, D))
    real = np.arange(T)[None, :] < np.asarray(LENGTHS)[:, None]
    x, y = a(7, T, D) * real[..., None], a(7, T, 2)
    wanted = float(((zeros(x) - y) ** 2)[real].mean())
    np.testing.assert_allclose(zeros.evaluate(x, y, batch_size=2)["loss"], wanted, rtol=1e-13)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_chunks_change_nothing_in_evaluation(backend, lengths):
    x, y = data(backend)
    model = recurrent(backend)
    whole = model.evaluate(x, y, lengths=lengths, metrics=["mae"])
    for chunk in (1, 3, 5, 9):
        found = model.evaluate(x, y, lengths=lengths, metrics=["mae"], chunk=chunk, batch_size=4)
        np.testing.assert_allclose(list(found.values()), list(whole.values()), rtol=1e-12)


def test_chunks_carry_the_state_and_cut_the_gradient(backend):
    x, y = data(backend, 2)
    model, twin, rule = recurrent(backend), recurrent(backend), xr.SGD(0.1)
    model.fit(x, y, optimizer=rule, chunk=3, shuffle=False, epochs=2, verbose=False)
    for _ in range(2):
        state = None
        for steps in (slice(0, 3), slice(3, 5)):
            z, state, tape = twin.forward(x[:, steps, :], state)
            grads = twin.backward(tape, xr.mse(z, y[:, steps, :])[1])[2]
            twin.params, _ = rule.update(twin.params, grads, rule.init({}))
    same_params(model, twin, 1e-14)


def test_order_and_dropout_are_the_same_everywhere(backend):
    x, y = data(backend)
    model, twin = noisy(backend), noisy(NUMPY)
    options = {"epochs": 2, "batch_size": 2, "verbose": False, "optimizer": xr.SGD(0.1)}
    found = model.fit(x, y, **options)
    wanted = twin.fit(*data(), **options)
    np.testing.assert_allclose(found["loss"], wanted["loss"], rtol=1e-12)
    same_params(model, twin, 1e-12)
    again = noisy(backend)
    assert again.fit(x, y, **options).history == found.history
    same_params(model, again)


def test_shuffling():
    x, y = data()
    seen = []

    def loss(z, target, mask=None):
        seen.append(target[:, 0, 0].tolist())
        return xr.mse(z, target, mask)

    def orders(model, **options):
        seen.clear()
        model.fit(x, y, loss=loss, epochs=2, batch_size=3, verbose=False, **options)
        batches = seen[1:]  # the first is the try-out on one sample
        return [*itertools.chain(*batches[:3])], [*itertools.chain(*batches[3:])]

    plain = y[:, 0, 0].tolist()
    first, second = orders(recurrent(NUMPY))
    assert sorted(first) == sorted(second) == sorted(plain) and len({tuple(plain), tuple(first), tuple(second)}) == 3
    assert orders(recurrent(NUMPY)) == (first, second)
    other = xr.Model(recurrent(NUMPY).layer, NUMPY, seed=1, input_shape=(None, D))
    assert orders(other)[0] not in (plain, first)
    assert orders(recurrent(NUMPY), shuffle=False) == (plain, plain)


def test_a_sample_keeps_its_target_and_mask():
    """Shuffled with its own target and mask, a model that is right at the start stays right."""
    x, _ = data()
    model = recurrent(NUMPY)
    y = model(x, lengths=LENGTHS)
    y[np.arange(T)[None, :] >= np.asarray(LENGTHS)[:, None]] = 1e3
    history = model.fit(x, y, optimizer="sgd", epochs=3, batch_size=2, lengths=LENGTHS, verbose=False)
    assert max(history["loss"]) < 1e-20


@pytest.mark.parametrize("optimizer", [xr.SGD, xr.Adam, xr.AdamW, xr.RMSprop, xr.Adagrad])
def test_schedules_are_told_the_step(optimizer):
    x, y = data()
    steps = []

    def rate(step):
        steps.append(step)
        return 0.01

    model, twin = recurrent(NUMPY), recurrent(NUMPY)
    options = {"epochs": 2, "batch_size": 3, "chunk": 3, "verbose": False}
    model.fit(x, y, optimizer=optimizer(rate), **options)
    assert sorted(set(steps)) == list(range(12)) and steps == sorted(steps)
    twin.fit(x, y, optimizer=optimizer(0.01), **options)
    same_params(model, twin)
    other = recurrent(NUMPY)
    other.fit(x, y, optimizer=optimizer(schedules.Cosine(0.01, 12)), **options)
    assert any((named(other.params)[name] != leaf).any() for name, leaf in named(model.params).items())


def test_the_bar_goes_to_stderr(capsys):
    x, y = data()
    recurrent(NUMPY).fit(x, y, epochs=2)
    out, err = capsys.readouterr()
    assert out == "" and "epoch 2/2  loss" in err
    recurrent(NUMPY).fit(x, y, verbose=False)
    assert capsys.readouterr() == ("", "")


def test_a_small_lstm_learns_to_copy_the_previous_token(row):
    if row.library == "jax":
        pytest.skip("JAX without jit needs minutes for it")
    ids = np.random.default_rng(0).integers(0, 6, (64, 12))
    before = np.concatenate([np.zeros_like(ids[:, :1]), ids[:, :-1]], axis=1)
    model = xr.Model(xr.Sequential(xr.Embedding(6, 8), xr.LSTM(24), xr.Dense(6)), row.backend)
    x, y = row.put(ids), row.put(before)
    assert model.evaluate(x, y, loss="cross_entropy", metrics=["accuracy"])["accuracy"] < 0.4
    epochs = 3 if row.library == "array_api_strict" else 12
    history = model.fit(
        x, y, loss="cross_entropy", optimizer=xr.Adam(0.02), epochs=epochs, batch_size=16, clip=1.0,
        metrics=["accuracy"], verbose=False,
    )  # fmt: skip
    assert history["loss"] == sorted(history["loss"], reverse=True)
    assert history["accuracy"][-1] > (0.4 if epochs == 3 else 0.99)


def test_a_failure_in_the_middle_keeps_what_was_done(backend):
    x, y = data(backend)
    model, calls = recurrent(backend), []

    def loss(z, target, mask=None):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("the third update fails")
        return xr.mse(z, target, mask)

    with pytest.raises(RuntimeError, match="third update"):
        model.fit(x, y, loss=loss, batch_size=3, verbose=False)
    assert model.run.update == 2 and model.params is model.run.params
    twin = recurrent(backend)
    for _ in itertools.islice(twin.training(x, y, loss="mse", optimizer="adam", batch_size=3), 2):
        pass
    same_params(model, twin)


def test_tokens_are_trained_on_and_judged(backend):
    a = Arrays(backend)
    named = {"hits": "accuracy", "bits": xr.metrics.bits}
    model, y = tokens(backend), a.put(np.array([[0, 1, 2, 3, 4], [6, 5, 4, 3, 2]]))
    found = model.evaluate(a.ids, y, loss="cross_entropy", metrics=named, lengths=[5, 3])
    z = backend.to_numpy(model(a.ids, lengths=[5, 3]))
    real = np.array([[1] * 5, [1, 1, 1, 0, 0]], bool)
    logs = z - np.log(np.exp(z).sum(-1, keepdims=True))
    nats = -np.take_along_axis(logs, backend.to_numpy(y)[..., None], -1)[..., 0][real].mean()
    assert found.keys() == {"loss", "hits", "bits"}
    np.testing.assert_allclose([found["loss"], found["bits"]], [nats, nats / np.log(2)], rtol=1e-12)
    np.testing.assert_allclose(found["hits"], (z.argmax(-1) == backend.to_numpy(y))[real].mean(), rtol=1e-12)
    assert z.shape[-1] == V


def test_validation_takes_lengths_or_a_mask():
    (x, y), lengths = data(), LENGTHS
    mask = np.arange(T)[None, :] < np.asarray(lengths)[:, None]
    options = {"epochs": 2, "verbose": False}
    found = [
        recurrent(NUMPY).fit(x, y, validation=given, **options)["val_loss"]
        for given in ((x, y, lengths), (x, y, None, mask), (x, y))
    ]
    assert found[0] == found[1] and found[0] != found[2]
