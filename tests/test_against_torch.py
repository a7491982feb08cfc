"""xprnn.nn against PyTorch itself: values and every gradient in float64, names, shapes, order, signatures and text."""

import inspect
import itertools
import typing

import numpy as np
import pytest

from xprnn import nn
from xprnn.backend import backend as choose

torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
rnn_utils = pytest.importorskip("torch.nn.utils.rnn", reason="torch is not installed: nothing to compare with")

KINDS = ("tanh", "relu", "LSTM", "GRU")
STACKS = list(itertools.product(KINDS, (1, 2, 3), (False, True)))
CELLS = list(itertools.product(KINDS, (False, True)))


def pair(kind, suffix, *args, backend="numpy", **options):
    """PyTorch's module and ours, with the same weights."""
    name = f"{kind if kind in ('LSTM', 'GRU') else 'RNN'}{suffix}"
    if kind in ("tanh", "relu"):
        options["nonlinearity"] = kind
    theirs = getattr(torch.nn, name)(*args, dtype=torch.float64, **options)
    ours = getattr(nn, name)(*args, dtype="float64", backend=backend, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs.eval(), ours.eval()


def tensors(tree):
    """A tree of NumPy arrays as PyTorch leaves that gather gradients."""
    if tree is None or isinstance(tree, np.ndarray):
        return None if tree is None else torch.tensor(tree, requires_grad=True)
    return tuple(tensors(branch) for branch in tree)


def arrays(on, tree):
    if tree is None or isinstance(tree, np.ndarray):
        return None if tree is None else on.asarray(tree)
    return tuple(arrays(on, branch) for branch in tree)


def flat(tree):
    return [leaf for branch in tree for leaf in flat(branch)] if isinstance(tree, tuple) else [tree]


def close(on, met, wanted, what=""):
    for ours, theirs in zip(flat(met), flat(wanted), strict=True):
        on.check(ours, what)
        np.testing.assert_allclose(on.to_numpy(ours), theirs.detach().numpy(), rtol=1e-10, atol=1e-10, err_msg=what)


def gradients(module, results, cotangents, inputs):
    """PyTorch's gradients of <results, cotangents> by the inputs, then by every weight."""
    loss = sum(torch.sum(a * torch.tensor(da)) for a, da in zip(flat(results), flat(cotangents), strict=True))
    return torch.autograd.grad(loss, [*inputs, *module.parameters()])


def run_packed(module, x, hx, lengths, batch_first):
    if lengths is None:
        return module(x, hx)
    packed = rnn_utils.pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
    out, h_n = module(packed, hx)
    steps = x.shape[1 if batch_first else 0]
    return rnn_utils.pad_packed_sequence(out, batch_first, total_length=steps)[0], h_n


def padding(lengths, T, batch_first):
    """True where x (B, T) or (T, B) holds no step."""
    mask = np.arange(T)[None, :] >= np.array(lengths)[:, None]
    return mask if batch_first else mask.T


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("form", ["batch", "lengths", "single"])
@pytest.mark.parametrize(("kind", "layers", "bidirectional"), STACKS)
def test_values_and_all_gradients(library, form, kind, layers, bidirectional):
    rng = np.random.default_rng([KINDS.index(kind), layers, bidirectional, len(form)])
    (D, H, B), T = rng.integers(1, 5, 3), int(rng.integers(2, 7))
    bias, batch_first, given = (bool(flag) for flag in rng.integers(0, 2, 3))
    given = given or form == "lengths"
    options = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
    theirs, ours = pair(kind, "", int(D), int(H), layers, backend=choose(library, "float64"), **options)
    rows = layers * (1 + bidirectional)
    batch = () if form == "single" else (B,)
    x = rng.normal(size=(*batch, T, D) if batch_first else (T, *batch, D))
    state = tuple(rng.normal(size=(rows, *batch, H)) for _ in range(1 + (kind == "LSTM")))
    state = state if kind == "LSTM" else state[0]
    lengths = rng.integers(1, T + 1, B).tolist() if form == "lengths" else None

    tx, th = tensors(x), tensors(state) if given else None
    results = run_packed(theirs, tx, th, lengths, batch_first)
    cotangents = [rng.normal(size=tuple(a.shape)) for a in flat(results)]
    wanted = gradients(theirs, results, tuple(cotangents), [tx, *(flat(th) if given else [])])

    on, dout = ours.backend, cotangents[0].copy()
    if lengths:
        x[padding(lengths, T, batch_first)] = np.nan
        dout[padding(lengths, T, batch_first)] = np.nan
    called = {"lengths": lengths}
    out, h_n, pullback = ours.vjp(on.asarray(x), arrays(on, state) if given else None, **called)
    close(on, (out, h_n), results, "out, h_n")
    close(on, ours(on.asarray(x), arrays(on, state) if given else None, **called), results, "without vjp")
    dh_n = tuple(cotangents[1:]) if kind == "LSTM" else cotangents[1]
    dx, dhx, grads = pullback(on.asarray(dout), arrays(on, dh_n))
    assert list(grads) == [name for name, _ in theirs.named_parameters()]
    close(on, (dx, *(flat(dhx) if given else []), *grads.values()), wanted, "gradients")


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("form", ["batch", "single"])
@pytest.mark.parametrize("given", [False, True], ids=["zeros", "state"])
@pytest.mark.parametrize(("kind", "bias"), CELLS)
def test_cells(library, form, given, kind, bias):
    rng = np.random.default_rng(3)
    theirs, ours = pair(kind, "Cell", 3, 4, bias=bias, backend=choose(library, "float64"))
    batch = (5,) if form == "batch" else ()
    x, hidden = rng.normal(size=(*batch, 3)), (*batch, 4)
    state = tuple(rng.normal(size=hidden) for _ in range(2)) if kind == "LSTM" else rng.normal(size=hidden)
    tx, th = tensors(x), tensors(state) if given else None
    results = theirs(tx, th)
    cotangents = tuple(rng.normal(size=hidden) for _ in flat(results))
    wanted = gradients(theirs, results, cotangents, [tx, *(flat(th) if given else [])])

    on = ours.backend
    after, pullback = ours.vjp(on.asarray(x), arrays(on, state) if given else None)
    close(on, after, results, "h")
    close(on, ours(on.asarray(x), arrays(on, state) if given else None), results, "without vjp")
    dx, dhx, grads = pullback(arrays(on, cotangents if kind == "LSTM" else cotangents[0]))
    close(on, (dx, *(flat(dhx) if given else []), *grads.values()), wanted, "gradients")


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_of_length_zero_is_not_there(kind, bidirectional):
    """PyTorch packs no empty sequences, so the batch without it is what to compare with."""
    rng = np.random.default_rng(4)
    theirs, ours = pair(kind, "", 3, 4, 2, bidirectional=bidirectional)
    x, rows = rng.normal(size=(5, 3, 3)), 2 * (1 + bidirectional)
    state = tuple(rng.normal(size=(rows, 3, 4)) for _ in range(1 + (kind == "LSTM")))
    real = [0, 2]
    kept = tuple(a[:, real] for a in state)
    tx = tensors(x[:, real])
    results = run_packed(theirs, tx, tensors(kept if kind == "LSTM" else kept[0]), [4, 2], False)
    dout, dh = rng.normal(size=(5, 3, 4 * (1 + bidirectional))), tuple(rng.normal(size=a.shape) for a in state)
    wanted = gradients(theirs, results, (dout[:, real], *(a[:, real] for a in dh)), [tx])

    out, h_n, pullback = ours.vjp(x, state if kind == "LSTM" else state[0], lengths=[4, 0, 2])
    dx, dhx, grads = pullback(dout, dh if kind == "LSTM" else dh[0])
    close(ours.backend, (out[:, real], *(a[:, real] for a in flat(h_n))), results, "out, h_n")
    close(ours.backend, (dx[:, real], *grads.values()), wanted, "gradients")
    assert np.all(out[:, 1] == 0) and np.all(dx[:, 1] == 0)
    for end, begin, dend, dbegin in zip(flat(h_n), state, dh, flat(dhx), strict=True):
        np.testing.assert_array_equal(end[:, 1], begin[:, 1])
        np.testing.assert_array_equal(dbegin[:, 1], dend[:, 1])


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("kind", "layers", "bidirectional"), STACKS)
def test_names_shapes_order_and_text(kind, layers, bidirectional, bias):
    for options in ({}, {"batch_first": True, "dropout": 0.25 if layers > 1 else 0.0}):
        theirs, ours = pair(kind, "", 3, 4, layers, bias=bias, bidirectional=bidirectional, **options)
        met = [(name, tuple(a.shape)) for name, a in ours.state_dict().items()]
        assert met == [(name, tuple(a.shape)) for name, a in theirs.state_dict().items()]
        assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
        assert repr(ours) == repr(theirs)


