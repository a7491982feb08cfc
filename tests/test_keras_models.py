"""Random models of Keras's against the models made of them: outputs, states, and gradients by everything there is."""

import importlib
import os
import warnings

import keras_cases
import numpy as np
import pytest
from shell import identical

import xprnn as xr
from xprnn.io.keras import from_model, load, save, to_model
from xprnn.io.store import FileError

os.environ.setdefault("KERAS_BACKEND", "torch")
torch = pytest.importorskip("torch", reason="Keras computes with PyTorch here, which is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    keras_dtypes = importlib.import_module("keras.src.backend.common.dtypes")
    keras_saving = importlib.import_module("keras.src.saving.serialization_lib")

pytestmark = pytest.mark.filterwarnings("ignore")
MODELS, CHUNK = 200, 20
STATES = 60


@pytest.fixture(params=["float32", "float64"])
def dtype(request, monkeypatch):
    """The precision that both compute in."""
    # Without TensorFlow, Keras rounds products of float64 to float32; this is its table of what is rounded to what.
    monkeypatch.setitem(keras_dtypes.BIT64_TO_BIT32_DTYPE, "float64", "float64")
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True)
def distinct(monkeypatch):
    """Keep what Keras serializes, so that no two objects have one id.

    While it reads a file, a Bidirectional serializes layers that it then drops, and Keras knows them by ``id``: an
    object made later at the same address was now and then taken for one of these, an LSTM for a LeakyReLU.
    """
    kept, record = [], keras_saving.record_object_after_serialization
    monkeypatch.setattr(
        keras_saving, "record_object_after_serialization", lambda it, config: (kept.append(it), record(it, config))
    )


def tolerance(model, dtype):
    """Of float64, PyTorch's hard sigmoid has a slope of 1/6 in float32."""
    if dtype == "float32":
        return 1e-5
    return 1e-6 if "hard_sigmoid" in str(model.layer) else 1e-10


def close(found, wanted, tolerance, what):
    """Raise unless the two are equal but for ``tolerance``, of the largest number or of 1."""
    assert found.shape == wanted.shape, what
    scale = 1.0 + np.max(np.abs(wanted), initial=0.0)
    np.testing.assert_allclose(found / scale, wanted / scale, rtol=0, atol=tolerance, err_msg=str(what))


def compare(case, dtype, seed):
    """Outputs and gradients, those of padding apart."""
    model = from_model(case.model)
    ids = case.x.dtype.kind == "i"
    x = case.x if ids else case.x.astype(dtype)
    limit, told = tolerance(model, dtype), {"mask": case.mask} if case.told else {}
    y, _, tape = model.forward(x, **told)
    inputs = torch.tensor(x, requires_grad=not ids)
    wanted = case.model(inputs, **{name: torch.tensor(mask) for name, mask in told.items()})
    assert y.dtype == wanted.detach().numpy().dtype == dtype
    close(case.real(y), case.real(wanted.detach().numpy()), limit, "y")
    dy = np.random.default_rng(seed).normal(size=y.shape).astype(dtype)
    if case.mask is not None and y.ndim == 3:
        dy[~case.mask] = 0.0
    dx, _, grads = model.backward(tape, dy)
    found = keras_cases.gradients_of_ours(case.model, grads)
    loss = torch.sum(torch.tensor(dy) * torch.where(torch.tensor(dy != 0.0), wanted, 0.0))
    theirs, others = keras_cases.gradients_of_theirs(case.model, list(found), loss, () if ids else (inputs,))
    for key, gradient in found.items():
        close(gradient, theirs[key], limit, key)
    if not ids:
        close(dx, others[0], limit, "dx")
    return model, x, told, wanted.detach().numpy()


@pytest.mark.parametrize("first", range(0, MODELS, CHUNK))
def test_outputs_and_gradients_are_keras(first, dtype, tmp_path):
    for seed in range(first, first + CHUNK):
        if seed // 2 % 2 == (dtype == "float32"):
            continue  # in the other precision; of each pair, one goes through files
        case = keras_cases.Maker(keras, seed).case()
        model, x, told, wanted = compare(case, dtype, seed)
        if seed % 2:
            continue
        case.model.save(tmp_path / "theirs.keras")
        read = load(tmp_path / "theirs.keras")
        assert (read.layer, read.layer.names, read.input_shape) == (model.layer, model.layer.names, model.input_shape)
        identical(read.params, model.params)
        save(model, tmp_path / "ours.keras")
        written = keras.saving.load_model(tmp_path / "ours.keras")
        again = written(torch.tensor(x), **{name: torch.tensor(mask) for name, mask in told.items()}).detach().numpy()
        close(case.real(again), case.real(wanted), tolerance(model, dtype), "written")
        read = load(tmp_path / "ours.keras")
        assert list(map(np.array_equal, xr.tree.leaves(read.params), xr.tree.leaves(model.params))) == [True] * len(
            xr.tree.leaves(model.params)
        )
        case.model.set_weights([np.zeros_like(w) for w in case.model.get_weights()])
        to_model(model, case.model)
        identical(from_model(case.model).params, model.params)


