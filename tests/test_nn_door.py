"""The door of xprnn.nn: state_dicts, what is refused and with which words, arrays in odd memory, empty batches."""

import warnings

import numpy as np
import pytest

from xprnn import nn, tree
from xprnn.backend import BackendError
from xprnn.backend import backend as choose

X = np.random.default_rng(0).normal(size=(5, 2, 3))


def module(name="LSTM", *args, **options):
    return getattr(nn, name)(3, 4, *args, **({"dtype": "float64"} | options))


def test_state_dicts_are_copies():
    rnn = module()
    before = rnn(X)[0]
    kept = rnn.state_dict()
    for weight in kept.values():
        weight += 1
    np.testing.assert_array_equal(rnn(X)[0], before)
    rnn.load_state_dict(kept)
    changed = rnn(X)[0]
    assert np.all(changed != before)
    kept["bias_hh_l0"] += 1
    np.testing.assert_array_equal(rnn(X)[0], changed)


def test_a_state_dict_is_cast_and_may_come_from_any_library(backend):
    weights = module(seed=8).state_dict()
    rnn = module(dtype="float32")
    assert rnn.load_state_dict({name: backend.asarray(a) for name, a in weights.items()}) == ([], [])
    for name, weight in rnn.named_parameters():
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(weight, weights[name].astype(np.float32))


def test_a_state_dict_that_does_not_fit_changes_nothing():
    rnn, other = module(), module("GRU", 2, seed=1).state_dict()
    before = rnn.state_dict()
    del other["bias_hh_l0"]
    with pytest.raises(ValueError) as caught:
        rnn.load_state_dict(other)
    for words in (
        "LSTM(3, 4)",
        "missing: bias_hh_l0;",
        "unexpected: weight_ih_l1, weight_hh_l1, bias_ih_l1, bias_hh_l1;",
        "weight_ih_l0 has the shape (12, 3), not (16, 3)",
        "bias_ih_l0 has the shape (12,), not (16,)",
    ):
        assert words in str(caught.value)
    with pytest.raises(ValueError, match="weight_ih_l0 has the shape"):
        rnn.load_state_dict(other, strict=False)
    np.testing.assert_equal(rnn.state_dict(), before)


def test_a_state_dict_in_parts_says_what_it_left():
    rnn = module()
    kept = rnn.state_dict()
    loaded = rnn.load_state_dict({"bias_ih_l0": np.ones(16), "other": np.ones(3)}, strict=False)
    assert loaded.missing_keys == ["weight_ih_l0", "weight_hh_l0", "bias_hh_l0"]
    assert loaded.unexpected_keys == ["other"]
    np.testing.assert_equal(rnn.state_dict(), kept | {"bias_ih_l0": np.ones(16)})


@pytest.mark.parametrize(
    ("name", "args", "options", "error", "words"),
    [
        ("LSTM", (3, 4), {"proj_size": -1}, ValueError, "below hidden_size=4, not -1"),
        ("LSTM", (3, 4), {"proj_size": 4}, ValueError, "proj_size is 0, .* or below hidden_size=4, not 4"),
        ("LSTM", (3, 4), {"proj_size": 2.0}, TypeError, "proj_size is an integer, 0 for no projection, not 2.0"),
        ("LSTM", (3, 4, 1, True, False, 0.0, False, True), {}, TypeError, "not True"),
        ("GRU", (3, 4), {"device": "cuda"}, TypeError, "device='cuda'.*backend='cupy:0' or backend='torch:cuda:0'"),
        ("GRUCell", (3, 4), {"device": "cpu"}, TypeError, "device='cpu'"),
        ("RNN", (3, 4, 1, True), {}, ValueError, "nonlinearity is 'tanh' or 'relu', not True"),
        ("RNN", (3, 4, 1, "gelu"), {}, ValueError, "not 'gelu'"),
        ("RNNCell", (3, 4, True, "sigmoid"), {}, ValueError, "not 'sigmoid'"),
        ("LSTM", (3, 4, 1, "tanh"), {}, TypeError, "bias is True or False, not 'tanh'"),
        ("RNN", (3, 4, 1, "tanh", True, 0.5), {}, TypeError, "batch_first is True or False, not 0.5"),
        ("GRU", (3, 4, 1, True, True, 0.0, 2), {}, TypeError, "bidirectional is True or False, not 2"),
        ("LSTMCell", (3, 4, "tanh"), {}, TypeError, "bias is True or False"),
        ("GRU", (0, 4), {}, ValueError, "input_size is an integer above 0, not 0"),
        ("GRU", (3, -4), {}, ValueError, "hidden_size is an integer above 0, not -4"),
        ("GRU", (3, 4.0), {}, TypeError, "hidden_size is an integer above 0, not 4.0"),
        ("GRU", (3, 4, True), {}, TypeError, "num_layers is an integer above 0, not True"),
        ("RNNCell", ("3", 4), {}, TypeError, "input_size"),
        ("GRU", (3, 4, 2), {"dropout": 1.5}, ValueError, "dropout must be a number from 0 to below 1, not 1.5"),
        ("GRU", (3, 4), {"dtype": np.float64}, TypeError, "as a string"),
        ("GRU", (3, 4), {"dtype": "float16"}, ValueError, "'float16'"),
        ("GRU", (3, 4), {"backend": "tensorflow"}, BackendError, "tensorflow"),
        ("GRU", (3, 4), {"seed": 1.5}, TypeError, "1.5"),
    ],
)
def test_constructors_refuse(name, args, options, error, words):
    with pytest.raises(error, match=words):
        getattr(nn, name)(*args, **options)


