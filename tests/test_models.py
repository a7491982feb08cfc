"""The Keras-shaped Sequential: what it computes, what it makes of data, how it trains, what it refuses."""

import numpy as np
import pytest

import xprnn as xr
from xprnn.callbacks import EarlyStopping
from xprnn.layers import LSTM, Activation, Dense, Embedding, Input, SimpleRNN, TimeDistributed
from xprnn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from xprnn.models import Sequential, load_model
from xprnn.optimizers import SGD, Adam

X = np.asarray([[[1.0], [2.0], [3.0]], [[0.0], [-1.0], [0.5]]])


def small(**options):
    model = Sequential(**options)
    model.add(SimpleRNN(10, input_shape=(3, 1)))
    model.add(Dense(1))
    return model


def classifier(end="softmax", units=3, seed=0):
    return Sequential([Input((4, 2)), LSTM(5), Dense(units, activation=end)], dtype="float64", seed=seed)


def samples(count=12, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 4, 2)), rng.integers(0, 3, count)


def weights(model):
    return {name: np.array(a) for name, a in xr.tree.flatten(model.model.params).items()}


def test_summary_prints_how_the_count_comes_about(capsys):
    model = small()
    assert model.count_params() == 131
    assert model.summary() is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'Model: "sequential"'
    assert lines[3].split()[-6:] == ["120", "1×10", "+", "10×10", "+", "10"]
    assert lines[4].split()[-4:] == ["11", "10×1", "+", "1"]
    assert lines[-1] == "total parameters: 131"


def test_numbers_written_down():
    model = Sequential([SimpleRNN(2, input_shape=(3, 1)), Dense(1)], dtype="float64")
    recurrent = {"Wx": [[0.5, -1.0]], "Wh": [[0.1, 0.2], [0.3, -0.4]], "b": [0.0, 0.1]}
    params = {"rnn": {"0": recurrent}, "dense": {"W": [[2.0], [-1.0]], "b": [0.25]}}
    model.model.params = xr.to_device(params, model.model.backend)
    # From Keras 3.15 with the same weights, in float64.
    np.testing.assert_allclose(model.predict(X), [[2.9547782182842828], [1.7455347132954664]], rtol=1e-13)


@pytest.mark.parametrize("sequences", [False, True])
def test_simple_rnn_is_the_loop(sequences):
    rng = np.random.default_rng(0)
    model = Sequential([SimpleRNN(100, return_sequences=sequences, input_shape=(250, 32))], dtype="float64")
    x, p = rng.normal(size=(250, 32)), model.model.params["rnn"]["0"]
    h, steps = np.zeros(100), []
    for x_t in x:
        h = np.tanh(x_t @ p["Wx"] + h @ p["Wh"] + p["b"])
        steps.append(h)
    y = model.predict(x[None])[0]
    assert y.shape == ((250, 100) if sequences else (100,))
    np.testing.assert_allclose(y, np.stack(steps) if sequences else h, atol=1e-12)


def test_a_hundred_steps_of_32_features_become_64():
    model = Sequential([LSTM(64, return_sequences=True, input_shape=(None, 32))], dtype="float64")
    x, p = np.random.default_rng(0).normal(size=(100, 32)), model.model.params["lstm"]["0"]
    h, c, steps = np.zeros(64), np.zeros(64), []
    for x_t in x:
        i, f, g, o = np.split(x_t @ p["Wx"] + h @ p["Wh"] + p["b"], 4)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        steps.append(h)
    assert model.count_params() == 4 * 64 * (32 + 64 + 1)
    y = model.predict(x[None])
    assert y.shape == (1, 100, 64)
    np.testing.assert_allclose(y[0], np.stack(steps), atol=1e-12)


def test_every_backend_takes_numpy_and_gives_numpy(backend):
    y, losses = np.asarray([6, 0]), []
    for place in (backend, xr.backend("numpy", "float64")):
        model = small(backend=place, seed=3)
        model.compile(optimizer="adam", loss="mse", metrics=["mae"])
        losses.append(model.fit(X.astype(np.float32), y, epochs=3, verbose=0).history["loss"])
        found = model.predict(X.tolist())
        assert type(found) is np.ndarray
        assert found.dtype == np.float64
        losses.append(found.ravel().tolist())
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-10)
    np.testing.assert_allclose(losses[1], losses[3], rtol=1e-10)
    assert losses[0][-1] < losses[0][0]