def filled(sizes, arrays):
    """A state of the structure of ``sizes`` with these arrays as its leaves."""
    left = iter(arrays)
    return xr.tree.map(lambda n: next(left), sizes)


@pytest.mark.parametrize("first", range(0, STATES, CHUNK))
def test_states_are_keras(first, dtype):
    for seed in range(first, first + CHUNK):
        case, begin = keras_cases.Maker(keras, 1000 + seed).single()
        model = from_model(case.model)
        limit, sizes, rng = tolerance(model, dtype), model.layer.state_sizes, np.random.default_rng(seed)
        x, begin = case.x.astype(dtype), [s.astype(dtype) for s in begin]
        y, end, tape = model.forward(x, filled(sizes, begin), mask=case.mask)
        leaves = [torch.tensor(s, requires_grad=True) for s in begin]
        wanted, last = keras_cases.run(case.model.layers[0], torch.tensor(x), leaves, case.mask)
        close(case.real(y), case.real(wanted.detach().numpy()), limit, seed)
        for found, theirs in zip(xr.tree.leaves(end), last, strict=True):
            close(found, theirs.detach().numpy(), limit, seed)
        dy, *dend = (rng.normal(size=a.shape).astype(dtype) for a in (y, *begin))
        if case.mask is not None and y.ndim == 3:
            dy[~case.mask] = 0.0
        _, dbegin, grads = model.backward(tape, dy, filled(sizes, dend))
        loss = sum(torch.sum(torch.tensor(d) * a) for d, a in zip([dy, *dend], [wanted, *last], strict=True))
        found = keras_cases.gradients_of_ours(case.model, grads)
        theirs, others = keras_cases.gradients_of_theirs(case.model, list(found), loss, leaves)
        for key, gradient in found.items():
            close(gradient, theirs[key], limit, key)
        for gradient, other in zip(xr.tree.leaves(dbegin), others, strict=True):
            close(gradient, other, limit, seed)


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_a_stateful_layer_goes_on_with_the_state_that_forward_gave(kind, dtype):
    rng = np.random.default_rng(5)
    layers = [getattr(keras.layers, kind)(3, stateful=True, return_sequences=sequences) for sequences in (True, False)]
    theirs = keras.Sequential([keras.Input(batch_shape=(2, None, 2)), *layers])
    model, state = from_model(theirs), None
    for steps in (4, 1, 3):
        x = rng.normal(size=(2, steps, 2)).astype(dtype)
        y, state, _ = model.forward(x, state)
        close(y, theirs(x).detach().numpy(), tolerance(model, dtype), steps)


def test_without_tensorflow_keras_rounds_some_products_of_float64():
    """LSTM and a GRU with reset_after, where no step is masked, do not pass through what rounds; SimpleRNN does."""
    rng, errors = np.random.default_rng(6), {}
    for kind in ("LSTM", "GRU", "SimpleRNN"):
        theirs = keras.Sequential(
            [keras.Input((5, 3), dtype="float64"), getattr(keras.layers, kind)(4, dtype="float64")]
        )
        x = rng.normal(size=(3, 5, 3))
        errors[kind] = np.max(np.abs(from_model(theirs)(x) - theirs(x).detach().numpy()))
    assert errors["LSTM"] < 1e-14 and errors["GRU"] < 1e-14 and 1e-10 < errors["SimpleRNN"] < 1e-6


class Mine(keras.layers.Dense):
    """A layer of the caller's own."""


class Own(keras.Sequential):
    """A model of the caller's own."""


@keras.saving.register_keras_serializable("mine")
def bent(x):
    return x


def functional(describe):
    entry = keras.Input((4, 3))
    return keras.Model(entry, describe(keras.layers, entry))


def chained(*layers, shape=(4, 3)):
    return keras.Sequential([keras.Input(shape), *layers])


def twice(L, x):
    layer = L.Dense(3)
    return layer(layer(x))


