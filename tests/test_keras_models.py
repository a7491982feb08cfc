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

os.environ.setdefault("KERAS_BACKEND", "torch")
torch = pytest.importorskip("torch", reason="Keras computes with PyTorch here, which is not installed")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    keras_dtypes = importlib.import_module("keras.src.backend.common.dtypes")

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