def test_whole_numbers_are_features_or_tokens():
    model = small(dtype="float64")
    whole = np.asarray([[[1], [2], [3]]])
    np.testing.assert_array_equal(model.predict(whole), model.predict(whole.astype(float)))
    assert small().predict(whole).dtype == np.float32
    tokens = Sequential([Embedding(5, 2), SimpleRNN(3)])
    assert tokens.predict([[1, 4, 0]]).shape == (1, 3)
    with pytest.raises(TypeError, match="integer"):
        tokens.predict([[1.0, 4.0]])
    with pytest.raises(ValueError, match="id 5"):
        tokens.predict([[1, 5]])
    for wrong in (whole * 1j, [["a"]], None):
        with pytest.raises(TypeError, match="real numbers"):
            model.predict(wrong)
    with pytest.raises(ValueError, match=r"\(B, 3, 1\)"):
        model.predict(np.zeros((2, 4, 1)))


def test_the_first_data_give_the_shape():
    lazy, told = Sequential([SimpleRNN(10), Dense(1)], seed=1), small(seed=1)
    with pytest.raises(ValueError, match="input_shape"):
        lazy.summary()
    np.testing.assert_array_equal(lazy.predict(X), told.predict(X))
    assert lazy.count_params() == 131


def test_fit_goes_on_where_it_was():
    x, classes = samples()
    once, twice = classifier(), classifier()
    for model in (once, twice):
        model.compile(Adam(0.05), "sparse_categorical_crossentropy")
    whole = once.fit(x, classes, batch_size=5, epochs=5, verbose=0)
    parts = [twice.fit(x, classes, batch_size=5, epochs=n, verbose=0).history["loss"] for n in (2, 3)]
    assert whole.history["loss"] == parts[0] + parts[1]
    np.testing.assert_array_equal(once.predict(x), twice.predict(x))
    before = twice.predict(x)
    twice.compile(Adam(0.05), "sparse_categorical_crossentropy")
    np.testing.assert_array_equal(twice.predict(x), before)
    assert twice.model.run is None


def test_validation():
    x, classes = samples(10)
    parted, told = classifier(), classifier()
    for model in (parted, told):
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    a = parted.fit(x, classes, epochs=2, validation_split=0.3, verbose=0).history
    b = told.fit(x[:7], classes[:7], epochs=2, validation_data=(x[7:], classes[7:]), verbose=0).history
    assert list(a) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert a == b
    loss, accuracy = parted.evaluate(x[7:], classes[7:], verbose=0)
    assert [loss, accuracy] == [a["val_loss"][-1], a["val_accuracy"][-1]]
    assert parted.evaluate(x[:7], classes[:7], return_dict=True)["accuracy"] == a["accuracy"][-1]
    hits = np.argmax(parted.predict(x[7:]), axis=-1) == classes[7:]
    assert accuracy == pytest.approx(np.mean(hits))


def test_early_stopping_with_keras_arguments():
    assert EarlyStopping("val_accuracy").mode == "max"
    assert EarlyStopping("val_loss", 0.5, 3) == xr.EarlyStopping("val_loss", 3, 0.5)
    x, classes = samples()
    model = classifier()
    model.compile(SGD(0.0), "sparse_categorical_crossentropy")
    stop = EarlyStopping(monitor="loss", patience=2, restore_best_weights=True)
    assert model.fit(x, classes, epochs=9, callbacks=[stop], verbose=0).epochs == 3
    with pytest.raises(TypeError, match="EarlyStopping"):
        model.fit(x, classes, callbacks=[print], verbose=0)


@pytest.mark.parametrize("end", [[Dense(3, "softmax")], [Dense(3), Activation("softmax")]])
def test_cross_entropy_is_of_the_logits(end):
    x, classes = samples()
    model = Sequential([Input((4, 2)), LSTM(5), *end], dtype="float64")
    model.compile("sgd", "categorical_crossentropy", metrics=["categorical_accuracy", "mae"])
    target = np.eye(3, dtype=int)[classes]
    p = model.predict(x)
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-12)
    found = model.evaluate(x, target, return_dict=True)
    assert found["loss"] == pytest.approx(-np.mean(np.log(p[np.arange(12), classes])), rel=1e-12)
    assert found["categorical_accuracy"] == pytest.approx(np.mean(np.argmax(p, axis=-1) == classes))
    assert found["mae"] == pytest.approx(np.mean(np.abs(p - target)))
    model.model.params["dense"]["W"] *= 1e6
    assert 1e3 < model.evaluate(x, target)[0] < np.inf


def test_a_last_layer_on_each_step_is_found():
    model = Sequential([Embedding(6, 4, mask_zero=True), SimpleRNN(4, return_sequences=True),
                        TimeDistributed(Dense(6, activation="softmax"))], dtype="float64")  # fmt: skip
    model.compile("sgd", SparseCategoricalCrossentropy())
    ids = np.asarray([[1, 2, 3], [4, 5, 0]])
    logs = np.log(np.take_along_axis(model.predict(ids), ids[..., None], axis=-1))[..., 0]
    assert model.evaluate(ids, ids) == pytest.approx(-np.mean(logs[ids > 0]), rel=1e-12)