LAYERS = keras.layers
# Words -> the model that is refused with them.
REFUSED = {
    "it has a Lambda": lambda: chained(LAYERS.Lambda(lambda x: x)),
    "no activation in code": lambda: chained(LAYERS.Dense(2, activation=lambda x: x)),
    "custom object 'Mine'": lambda: chained(Mine(2)),
    "custom object 'bent'|custom object 'mine>bent'": lambda: chained(LAYERS.Dense(2, activation=bent)),
    "there is no Conv1D here": lambda: chained(LAYERS.Conv1D(2, 1)),
    "there is no Flatten here": lambda: chained(LAYERS.Flatten(), LAYERS.Dense(2)),
    "there is no RNN here": lambda: chained(LAYERS.RNN(LAYERS.GRUCell(2))),
    "there is no Sequential here": lambda: chained(chained(LAYERS.Dense(2))),
    "activation='mish'": lambda: chained(LAYERS.LSTM(2, "mish")),
    "no activation 'softmax'": lambda: chained(LAYERS.GRU(2, "softmax")),
    "no ReLU with a max_value": lambda: chained(LAYERS.ReLU(6.0)),
    "return_state=True": lambda: functional(lambda L, x: L.GRU(2, return_state=True)(x)[0]),
    "merge_mode=None": lambda: functional(lambda L, x: L.Bidirectional(L.GRU(2), merge_mode=None)(x)[0]),
    "go_backwards=True": lambda: chained(LAYERS.Bidirectional(
        LAYERS.GRU(2, go_backwards=True), backward_layer=LAYERS.GRU(2))),
    r"axis=\[1\]": lambda: chained(LAYERS.LayerNormalization(axis=1)),
    "it is no chain": lambda: functional(lambda L, x: L.Add()([L.Dense(2)(x), L.Dense(2)(x)])),
    "is used 2 times": lambda: functional(twice),
    "'get_item' takes": lambda: functional(lambda L, x: L.GRU(3)(x, initial_state=x[:, 0])),
    "float16": lambda: chained(LAYERS.Dense(2, dtype="mixed_float16")),
    "float32, float64": lambda: chained(LAYERS.Dense(2, dtype="float64"), LAYERS.Dense(2)),
    "has not been built": lambda: keras.Sequential([LAYERS.Dense(2)]),
    "takes padding into the maximum": lambda: chained(LAYERS.Masking(), LAYERS.GlobalMaxPooling1D()),
    "masks the wrong end": lambda: chained(LAYERS.Masking(), LAYERS.GRU(2, go_backwards=True, return_sequences=True)),
    "for one of features": lambda: chained(LAYERS.Masking(), LAYERS.Softmax()),
    "stands first, not at 1": lambda: chained(LAYERS.Dropout(0.1), LAYERS.Masking()),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_refused_by_name(words, tmp_path):
    model = REFUSED[words]()
    with pytest.raises(ValueError, match=words):
        from_model(model)
    if words == "has not been built":
        return
    try:
        model.save(tmp_path / "m.keras")
    except Exception:  # not all of them Keras can write
        return
    with pytest.raises(FileError, match=words):
        load(tmp_path / "m.keras")


def test_what_is_no_model_of_keras():
    for wrong in (Own([keras.Input((3,)), LAYERS.Dense(2)]), LAYERS.Dense(2), xr.Dense(2), "m.keras", None):
        with pytest.raises(TypeError, match="wanted is a Sequential or Functional model of Keras's own"):
            from_model(wrong)


def test_weights_go_back_only_into_the_same_layers():
    def lstm(sequences=True, **options):
        return LAYERS.LSTM(2, return_sequences=sequences, **options)

    ours = from_model(chained(lstm(), LAYERS.Dense(2)))
    for words, layers, shape in (
        ("'dense.*' is Dense.*'units': 2|is Dense.units=2", [lstm(), LAYERS.Dense(3)], (4, 3)),
        ("is LSTM.*return_sequences=True", [lstm(False), LAYERS.Dense(2)], (4, 3)),
        ("2 layers of Keras's, Keras's model 3", [lstm(), LAYERS.Dense(2), LAYERS.Dense(1)], (4, 3)),
        ("takes inputs of another width", [lstm(), LAYERS.Dense(2)], (4, 5)),
        ("in float32, Keras's in float64", [lstm(dtype="float64"), LAYERS.Dense(2, dtype="float64")], (4, 3)),
    ):
        theirs = chained(*layers, shape=shape)
        before = theirs.get_weights()
        with pytest.raises(ValueError, match=words):
            to_model(ours, theirs)
        assert all(map(np.array_equal, before, theirs.get_weights()))


def test_layers_of_ours_that_are_more_of_keras():
    """Stacked, with two biases: Keras has them one behind the other, with the sum."""
    ours = xr.Model(xr.Sequential(xr.LSTM(3, 2, double_bias=True), xr.Dense(2, "tanh")), input_shape=(None, 3))
    rng = np.random.default_rng(0)
    ours.params = xr.tree.map(lambda a: rng.normal(size=a.shape).astype(a.dtype), ours.params)
    theirs = chained(*(LAYERS.LSTM(3, return_sequences=True) for _ in range(2)), LAYERS.Dense(2, "tanh"))
    to_model(ours, theirs)
    x = rng.normal(size=(2, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(theirs(x).detach().numpy(), ours(x), rtol=1e-5, atol=1e-6)
    bias = ours.params["lstm"]["1"]
    np.testing.assert_array_equal(theirs.layers[1].get_weights()[2], bias["bx"] + bias["bh"])


def test_what_only_training_needs_is_left_behind(tmp_path):
    """A file of a trained model has its optimizer, and may name a loss that only its maker knows."""

    def mine(y, target):
        return keras.ops.mean(keras.ops.square(y - target))

    theirs = chained(LAYERS.GRU(2, kernel_regularizer="l2", bias_constraint="non_neg"), LAYERS.Dense(1))
    theirs.layers[0].trainable = False
    theirs.compile("adam", mine)
    x = np.random.default_rng(0).normal(size=(8, 4, 3)).astype(np.float32)
    theirs.fit(x, x[:, 0, :1], verbose=0)
    theirs.save(tmp_path / "m.keras")
    for model in (from_model(theirs), load(tmp_path / "m.keras")):
        np.testing.assert_allclose(model(x), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
