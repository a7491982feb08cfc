"""Hundreds of random modules of PyTorch's: outputs, states, all gradients, and weights back bit for bit."""

import copy

import numpy as np
import pytest

import xprnn as xr
from xprnn import nn
from xprnn.io import torch as io

torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
cases = pytest.importorskip("torch_cases")

COUNT = 200


def close(met, wanted, what):
    np.testing.assert_allclose(met, wanted.detach().numpy(), rtol=1e-10, atol=1e-10, err_msg=what)


def flat(tree):
    return [leaf for branch in tree for leaf in flat(branch)] if isinstance(tree, tuple) else [tree]


def ragged(rng, batch, steps):
    """Lengths in any order, one of which is all the steps."""
    lengths = rng.integers(1, steps + 1, batch)
    lengths[rng.integers(batch)] = steps
    return lengths.tolist()


def ours(theirs):
    """xprnn.nn's module with the options and weights of one of PyTorch's."""
    names = ("num_layers", "nonlinearity", "bias", "batch_first", "bidirectional", "proj_size")
    kept = {name: getattr(theirs, name) for name in names if name in vars(theirs)}
    if not isinstance(theirs, torch.nn.LSTM):
        del kept["proj_size"]
    module = getattr(nn, type(theirs).__name__)(theirs.input_size, theirs.hidden_size, dtype="float64", **kept)
    module.load_state_dict(theirs.state_dict())
    return module


def padding(lengths, steps, batch_first):
    """True where x (B, T) or (T, B) holds no step."""
    mask = np.arange(steps)[None, :] >= np.array(lengths)[:, None]
    return mask if batch_first else mask.T


@pytest.mark.parametrize("seed", range(COUNT))
def test_recurrent_modules(seed):
    rng = np.random.default_rng([3, seed])
    torch.manual_seed(seed)
    (D, B, T), form = (cases.size(rng) for _ in range(3)), ("batch", "lengths", "single")[seed % 3]
    theirs, width = cases.recurrent(rng, D)
    module = ours(theirs)
    assert repr(module) == repr(theirs)
    batch = () if form == "single" else (B,)
    x = rng.normal(size=(*batch, T, D) if theirs.batch_first else (T, *batch, D))
    count = theirs.num_layers * (1 + theirs.bidirectional)
    widths = [theirs.proj_size or theirs.hidden_size, theirs.hidden_size][: 1 + isinstance(theirs, torch.nn.LSTM)]
    state = tuple(rng.normal(size=(count, *batch, n)) for n in widths) if cases.coin(rng, 0.7) else None
    lengths = ragged(rng, B, T) if form == "lengths" else None

    tx = torch.tensor(x, requires_grad=True)
    th = None if state is None else tuple(torch.tensor(a, requires_grad=True) for a in state)
    given = tx
    if lengths:
        given = torch.nn.utils.rnn.pack_padded_sequence(tx, lengths, theirs.batch_first, enforce_sorted=False)
    out, h_n = theirs(given, th if th is None or len(th) > 1 else th[0])
    if lengths:
        out = torch.nn.utils.rnn.pad_packed_sequence(out, theirs.batch_first, total_length=T)[0]
    results = [out, *flat(h_n)]
    cotangents = [rng.normal(size=tuple(a.shape)) for a in results]
    loss = sum(torch.sum(a * torch.tensor(da)) for a, da in zip(results, cotangents, strict=True))
    wanted = torch.autograd.grad(loss, [tx, *(th or ()), *theirs.parameters()])

    dout = cotangents[0].copy()
    if lengths:
        x[padding(lengths, T, theirs.batch_first)] = np.nan
        dout[padding(lengths, T, theirs.batch_first)] = np.nan
    hx = state if state is None or len(state) > 1 else state[0]
    out, h_n, pullback = module.vjp(x, hx, lengths=lengths)
    assert out.shape[-1] == width
    for n, (a, b) in enumerate(zip([out, *flat(h_n)], results, strict=True)):
        close(a, b, f"result {n} of {theirs}")
    dh = tuple(cotangents[1:])
    dx, dhx, grads = pullback(dout, dh if len(dh) > 1 else dh[0])
    assert list(grads) == [name for name, _ in theirs.named_parameters()]
    met = [dx, *(flat(dhx) if state is not None else []), *grads.values()]
    for n, (a, b) in enumerate(zip(met, wanted, strict=True)):
        close(a, b, f"gradient {n} of {theirs}")


