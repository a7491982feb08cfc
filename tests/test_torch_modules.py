"""Hundreds of random modules of PyTorch's: outputs, states, all gradients, and weights back bit for bit."""

import copy
from typing import NamedTuple

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


class Called(NamedTuple):
    """A recurrent module of PyTorch's, what it was given, and what came out, with cotangents and all gradients."""

    module: torch.nn.Module
    x: np.ndarray
    state: tuple | None
    lengths: list | None
    results: list
    cotangents: list
    gradients: list


def called(seed):
    """A random module called with a batch, with ragged lengths in any order, or with a single sequence."""
    rng = np.random.default_rng([3, seed])
    torch.manual_seed(seed)
    (D, B, T), form = (cases.size(rng) for _ in range(3)), ("batch", "lengths", "single")[seed % 3]
    module, _ = cases.recurrent(rng, D)
    batch = () if form == "single" else (B,)
    x = rng.normal(size=(*batch, T, D) if module.batch_first else (T, *batch, D))
    count = module.num_layers * (1 + module.bidirectional)
    widths = [module.proj_size or module.hidden_size, module.hidden_size][: 1 + isinstance(module, torch.nn.LSTM)]
    state = tuple(rng.normal(size=(count, *batch, n)) for n in widths) if cases.coin(rng, 0.7) else None
    lengths = ragged(rng, B, T) if form == "lengths" else None

    tx = given = torch.tensor(x, requires_grad=True)
    th = None if state is None else tuple(torch.tensor(a, requires_grad=True) for a in state)
    if lengths:
        given = torch.nn.utils.rnn.pack_padded_sequence(tx, lengths, module.batch_first, enforce_sorted=False)
    out, h_n = module(given, th if th is None or len(th) > 1 else th[0])
    if lengths:
        out = torch.nn.utils.rnn.pad_packed_sequence(out, module.batch_first, total_length=T)[0]
    results = [out, *flat(h_n)]
    cotangents = [rng.normal(size=tuple(a.shape)) for a in results]
    loss = sum(torch.sum(a * torch.tensor(da)) for a, da in zip(results, cotangents, strict=True))
    gradients = torch.autograd.grad(loss, [tx, *(th or ()), *module.parameters()])
    if lengths:  # what stands in padding counts for nothing
        for a in (x, cotangents[0]):
            a[padding(lengths, T, module.batch_first)] = np.nan
    return Called(module, x, state, lengths, results, cotangents, gradients)


def alone(state):
    """A state of one array without its tuple."""
    return state if state is None or len(state) > 1 else state[0]


@pytest.mark.parametrize("seed", range(COUNT))
def test_recurrent_modules(seed):
    call = called(seed)
    module = ours(call.module)
    assert repr(module) == repr(call.module)
    out, h_n, pullback = module.vjp(call.x, alone(call.state), lengths=call.lengths)
    for n, (a, b) in enumerate(zip([out, *flat(h_n)], call.results, strict=True)):
        close(a, b, f"result {n} of {module}")
    dx, dhx, grads = pullback(call.cotangents[0], alone(tuple(call.cotangents[1:])))
    assert list(grads) == [name for name, _ in call.module.named_parameters()]
    met = [dx, *(flat(dhx) if call.state else []), *grads.values()]
    for n, (a, b) in enumerate(zip(met, call.gradients, strict=True)):
        close(a, b, f"gradient {n} of {module}")


def layered(model, state):
    """PyTorch's state, one array for all layers and directions or two, as the model has it."""
    rows = [a[n] for n in range(len(state[0])) for a in state]
    paths = xr.tree.flatten(model.layer.state_sizes)
    return xr.tree.fill(model.layer.state_sizes, dict(zip(paths, rows, strict=True)))


def stacked(state, count):
    """The model's state as PyTorch's ``count`` arrays."""
    rows = xr.tree.leaves(state)
    return [np.stack(rows[n::count]) for n in range(count)]


@pytest.mark.parametrize("seed", range(COUNT))
def test_recurrent_models(seed):
    call = called(seed)
    model, count = io.from_module(call.module), len(call.results) - 1
    turned = call.x.ndim == 3 and not call.module.batch_first

    def turn(a):
        return a.swapaxes(0, 1) if turned else a

    state = None if call.state is None else layered(model, call.state)
    y, end, tape = model.forward(turn(call.x), state, lengths=call.lengths)
    for n, (a, b) in enumerate(zip([turn(y), *stacked(end, count)], call.results, strict=True)):
        close(a, b, f"result {n} of {call.module}")
    dx, dstate, grads = model.backward(tape, turn(call.cotangents[0]), layered(model, call.cotangents[1:]))
    met = [turn(dx), *(stacked(dstate, count) if call.state else []), *by_name(model, grads).values()]
    for n, (a, b) in enumerate(zip(met, call.gradients, strict=True)):
        close(a, b, f"gradient {n} of {call.module}")


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
    wanted = torch.autograd.grad(torch.sum(ty * torch.tensor(dy)), inputs)

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
    found = {"x": dx} | met if features is not None else met
    for (what, a), b in zip(found.items(), wanted, strict=True):
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
