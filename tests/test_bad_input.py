"""Bad input to a model: each mistake gets an error that says what was met and wanted, and the model stays as it was."""

import re

import numpy as np
import pytest
from shell import Arrays, B, D, H, T, V, both_ways, flat, recurrent, refused, tokens

import xprnn as xr

NAN = float("nan")

# What x, state, lengths or mask may not be -> (model, what is called, error, words of it).
CALLS = {
    "rank too low": (recurrent, lambda m, a: m(a(D)),
        ValueError, r"x has the shape \(3,\); the model takes \(B, T, 3\)"),
    "rank too high": (recurrent, lambda m, a: m(a(1, B, T, D)),
        ValueError, r"\(1, 2, 5, 3\); .*takes \(B, T, 3\), or \(T, 3\)"),
    "a width of 4": (recurrent, lambda m, a: m(a(B, T, 4)), ValueError, r"x has the shape \(2, 5, 4\); .*\(B, T, 3\)"),
    "no steps": (recurrent, lambda m, a: m(a(B, 0, D)), ValueError, r"\(2, 0, 3\), without a step; .*T ≥ 1"),
    "no step of a single sample": (recurrent, lambda m, a: m(a(0, D)), ValueError, r"\(0, 3\), without a step"),
    "no steps of tokens": (tokens, lambda m, a: m(a.put(np.zeros((B, 0), int))), ValueError, "without a step"),
    "integers": (recurrent, lambda m, a: m(a.put(np.ones((B, T, D), int))), xr.BackendError, "int64.*in float64"),
    "bools": (recurrent, lambda m, a: m(a.put(np.ones((B, T, D), bool))), xr.BackendError, "bool.*in float64"),
    "a list": (recurrent, lambda m, a: m([[[1.0, 2.0, 3.0]]]), xr.BackendError, r"`x` is a list.*backend.asarray\(x\)"),
    "None": (recurrent, lambda m, a: m(None), xr.BackendError, "`x` is a NoneType"),
    "a number": (recurrent, lambda m, a: m(1.0), xr.BackendError, "`x` is a float"),
    "floats for tokens": (tokens, lambda m, a: m(a(B, T)),
        TypeError, "x is of dtype .*float64; .*token ids, so integers"),
    "bools for tokens": (tokens, lambda m, a: m(a.put(np.ones((B, T), bool))), TypeError, "bool; .*token ids"),
    "one-hot for tokens": (tokens, lambda m, a: m(a.put(np.eye(V, dtype=int)[None])),
        ValueError, r"\(1, 7, 7\); .*\(B, T\)"),
    "a negative token": (tokens, lambda m, a: m(a.put([[1, -1]])), ValueError, r"id -1 at \(0, 1\).*0 to 6"),
    "a token out of range": (tokens, lambda m, a: m(a.put([[1, V]])), ValueError, r"id 7 at \(0, 1\).*vocab=7.*0 to 6"),
    "state: a list": (recurrent, lambda m, a: m(a.x, list(a.state())),
        ValueError, "state is a list; expected a tuple of 2"),
    "state: an array": (recurrent, lambda m, a: m(a.x, a(B, H)), ValueError, r"state is a .*; expected a tuple of 2"),
    "state: batch": (recurrent, lambda m, a: m(a.x, a.state(3)),
        ValueError, r"state\[0\]\[0\]\[0\] .*\(3, 4\); .*\(2, 4\)"),
    "state: one row": (recurrent, lambda m, a: m(a.x, a.state(1)), ValueError, r"\(1, 4\); expected \(2, 4\)"),
    "state: width": (recurrent, lambda m, a: m(a.x, a.state(B, 5)), ValueError, r"\(2, 5\); expected \(2, 4\)"),
    "state: layers": (recurrent, lambda m, a: m(a.x, a.state(layers=1)),
        ValueError, r"state\[0\] is a tuple of 1; .* of 2"),
    "state: of a GRU": (recurrent, lambda m, a: m(a.x, a.state(cell=1)),
        ValueError, r"state\[0\]\[0\] is a tuple of 1"),
    "state: no place for Dense": (recurrent, lambda m, a: m(a.x, a.state()[:1]),
        ValueError, r"a tuple of 1; expected a tuple of 2"),
    "state: for Dense": (recurrent, lambda m, a: m(a.x, (None, (a(B, 2),))),
        ValueError, r"state\[1\] is a tuple of 1; .*of 0"),
    "state: half None": (recurrent, lambda m, a: m(a.x, (((a(B, H), None), None), ())),
        xr.BackendError, r"state\[0\]\[0\]\[1\]` is a NoneType"),
    "state: float32": (recurrent, lambda m, a: m(a.x, (((a.put(np.ones((B, H)), "float32"),) * 2, None), ())),
        xr.BackendError, "float32"),
    "state: integers": (recurrent, lambda m, a: m(a.x, ((tuple(a.put(np.ones((B, H), int)) for _ in "hc"), None), ())),
        xr.BackendError, "int64"),
    "state: of a batch for one": (recurrent, lambda m, a: m(a.x[0, ...], a.state(1)),
        ValueError, r"\(1, 4\); expected \(4,\)"),
    "state: one way": (both_ways, lambda m, a: m(a.x, ((a(B, H),),)),
        ValueError, r"state\[0\] is a tuple of 1; expected a tuple of 2"),
    "lengths: float": (recurrent, lambda m, a: m(a.x, lengths=[2.0, 3.0]), TypeError, r"lengths\[0\] is 2.0"),
    "lengths: float array": (recurrent, lambda m, a: m(a.x, lengths=a.put([2.0, 3.0])), TypeError, "float64"),
    "lengths: bool": (recurrent, lambda m, a: m(a.x, lengths=[True, 3]), TypeError, r"lengths\[0\] is True"),
    "lengths: bool array": (recurrent, lambda m, a: m(a.x, lengths=a.put([True, True])), TypeError, "bool"),
    "lengths: negative": (recurrent, lambda m, a: m(a.x, lengths=[2, -1]), ValueError, r"lengths\[1\] is -1.*0 to 5"),
    "lengths: NaN": (recurrent, lambda m, a: m(a.x, lengths=[2, NAN]), TypeError, r"lengths\[1\] is nan"),
    "lengths: above T": (recurrent, lambda m, a: m(a.x, lengths=[2, 6]),
        ValueError, r"lengths\[1\] is 6; x has 5 steps"),
    "lengths: too few": (recurrent, lambda m, a: m(a.x, lengths=[2]), ValueError, "2 sequences in the batch, not 1"),
    "lengths: too many": (recurrent, lambda m, a: m(a.x, lengths=[2, 2, 2]),
        ValueError, "2 sequences in the batch, not 3"),
    "lengths: of a single sample": (recurrent, lambda m, a: m(a.x[0, ...], lengths=6),
        ValueError, r"lengths\[0\] is 6"),
    "lengths and mask": (recurrent, lambda m, a: m(a.x, lengths=[1, 2], mask=a.put(np.ones((B, T), bool))),
        ValueError, "not both"),
    "lengths without time": (flat, lambda m, a: m(a(B, D), lengths=[1, 2]),
        ValueError, r"\(2, 3\), without a time axis"),
    "mask: shape": (recurrent, lambda m, a: m(a.x, mask=a.put(np.ones((T, B), bool))),
        ValueError, r"mask is \(5, 2\).*wants \(2, 5\)"),
    "mask: of one row": (recurrent, lambda m, a: m(a.x, mask=a.put(np.ones((1, T), bool))),
        ValueError, r"mask is \(1, 5\).*\(2, 5\)"),
    "mask: integers": (recurrent, lambda m, a: m(a.x, mask=a.put(np.ones((B, T), int))), ValueError, "int64.*of bool"),
    "mask: floats": (recurrent, lambda m, a: m(a.x, mask=a(B, T)), ValueError, "float64.*of bool"),
    "mask: a list": (recurrent, lambda m, a: m(a.x, mask=[[True] * T] * B), xr.BackendError, "`mask` is a list"),
    "mask without time": (flat, lambda m, a: m(a(B, D), mask=a.put(np.ones((B, D), bool))),
        ValueError, "without a time axis"),
    "key: a number": (recurrent, lambda m, a: m.forward(a.x, key=3),
        TypeError, r"key is an xprnn.Key, such as Key\(0\), not 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", CALLS)
def test_what_a_call_refuses(backend, case):
    make, call, error, words = CALLS[case]
    model, arrays = make(backend), Arrays(backend)
    refused(model, lambda: call(model, arrays), error, words)


@pytest.mark.parametrize("case", ["no steps", "integers", "lengths: NaN", "mask: shape", "state: batch"])
def test_a_model_is_not_built_by_what_it_refuses(backend, case):
    _, call, error, words = CALLS[case]
    model = xr.Model(xr.Sequential(xr.LSTM(H, num_layers=2), xr.Dense(2)), backend)
    refused(model, lambda: call(model, Arrays(backend)), error, words)
    assert model.params is None


def test_complex_numbers(backend):
    model, z = recurrent(backend), np.ones((B, T, D), complex)
    z = z if backend.name == "numpy" else backend.xp.asarray(z.tolist(), device=backend.asarray([1.0]).device)
    refused(model, lambda: model(z), xr.BackendError, "complex.*the two parts as two features")


@pytest.mark.parametrize(("mine", "given"), [("float32", "float64"), ("float64", "float32")])
def test_another_precision_is_not_cast(backend, mine, given):
    model = recurrent(xr.backend(backend, mine))
    x = backend.asarray(np.ones((B, T, D)), given)
    refused(model, lambda: model(x), xr.BackendError, f"`x` is of dtype .*{given}, the model is .* in {mine}")
    refused(model, lambda: model.fit(x, x, verbose=False), xr.BackendError, given)


PLACES = {
    "x": lambda m, a, b: m(b.x),
    "x of predict": lambda m, a, b: m.predict(b.x),
    "state": lambda m, a, b: m(a.x, b.state()),
    "mask": lambda m, a, b: m(a.x, mask=b.put(np.ones((B, T), bool))),
    "mask of one": lambda m, a, b: m(a.x[0, ...], mask=b.put(np.ones(T, bool))),
    "dy": lambda m, a, b: m.backward(m.forward(a.x)[2], b.y),
    "dstate": lambda m, a, b: m.backward(m.forward(a.x)[2], a.y, b.state()),
    "y of fit": lambda m, a, b: m.fit(a.x, b.y, verbose=False),
    "x of fit": lambda m, a, b: m.fit(b.x, a.y, verbose=False),
    "y of evaluate": lambda m, a, b: m.evaluate(a.x, b.y),
    "validation": lambda m, a, b: m.fit(a.x, a.y, validation=(a.x, b.y), verbose=False),
    "x_t": lambda m, a, b: m.stream()(b(B, D)),
    "state of a stream": lambda m, a, b: m.stream(b.state())(a(B, D)),
}


@pytest.mark.parametrize("place", PLACES)
def test_backends_are_not_mixed(backend, place):
    model, own = recurrent(backend), Arrays(backend)
    other = Arrays(xr.backend("array_api_strict" if backend.name == "numpy" else "numpy", "float64"))
    words = f"the model is {re.escape(str(backend))}: use backend.asarray"
    refused(model, lambda: PLACES[place](model, own, other), xr.BackendError, words)


@pytest.mark.parametrize("place", PLACES)
def test_devices_are_not_mixed(place):
    pytest.importorskip("array_api_strict")
    here, there = (xr.backend(f"array_api_strict:{device}", "float64") for device in ("device1", "CPU_DEVICE"))
    model = recurrent(here)
    words = r"`.*` is on CPU_DEVICE, the model is .*device1: use backend.asarray"
    refused(model, lambda: PLACES[place](model, Arrays(here), Arrays(there)), xr.BackendError, words)


def test_padding_may_hold_any_token(backend):
    model, a = tokens(backend), Arrays(backend)
    x, y = [[1, 2, -5], [3, V, 99]], [[2, 1, -1], [1, 1000, -7]]
    clean, padded = (a.put([[1, 2, 0], [3, 0, 0]]), a.put([[2, 1, 0], [1, 0, 0]])), (a.put(x), a.put(y))
    results = [model.evaluate(*data, loss="cross_entropy", lengths=[2, 1]) for data in (clean, padded)]
    assert results[0] == results[1]
    refused(model, lambda: model.evaluate(a.put(x), a.put(y), loss="cross_entropy", lengths=[2, 2]),
        ValueError, "id 7 at")
    refused(model, lambda: model(a.put(x), lengths=[3, 1]), ValueError, r"id -5 at \(0, 2\)")


# What backward refuses.
BACKWARD = {
    "no gradient": (lambda m, t, a: m.backward(t, None), ValueError, "give dy, dstate or both"),
    "dy: batch": (lambda m, t, a: m.backward(t, a(1, T, 2)),
        ValueError, r"dy has the shape \(1, 5, 2\); expected \(2, 5, 2\)"),
    "dy: one step": (lambda m, t, a: m.backward(t, a(B, 1, 2)), ValueError, r"\(2, 1, 2\); expected \(2, 5, 2\)"),
    "dy: a number": (lambda m, t, a: m.backward(t, a()), ValueError, r"dy has the shape \(\); expected"),
    "dy: integers": (lambda m, t, a: m.backward(t, a.put(np.ones((B, T, 2), int))),
        xr.BackendError, "`dy` is of dtype .*int64"),
    "dstate: batch": (lambda m, t, a: m.backward(t, a.y, a.state(1)),
        ValueError, r"dstate\[0\]\[0\]\[0\] .*\(1, 4\); expected \(2, 4\)"),
    "dstate: layers": (lambda m, t, a: m.backward(t, a.y, a.state(layers=3)),
        ValueError, r"dstate\[0\] is a tuple of 3"),
    "no tape": (lambda m, t, a: m.backward(None, a.y), TypeError, "the third of what forward gave, not a NoneType"),
}  # fmt: skip


@pytest.mark.parametrize("case", BACKWARD)
def test_what_backward_refuses(backend, case):
    call, error, words = BACKWARD[case]
    model, arrays = recurrent(backend), Arrays(backend)
    tape = model.forward(arrays.x)[2]
    refused(model, lambda: call(model, tape, arrays), error, words)


def test_streams_refuse(backend):
    a = Arrays(backend)
    backwards, pooled = xr.Model(xr.GRU(H, reverse=True), backend), xr.Model(xr.Pooling("mean"), backend)
    for model in (both_ways(backend), backwards, pooled):
        refused(model, model.stream, ValueError, "needs the whole sequence before its first output")
    refused(flat(backend), flat(backend).stream, ValueError, "not a model of sequences")
    model = recurrent(backend)
    stream = model.stream()
    stream(a(B, D))
    kept = stream.state
    refused(model, lambda: stream(a(3, D)),
        ValueError, r"state\[0\]\[0\]\[0\] has the shape \(2, 4\); expected \(3, 4\)")
    refused(model, lambda: stream(a(D)), ValueError, r"\(2, 4\); expected \(4,\)")
    refused(model, lambda: stream(a(B, 4)), ValueError, r"x has the shape \(2, 1, 4\).*\(B, T, 3\)")
    refused(model, lambda: stream(a(B, T, D)),
        ValueError, r"a step has the shape \(2, 5, 3\); expected \(B, D\) or \(D,\)")
    refused(model, lambda: stream(a()), ValueError, r"a step has the shape \(\)")
    assert stream.state is kept
    ids = tokens(backend).stream()
    with pytest.raises(ValueError, match="id 7"):
        ids(a.put([1, V]))
    with pytest.raises(TypeError, match="token ids"):
        ids(a(B))
    assert ids.state is None


def test_models_refuse(backend):
    with pytest.raises(TypeError, match=r"made of a layer, .*not of \[LSTM"):
        xr.Model([xr.LSTM(3)], backend)
    with pytest.raises(TypeError, match="made of a layer"):
        xr.Model(xr.LSTM, backend)
    with pytest.raises(ValueError, match=r"\(time, features\), not \(3,\)"):
        xr.Model(xr.LSTM(3), backend, input_shape=(3,))
    with pytest.raises(ValueError, match=r"\(time, features\), not \(None,\)"):
        xr.Model(xr.LSTM(3), backend, input_shape=(None,))
    with pytest.raises(TypeError, match=r"a seed must be an integer, not 1\.5"):
        xr.Model(xr.LSTM(3), backend, seed=1.5)
    model = xr.Model(xr.LSTM(3), backend)
    for call in (model.summary, model.count_params, lambda: model.save("nowhere.safetensors")):
        refused(model, call, ValueError, "no parameters before it has seen data: give input_shape=")


def test_a_backend_that_is_not_there():
    name = next((s.name for s in xr.available() if not s.usable), None)
    if name is None:
        pytest.skip("every backend is here")
    with pytest.raises(xr.BackendError, match=rf"backend '{name}' cannot be used.*\nTo fix it: "):
        xr.Model(xr.LSTM(3), name)
    model = recurrent("numpy")
    refused(model, lambda: model.to(name), xr.BackendError, "cannot be used")
    with pytest.raises(xr.BackendError, match=r"there is no backend 'nunpy'\nTo fix it: choose one of numpy, cupy"):
        xr.Model(xr.LSTM(3), "nunpy")


LAYERS = {
    "units: 0": (lambda: xr.LSTM(0), ValueError, "hidden=0"),
    "units: float": (lambda: xr.GRU(4.0), ValueError, "hidden=4.0"),
    "units: text": (lambda: xr.RNN("4"), ValueError, "hidden='4'"),
    "units: True": (lambda: xr.LSTM(True), ValueError, "hidden=True"),
    "units: a list": (lambda: xr.LSTM([4, 3]), ValueError, r"a number or a tuple of numbers, not hidden=\[4, 3\]"),
    "layers: 0": (lambda: xr.LSTM(4, num_layers=0), ValueError, "num_layers=0"),
    "layers: float": (lambda: xr.LSTM(4, num_layers=2.0), ValueError, "num_layers=2.0"),
    "layers: others": (lambda: xr.LSTM((4, 3), num_layers=3), ValueError, "gives 2 layers, num_layers=3"),
    "segment: float": (lambda: xr.LSTM(4, segment=1.5), ValueError, "segment is a number of steps, 1 or more, not 1.5"),
    "dropout: 1": (lambda: xr.LSTM(4, dropout=1), ValueError, "dropout must be a number from 0 to below 1"),
    "dropout: NaN": (
        lambda: xr.LSTM(4, recurrent_dropout=NAN), ValueError,
        "recurrent_dropout must be a number from 0 to below 1",
    ),
    "merge": (lambda: xr.LSTM(4, bidirectional=True, merge="add"),
        ValueError, "merge is one of concat, sum, mean, mul"),
    "no cell": (lambda: xr.Recurrent((xr.LSTM(3),)), TypeError, "made of cells, .*not of LSTM"),
    "backward cells alone": (
        lambda: xr.Recurrent(xr.cells.RNN(3), xr.cells.LSTM(3)), ValueError, "they want bidirectional=True"
    ),
    "backward cells: too many": (
        lambda: xr.Recurrent(xr.cells.RNN(3), (xr.cells.RNN(3),) * 2, bidirectional=True),
            ValueError, "1 cells want as many backward_cells, not 2",
    ),
    "no cells": (lambda: xr.Recurrent(()), ValueError, "one or more cells"),
    "a list of layers": (
        lambda: xr.Sequential([xr.LSTM(3)]), TypeError,
        "Sequential takes layers, one after the other, not",
    ),
    "a class": (lambda: xr.Sequential(xr.LSTM), TypeError, "Sequential takes layers, one after the other, not"),
    "names: too few": (lambda: xr.Sequential(xr.Dense(2), names=()), ValueError, "1 layers want as many names"),
    "names: dot": (lambda: xr.Sequential(xr.Dense(2), names=("a.b",)), ValueError, "string without dots, not 'a.b'"),
    "names: one for two": (
        lambda: xr.Sequential(xr.Dense(2), xr.Dense(2, "tanh"), names=("a", "a")),
            ValueError, "two different layers are named 'a'",
    ),
    "masking above": (lambda: xr.Sequential(xr.Dropout(0.1), xr.Masking()), ValueError, "stands first, not at 1"),
    "masking above, inside": (
        lambda: xr.Sequential(xr.Dense(2), xr.Sequential(xr.Masking(), xr.RNN(2))),
            ValueError, "stands first, not at 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LAYERS)
def test_layers_refuse(case):
    make, error, words = LAYERS[case]
    with pytest.raises(error, match=words):
        make()