@pytest.mark.parametrize(("kind", "bias"), CELLS)
def test_names_shapes_order_and_text_of_cells(kind, bias):
    theirs, ours = pair(kind, "Cell", 3, 4, bias=bias)
    met = [(name, tuple(a.shape)) for name, a in ours.state_dict().items()]
    assert met == [(name, tuple(a.shape)) for name, a in theirs.state_dict().items()]
    assert repr(ours) == repr(theirs)


def test_our_state_dict_is_theirs():
    theirs, _ = pair("GRU", "", 3, 4, 2, bidirectional=True)
    ours = nn.GRU(3, 4, 2, bidirectional=True, seed=5, dtype="float64", backend="torch")
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", nn.__all__)
def test_signatures(name):
    """PyTorch's arguments in its order with its defaults, then backend and seed by name."""
    theirs = getattr(torch.nn, name).__init__
    signature = inspect.signature(next(iter(typing.get_overloads(theirs)), theirs))
    wanted = [(p.name, p.default) for p in signature.parameters.values()]
    met = [(p.name, p.default) for p in inspect.signature(getattr(nn, name).__init__).parameters.values()]
    assert met == [*wanted, ("backend", "numpy"), ("seed", 0)]


@pytest.mark.parametrize("name", nn.__all__)
def test_weights_begin_as_theirs_do(name):
    """Both uniform over the same interval: bounds, and quantiles of each weight."""
    torch.manual_seed(0)
    theirs, ours = getattr(torch.nn, name)(200, 100), getattr(nn, name)(200, 100)
    for (label, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert np.max(np.abs(a)) <= 0.1 and float(b.detach().abs().max()) <= 0.1
        parts = np.linspace(0, 1, 11)
        wide = 4 / np.sqrt(a.size)
        np.testing.assert_allclose(np.quantile(a, parts), 0.2 * parts - 0.1, atol=0.1 * wide, err_msg=label)
        np.testing.assert_allclose(np.quantile(b.detach().numpy(), parts), 0.2 * parts - 0.1, atol=0.1 * wide)