def test_dropout_with_nothing_to_drop_is_warned_of():
    with pytest.warns(UserWarning, match="num_layers is 1"):
        module(dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module("GRU", 2, dropout=0.5)


H = np.zeros((1, 2, 4))
REFUSED = [
    ("GRU", (X[0, 0],), {}, ValueError, r"the shape \(3,\); GRU\(3, 4\) wants \(time, batch, 3\), or \(time, 3\)"),
    ("GRU", (X[None],), {}, ValueError, r"\(1, 5, 2, 3\)"),
    ("GRU", (X[..., :2],), {}, ValueError, r"\(5, 2, 2\); GRU"),
    ("GRU", (X[:0],), {}, ValueError, r"\(0, 2, 3\): no steps"),
    ("GRU", (X.tolist(),), {}, BackendError, r"`x` is a list.*use backend.asarray\(x\)"),
    ("GRU", (X + 0j,), {}, BackendError, "complex128"),
    ("GRU", (X.astype(np.float32),), {}, BackendError, "float32"),
    ("GRU", (X.astype(int),), {}, TypeError, r"`x` is of dtype int64.*backend.asarray\(x, 'float64'\)"),
    ("GRU", (X > 0,), {}, TypeError, "`x` is of dtype bool"),
    ("GRU", (np.ma.masked_array(X),), {}, BackendError, "MaskedArray"),
    ("GRU", (X, H[:, :1]), {}, ValueError, r"`h_0` has the shape \(1, 1, 4\), expected \(1, 2, 4\)"),
    ("GRU", (X, H[..., :3]), {}, ValueError, r"\(1, 2, 3\), expected \(1, 2, 4\)"),
    ("GRU", (X, np.zeros((2, 2, 4))), {}, ValueError, r"\(2, 2, 4\), expected \(1, 2, 4\)"),
    ("GRU", (X, H[0]), {}, ValueError, r"\(2, 4\), expected \(1, 2, 4\)"),
    ("GRU", (X[:, 0], H[:, :1]), {}, ValueError, r"\(1, 1, 4\), expected \(1, 4\)"),
    ("GRU", (X, (H, H)), {}, TypeError, "one array, h_0, not a tuple"),
    ("GRU", (X, H.astype(int)), {}, TypeError, "`h_0` is of dtype int64"),
    ("GRU", (X, H.astype(np.float32)), {}, BackendError, "`h_0` is of dtype float32"),
    ("LSTM", (X, H), {}, TypeError, r"a tuple of 2 arrays, \(h_0, c_0\), not a ndarray"),
    ("LSTM", (X, (H,)), {}, TypeError, "not 1 of them"),
    ("LSTM", (X, (H, H[0])), {}, ValueError, "`c_0` has the shape"),
    ("LSTM", (X, (H, H + 0j)), {}, BackendError, "`c_0` is of dtype complex128"),
    ("GRU", (X,), {"lengths": [2.0, 1.0]}, TypeError, r"lengths\[0\] is 2.0"),
    ("GRU", (X,), {"lengths": np.array([2.0, np.nan])}, TypeError, "float64"),
    ("GRU", (X,), {"lengths": [True, False]}, TypeError, r"lengths\[0\] is True"),
    ("GRU", (X,), {"lengths": [2, -1]}, ValueError, r"lengths\[1\] is -1"),
    ("GRU", (X,), {"lengths": [2, 6]}, ValueError, r"lengths\[1\] is 6; x has 5 steps"),
    ("GRU", (X,), {"lengths": [2]}, ValueError, "each of the 2 sequences in the batch, not 1"),
    ("GRU", (X,), {"lengths": [2, 3, 3]}, ValueError, "not 3"),
    ("GRU", (X[:, 0],), {"lengths": [2]}, TypeError, "lengths"),
    ("GRU", (X,), {"key": 3}, TypeError, "key is an xprnn.random.Key"),
    ("GRUCell", (X,), {}, ValueError, r"\(5, 2, 3\); GRUCell\(3, 4\) wants \(batch, 3\), or \(3,\)"),
    ("GRUCell", (X[0, :, :2],), {}, ValueError, r"\(2, 2\)"),
    ("GRUCell", (X[0].astype(int),), {}, TypeError, "int64"),
    ("GRUCell", (X[0], H), {}, ValueError, r"`hx` has the shape \(1, 2, 4\), expected \(2, 4\)"),
    ("LSTMCell", (X[0], H[0]), {}, TypeError, r"\(h_0, c_0\)"),
    ("LSTMCell", (X[0, 0], (H[0], H[0])), {}, ValueError, r"expected \(4,\)"),
]


@pytest.mark.parametrize(("name", "args", "options", "error", "words"), REFUSED)
def test_calls_refuse(name, args, options, error, words):
    for call in (module(name), module(name).vjp):
        with pytest.raises(error, match=words):
            call(*args, **options)


def test_batch_first_is_in_the_words():
    with pytest.raises(ValueError, match=r"\(batch, time, 3\)"):
        module(batch_first=True)(X[..., :2])


@pytest.mark.parametrize(
    ("cotangents", "error", "words"),
    [
        ((X,), ValueError, r"`dout` has the shape \(5, 2, 3\), expected \(5, 2, 4\)"),
        ((None, H), TypeError, r"\(dh_n, dc_n\)"),
        ((None, (H, H[0])), ValueError, "`dc_n`"),
        (([[1.0]],), BackendError, "`dout` is a list"),
    ],
)
def test_pullbacks_refuse(cotangents, error, words):
    pullback = module().vjp(X)[2]
    with pytest.raises(error, match=words):
        pullback(*cotangents)


def test_arrays_of_another_library_are_refused():
    strict = choose("array_api_strict:device1", "float64")
    with pytest.raises(BackendError, match=r"`x` is a NumPy array.*use backend.asarray\(x\)"):
        module(backend=strict)(X)
    with pytest.raises(BackendError, match=r"`h_0` is an array-api-strict array"):
        module("GRU")(X, strict.asarray(H))


def test_a_weight_that_no_longer_fits_is_named():
    rnn = module()
    rnn.bias_hh_l0 = np.zeros(4)
    with pytest.raises(ValueError, match=r"`bias_hh_l0` has the shape \(4,\), expected \(16,\)"):
        rnn(X)
    rnn.bias_hh_l0 = np.zeros(16, np.float32)
    with pytest.raises(BackendError, match="`bias_hh_l0` is of dtype float32"):
        rnn.vjp(X)


def odd(x, form):
    """``x`` with the same numbers in other memory."""
    if form == "fortran":
        return np.asfortranarray(x)
    if form == "negative":
        return np.flip(np.flip(x).copy())
    if form == "sliced":
        wide = np.zeros([2 * n for n in x.shape])
        inner = wide[tuple(slice(None, None, 2) for _ in x.shape)]
        inner[...] = x
        return inner
    if form == "unaligned":
        raw = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
        raw[...] = x
        return raw
    return np.broadcast_to(x[:1], x.shape)


@pytest.mark.parametrize("form", ["fortran", "negative", "sliced", "unaligned", "broadcast"])
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_memory_of_any_form_is_read_and_left_alone(name, form):
    rng = np.random.default_rng(1)
    rnn = module(name, 2, bidirectional=True, batch_first=True)
    x, h, dout = rng.normal(size=(4, 5, 3)), rng.normal(size=(4, 4, 4)), rng.normal(size=(4, 5, 8))
    given = [odd(a, form) for a in (x, h, dout)]
    weights = {label: odd(a, form) for label, a in rnn.named_parameters()}
    plain = module(name, 2, bidirectional=True, batch_first=True)
    plain.load_state_dict({label: a.copy() for label, a in weights.items()})
    for label, weight in weights.items():
        setattr(rnn, label, weight)
    for a in (*given, *weights.values()):
        a.flags.writeable = False
    before = [a.copy() for a in (*given, *weights.values())]
    results = []
    for one, (x, h, dout) in ((rnn, given), (plain, [a.copy() for a in given])):
        state = (h, h) if name == "LSTM" else h
        out, h_n, pullback = one.vjp(x, state, lengths=[5, 0, 3, 1])
        results.append((out, h_n, *pullback(dout, h_n), one(x, state, lengths=[5, 0, 3, 1])))
    for name, a in tree.flatten(results[0]).items():
        np.testing.assert_allclose(a, tree.flatten(results[1])[name], rtol=1e-12, atol=1e-14, err_msg=name)
    for a, b in zip((*given, *weights.values()), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("lengths", [None, []])
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_an_empty_batch(backend, name, lengths):
    rnn = module(name, 2, bidirectional=True, dropout=0.5, dtype=None, backend=backend)
    out, h_n, pullback = rnn.vjp(backend.asarray(np.zeros((5, 0, 3))), lengths=lengths)
    dx, _, grads = pullback(out, h_n)
    assert tuple(out.shape) == (5, 0, 8) and tuple(dx.shape) == (5, 0, 3)
    assert tuple((h_n[0] if name == "LSTM" else h_n).shape) == (4, 0, 4)
    for label, weight in rnn.named_parameters():
        np.testing.assert_array_equal(backend.to_numpy(grads[label]), np.zeros(weight.shape))
    cell = module(f"{name}Cell", dtype=None, backend=backend)
    h, back = cell.vjp(backend.asarray(np.zeros((0, 3))))
    assert tuple(back(h)[0].shape) == (0, 3)


def test_a_single_sequence_has_one_length():
    rnn = module("GRU")
    wanted, h = rnn(X[:3, 0])
    out, h_n = rnn(X[:, 0], lengths=3)
    np.testing.assert_allclose(out, np.concatenate([wanted, np.zeros((2, 4))]), rtol=1e-13)
    np.testing.assert_allclose(h_n, h, rtol=1e-13)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_states_stand_layer_by_layer_and_forward_first(name):
    """A stack in both directions is its layers one by one, each with its two rows of the state."""
    whole = module(name, 3, bidirectional=True)
    rows = np.random.default_rng(2).normal(size=(6, 2, 4))
    states = (rows, -rows) if name == "LSTM" else (rows,)
    out, h_n = whole(X, states if name == "LSTM" else rows)
    y, ends = X, []
    for n in range(3):
        one = getattr(nn, name)(y.shape[-1], 4, bidirectional=True, dtype="float64")
        weights = {label: a for label, a in whole.named_parameters() if f"_l{n}" in label}
        one.load_state_dict({label.replace(f"_l{n}", "_l0"): a for label, a in weights.items()})
        part = tuple(a[2 * n : 2 * n + 2] for a in states)
        y, end = one(y, part if name == "LSTM" else part[0])
        ends.append(end if name == "LSTM" else (end,))
    np.testing.assert_allclose(out, y, rtol=1e-13)
    for met, wanted in zip(h_n if name == "LSTM" else (h_n,), zip(*ends, strict=True), strict=True):
        np.testing.assert_allclose(met, np.concatenate(wanted), rtol=1e-13)
    np.testing.assert_array_equal(y[-1, :, :4], (h_n[0] if name == "LSTM" else h_n)[4])
    np.testing.assert_array_equal(y[0, :, 4:], (h_n[0] if name == "LSTM" else h_n)[5])
