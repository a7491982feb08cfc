"""What from_module and to_module take, what they say, and what they refuse, with PyTorch at hand."""

import copy

import numpy as np
import pytest

import xprnn as xr
from xprnn import cells
from xprnn.io import torch as io

torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")
cases = pytest.importorskip("torch_cases")
nn = torch.nn

X = np.random.default_rng(0).normal(size=(2, 5, 3))


class Tagger(nn.Module):
    """The usual module: an embedding, a recurrent layer, a linear one."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(9, 4, padding_idx=0)
        self.encoder = nn.Sequential(
            nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True, proj_size=3), nn.Dropout(0.5)
        )
        self.head = nn.Linear(6, 7)

    def forward(self, ids):
        out, _ = self.encoder[0](self.embed(ids))
        return self.head(self.encoder[1](out))


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_a_usual_module():
    torch.manual_seed(0)
    module = Tagger().eval()
    model = io.from_module(module)
    lstm = cells.ProjectedLSTM(5, 3, double_bias=True)
    assert model.layer == xr.Sequential(
        xr.Embedding(9, 4),
        xr.Sequential(xr.Recurrent((lstm, lstm), bidirectional=True), xr.Dropout(0.5), names=("0", "1")),
        xr.Dense(7),
        names=("embed", "encoder", "head"),
    )
    assert (model.input_shape, model.output_shape, model.backend.dtype) == ((None,), (None, 7), "float32")
    ids = np.random.default_rng(0).integers(0, 9, (3, 6))
    np.testing.assert_allclose(model(ids), module(torch.tensor(ids)).detach(), rtol=1e-5, atol=1e-6)
    assert list(io.state_dict(model)) == list(module.state_dict())
    assert "encoder.0.weight_hr_l1_reverse" in io.state_dict(model)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_last_output_is_h_n(name, bidirectional):
    module = getattr(nn, name)(3, 4, 2, bidirectional=bidirectional, batch_first=True, dtype=torch.float64)
    model = io.from_module(module, return_sequences=False)
    out, h_n = module(torch.tensor(X))
    h_n = (h_n[0] if name == "LSTM" else h_n).detach().numpy()
    y = model(X)
    np.testing.assert_allclose(y, np.concatenate(h_n[-2:] if bidirectional else h_n[-1:], axis=-1), rtol=1e-12)
    assert np.allclose(y, out[:, -1].detach()) is not bidirectional


def test_only_the_last_recurrent_layer_gives_its_last_output():
    chain = nn.Sequential(nn.GRU(3, 4), nn.Sequential(nn.LSTMCell(4, 5), nn.ReLU()), nn.Linear(5, 2))
    layer = io.from_module(chain, return_sequences=False).layer
    assert layer.layers[0] == xr.GRU(4)
    cell = xr.Direction(cells.LSTM(5, double_bias=True), return_sequences=False)
    assert layer.layers[1].layers == (cell, xr.Activation("relu"))
    with pytest.raises(ValueError, match="the last recurrent layer, and the module has none"):
        io.from_module(nn.Linear(3, 4), return_sequences=False)


@pytest.mark.parametrize("activation", [*cases.ACTIVATIONS, nn.Hardsigmoid()], ids=str)
def test_activations(backend, activation):
    model = io.from_module(nn.Sequential(nn.Linear(1, 7, dtype=torch.float64), activation.eval()), backend=backend)
    x = np.concatenate([np.linspace(-25, 19, 100), [-3, -1, 0, 1, 3]]).reshape(1, -1, 1)
    weight = np.linspace(0.1, 1, 7)
    io.load_state_dict(model, {"0.weight": weight[:, None], "0.bias": 0 * weight})
    z = torch.tensor(x * weight, requires_grad=True)
    y = activation(z)
    dy = np.random.default_rng(0).normal(size=tuple(y.shape))
    y.backward(torch.tensor(dy))
    met, _, tape = model.forward(backend.asarray(x))
    np.testing.assert_allclose(backend.to_numpy(met), y.detach(), rtol=1e-10, atol=1e-10)
    dx, _, _ = model.backward(tape, backend.asarray(dy))
    # PyTorch's slope of hardsigmoid is 1/6 in float32, whatever the precision.
    close = 1e-6 if isinstance(activation, nn.Hardsigmoid) else 1e-10
    wanted = np.sum(z.grad.numpy() * weight, axis=-1, keepdims=True)
    np.testing.assert_allclose(backend.to_numpy(dx), wanted, rtol=close, atol=close)


def test_dropout_is_there_in_training():
    model = io.from_module(nn.Sequential(nn.Dropout(0.25), nn.LSTM(3, 4, 2, dropout=0.5)))
    assert model.layer == xr.Sequential(
        xr.Dropout(0.25), xr.LSTM(4, 2, dropout=0.5, double_bias=True), names=("0", "1")
    )
    x = X.astype("float32")
    assert np.any(model.forward(x, key=xr.Key(0))[0] != model(x))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_precision(dtype):
    torch.manual_seed(0)
    module = nn.GRU(3, 4, 2).to(getattr(torch, dtype))
    model = io.from_module(module)
    assert model.backend.dtype == ("float64" if dtype == "float64" else "float32")
    assert io.from_module(module, dtype="float64").backend.dtype == "float64"
    assert io.from_module(module, backend=xr.backend("numpy", "float64")).backend.dtype == "float64"
    fresh = nn.GRU(3, 4, 2).to(getattr(torch, dtype))
    io.to_module(model, fresh)
    for name, a in module.state_dict().items():
        assert torch.equal(a, fresh.state_dict()[name])
        np.testing.assert_array_equal(io.state_dict(model)[name], a.double().numpy())


def test_a_module_trained_here_goes_back():
    module = nn.Sequential(nn.LSTM(3, 4), nn.Linear(4, 2)).double()
    before = copy.deepcopy(module.state_dict())
    model = io.from_module(module)
    model.fit(X, np.ones((2, 5, 2)), epochs=2, optimizer="sgd", verbose=False)
    io.to_module(model, module)
    y = module[1](module[0](torch.tensor(X.swapaxes(0, 1)))[0]).detach().numpy().swapaxes(0, 1)
    np.testing.assert_allclose(model(X), y, rtol=1e-12)
    assert not any(torch.equal(a, before[name]) for name, a in module.state_dict().items())


def test_the_module_and_the_model_share_no_memory():
    module = nn.Sequential(nn.Embedding(5, 3), nn.GRU(3, 4))
    model = io.from_module(module)
    before = io.state_dict(model)
    with torch.no_grad():
        for a in module.parameters():
            a += 1
    np.testing.assert_equal(io.state_dict(model), before)
    io.to_module(model, module)
    for a in xr.tree.leaves(model.params):
        a += 1
    np.testing.assert_equal({name: a.numpy() for name, a in module.state_dict().items()}, before)


def test_a_module_that_stands_twice_is_one_layer():
    linear = nn.Linear(3, 3)
    numbered, named = nn.Sequential(linear, nn.Tanh(), linear), nn.Module()
    named.first, named.bend, named.second = linear, nn.Tanh(), linear
    for module, keys in ((numbered, ("0", "2")), (named, ("first",))):
        model = io.from_module(module)
        assert model.count_params() == 12 and model.layer.names[0] == model.layer.names[2]
        assert list(io.state_dict(model)) == [f"{key}.{name}" for key in keys for name in ("weight", "bias")]
        wanted = linear(torch.tanh(linear(torch.tensor(X, dtype=torch.float32)))).detach()
        np.testing.assert_allclose(model(X.astype("float32")), wanted, rtol=1e-5, atol=1e-6)
        io.to_module(model, module)
    io.load_state_dict(io.from_module(numbered), numbered.state_dict())


def test_tied_weights_are_copies_that_have_to_stay_equal():
    module = nn.Sequential(nn.Embedding(9, 4), nn.GRU(4, 4), nn.Linear(4, 9, bias=False))
    module[2].weight = module[0].weight
    model = io.from_module(module)
    io.to_module(model, module)
    before = module[0].weight.clone()
    model.params["2"]["W"][0, 0] += 1
    with pytest.raises(ValueError, match=r"0\.weight and 2\.weight are one tensor in the module"):
        io.to_module(model, module)
    assert torch.equal(module[0].weight, before)


def test_a_module_that_does_not_fit_is_left_alone():
    model = io.from_module(nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2)))
    module = nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 3), nn.Linear(3, 1))
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(
        ValueError, match=r"of this Sequential: missing: 2.*; 1.weight has the shape \(2, 4\), not \(3, 4\)"
    ):
        io.to_module(model, module)
    assert all(torch.equal(a, before[name]) for name, a in module.state_dict().items())


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(4, 1)

    def forward(self, x):
        return (torch.softmax(self.score(x), 1) * x).sum(1)


class Own(nn.LSTM):
    def forward(self, x):
        return super().forward(x)[0]


class Scaled(nn.Sequential):
    def __init__(self, *children):
        super().__init__(*children)
        self.scale = nn.Parameter(torch.ones(1))


class Odd(nn.Module):
    def forward(self, x):
        return x * x


def hooked(how):
    """A module whose results are doubled on their way out, or whose inputs are on their way in."""
    module = nn.Linear(4, 3)
    getattr(module, how)(lambda module, inputs, *outputs: 2 * (outputs or inputs)[0])
    return module


def wider():
    """A module whose forward must do something between its children."""
    return nn.Sequential(nn.GRU(3, 4), nn.Linear(8, 2))


REFUSED = [
    (
        lambda: nn.Sequential(nn.Conv1d(3, 4, 1)),
        TypeError,
        r"'0' \(Conv1d\) cannot be converted: there is no layer for it",
    ),
    (
        lambda: nn.Sequential(nn.GRU(3, 4), nn.Sequential(nn.Mish())),
        TypeError,
        r"'1\.0' \(Mish\) .* known are Sequential",
    ),
    (lambda: nn.Sequential(hooked("register_forward_hook")), TypeError, r"'0' \(Linear\) has forward hooks"),
    (lambda: hooked("register_forward_pre_hook"), TypeError, "the Linear has forward hooks"),
    (lambda: nn.Sequential(nn.LazyLinear(3)), TypeError, r"'0' \(LazyLinear\) has no weights yet"),
    (lambda: nn.LSTM(2, 3, device="meta"), TypeError, "the LSTM has no weights yet"),
    (lambda: nn.Sequential(nn.Flatten()), TypeError, r"'0' \(Flatten\) .*: a Model keeps time and features apart"),
    (lambda: nn.Sequential(nn.Dropout1d()), TypeError, r"'0' \(Dropout1d\) .*: which axis it drops"),
    (lambda: nn.Sequential(nn.GRU(3, 4), Attention()), TypeError, r"'1' \(Attention\) .* its forward is its own"),
    (lambda: nn.Sequential(Own(3, 4)), TypeError, r"'0' \(Own\) .* its forward is its own"),
    (lambda: nn.TransformerEncoderLayer(4, 1), TypeError, "the TransformerEncoderLayer cannot be converted"),
    (lambda: Odd(), TypeError, "the Odd has no children, and its forward is its own"),
    (
        lambda: nn.Sequential(nn.GRU(3, 4), Scaled(nn.Tanh())),
        TypeError,
        r"'1' \(Scaled\) has tensors of its own, scale",
    ),
    (lambda: nn.GRU, TypeError, "takes a torch.nn.Module, not a type"),
    (lambda: {"weight": 1}, TypeError, "takes a torch.nn.Module, not a dict"),
    (lambda: nn.Sequential(nn.Embedding(3, 2, max_norm=1.0)), ValueError, r"'0' \(Embedding\) has max_norm=1.0"),
    (lambda: nn.Embedding(3, 2, scale_grad_by_freq=True), ValueError, "the Embedding has scale_grad_by_freq=True"),
    (lambda: nn.LayerNorm((4, 3)), ValueError, "it is over 2 axes"),
    (lambda: nn.Sequential(nn.Softplus(2.0)), ValueError, "has beta=2.0, and only 1.0"),
    (lambda: nn.Sequential(nn.Hardtanh(0, 6)), ValueError, "has min_val=0"),
    (lambda: nn.Sequential(nn.ReLU6()), ValueError, r"'0' \(ReLU6\) has min_val=0"),
    (lambda: nn.Sequential(nn.Softmax(1)), ValueError, "has dim=1, and only -1"),
    (lambda: nn.Sequential(nn.Dropout(1.0)), ValueError, r"'0' \(Dropout\) cannot be converted: Dropout: rate"),
    (
        wider,
        ValueError,
        r"of the children of this Sequential, in order: 1\.weight has the shape \(2, 8\), not \(2, 4\)",
    ),
    (
        lambda: nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))),
        ValueError,
        r"missing: 0\.weight; unexpected: 0\.parametrizations",
    ),
]


@pytest.mark.parametrize(("make", "error", "words"), REFUSED)
def test_modules_that_are_refused(make, error, words):
    module = make()
    with pytest.raises(error, match=words):
        io.from_module(module)


def test_a_forward_that_was_put_into_a_module_is_seen():
    module = nn.Sequential(nn.Linear(3, 2))
    module[0].forward = lambda x: x
    with pytest.raises(TypeError, match=r"'0' \(Linear\) .* its forward is its own"):
        io.from_module(module)