def test_targets_get_the_last_axis_they_lack():
    model = small(dtype="float64")
    model.compile("sgd", MeanSquaredError())
    flat, column = model.evaluate(X, [1, 2]), model.evaluate(X, [[1.0], [2.0]])
    assert flat == column == pytest.approx(np.mean((model.predict(X)[:, 0] - [1, 2]) ** 2))
    with pytest.raises(ValueError, match="equal shapes"):
        model.evaluate(X, [[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ValueError, match="equally many samples"):
        model.evaluate(X, [1.0, 2.0, 3.0])
    many = classifier()
    many.compile("sgd", "sparse_categorical_crossentropy")
    x, classes = samples()
    assert many.evaluate(x, classes[:, None]) == many.evaluate(x, classes)
    with pytest.raises(TypeError, match="integers"):
        many.evaluate(x, classes * 1.0)
    with pytest.raises(ValueError, match="class 3"):
        many.evaluate(x, classes + 1)


REFUSED = {
    "probabilities of nothing": (None, "categorical_crossentropy", "ends in no activation"),
    "probabilities of sigmoid": ("sigmoid", "sparse_categorical_crossentropy", "from_logits=True"),
    "binary of softmax": ("softmax", BinaryCrossentropy(), "ends in softmax"),
    "logits of softmax": ("softmax", CategoricalCrossentropy(from_logits=True), "leave one"),
    "our own of softmax": ("softmax", "cross_entropy", "leave that out"),
    "no such loss": (None, "hinge", "hinge"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_losses_that_do_not_fit_the_end_are_refused(name):
    end, loss, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        classifier(end).compile("sgd", loss)


def test_objects_of_losses_serve_model_as_well():
    y, target = np.asarray([[0.5, -1.0, 4.0]]), np.asarray([[1.0, 0.0, 1.0]])
    assert xr.losses.get(Huber(2.0))(y, target)[0] == xr.huber(y, target, delta=2.0)[0]
    assert xr.losses.get(MeanAbsoluteError())(y, target)[0] == xr.mae(y, target)[0]
    smooth = xr.losses.get(CategoricalCrossentropy(from_logits=True, label_smoothing=0.1))
    assert smooth(y, target)[0] == xr.cross_entropy(y, target, label_smoothing=0.1)[0]
    with pytest.raises(ValueError, match="from_logits"):
        xr.losses.get(BinaryCrossentropy())


def test_add_and_pop_keep_what_is_learned():
    x, classes = samples()
    model = classifier()
    model.compile(SGD(0.5), "sparse_categorical_crossentropy")
    model.fit(x, classes, epochs=2, verbose=0)
    learned = weights(model)
    model.add(Dense(2))
    grown = weights(model)
    assert grown.keys() - learned.keys() == {"dense_1.W", "dense_1.b"}
    for name, value in learned.items():
        np.testing.assert_array_equal(grown[name], value)
    model.pop()
    model.pop()
    assert [type(layer) for layer in model.layers] == [xr.LSTM]
    np.testing.assert_array_equal(weights(model)["lstm.0.Wx"], learned["lstm.0.Wx"])


def test_save_and_load(tmp_path):
    model = Sequential([LSTM(3, input_shape=(3, 1), dropout=0.2, name="memory"), Dense(2, "softmax", name="end")])
    path = tmp_path / "model.safetensors"
    model.save(path)
    loaded = load_model(path)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.model.layer.names == ("sequence_dropout", "memory", "end")
    np.testing.assert_array_equal(xr.load(path).predict(X.astype("float32")), model.predict(X))
    loaded.compile("adam", "sparse_categorical_crossentropy")
    assert loaded.fit(X, [0, 1], epochs=2, verbose=0).epochs == 2
    with pytest.raises(ValueError, match=r"name it \.keras or \.safetensors"):
        model.save(tmp_path / "model.h5")
    xr.Model(xr.LSTM(3), input_shape=(None, 1)).save(path)
    with pytest.raises(ValueError, match=r"xprnn\.load"):
        load_model(path)


def test_what_sequential_refuses():
    with pytest.raises(TypeError, match="takes a layer"):
        Sequential().add("LSTM")
    with pytest.raises(ValueError, match="first layer alone"):
        Sequential([Input((3, 1)), LSTM(3, input_shape=(3, 1))])
    with pytest.raises(ValueError, match="no layers"):
        Sequential().summary()
    with pytest.raises(ValueError, match="no two layers"):
        Sequential([LSTM(3, name="a"), Dense(1, name="a")]).predict(X)
    with pytest.raises(ValueError, match="compile"):
        small().fit(X, [1, 2])
    model = small()
    with pytest.raises(TypeError, match="list"):
        model.compile("adam", "mse", metrics="mae")
    model.compile("adam", "mse")
    for wrong in ({"epochs": 0}, {"validation_split": 1.0}, {"validation_data": X}, {"batch_size": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            model.fit(X, [1, 2], verbose=0, **wrong)