def by_name(model, tree):
    """A tree of the form of the model's parameters, by PyTorch's names and in its layout."""
    other = model.to(model.backend)
    other.params = tree
    return io.state_dict(other)


@pytest.mark.parametrize("seed", range(COUNT))
def test_chains(seed):
    module, features, has_last = cases.chain(seed)
    rng = np.random.default_rng([5, seed])
    B, T = cases.size(rng), cases.size(rng)
    lengths, sequences = ragged(rng, B, T), not (has_last and cases.coin(rng))
    x = rng.integers(0, 9, (B, T)) if features is None else rng.normal(size=(B, T, features))
    model = io.from_module(module, return_sequences=sequences, dtype="float64")
    assert {name: tuple(a.shape) for name, a in io.state_dict(model).items()} == {
        name: tuple(a.shape) for name, a in module.state_dict().items()
    }

    tx = torch.tensor(x, requires_grad=features is not None)
    ty = cases.run(module, tx, lengths, sequences)
    real = np.arange(T) < np.array(lengths)[:, None] if sequences else np.ones(B, bool)
    dy = rng.normal(size=tuple(ty.shape)) * real[..., None]
    parameters = dict(module.named_parameters(remove_duplicate=False))
    inputs = [tx] * (features is not None) + list(parameters.values())
    wanted = (
        torch.autograd.grad(torch.sum(ty * torch.tensor(dy)), inputs, allow_unused=True) if ty.requires_grad else []
    )

    x = np.where(padding(lengths, T, True).reshape(B, T, *[1] * (x.ndim - 2)), 0 if features is None else np.nan, x)
    y, _, tape = model.forward(x, lengths=lengths)
    close(y[real], ty[torch.from_numpy(real)], f"{module}")
    close(model(x, lengths=lengths)[real], ty[torch.from_numpy(real)], f"{module} without a tape")
    dx, _, grads = model.backward(tape, np.where(real[..., None], dy, np.nan))
    met = by_name(model, grads)
    assert list(met) == list(parameters)
    for name, one in module.named_modules():  # there, the row of padding learns nothing
        if isinstance(one, torch.nn.Embedding) and one.padding_idx is not None:
            met[f"{name}.weight"][one.padding_idx] = 0
    for a, b, what in zip(
        [dx] * (features is not None) + list(met.values()), wanted, ["x", *met][-len(inputs) :], strict=True
    ):
        close(a, b, f"gradient of {what} in {module}")


@pytest.mark.parametrize("seed", range(COUNT))
def test_there_and_back_is_the_identity(seed):
    module, _, _ = cases.chain(seed)
    module = module.to(torch.float64 if seed % 2 else torch.float32)
    model = io.from_module(module)
    assert all(str(a.dtype) == ("float64" if seed % 2 else "float32") for a in xr.tree.leaves(model.params))
    fresh = copy.deepcopy(module)
    with torch.no_grad():
        for a in fresh.parameters():
            a.uniform_(5, 6)
    again = copy.deepcopy(fresh)
    io.to_module(model, fresh)
    again.load_state_dict({name: torch.from_numpy(a) for name, a in io.state_dict(model).items()})
    for name, a in module.state_dict().items():
        for other in (fresh, again):
            met = other.state_dict()[name]
            assert met.dtype == a.dtype and met.numpy().tobytes() == a.numpy().tobytes(), f"{name} of {module}"
