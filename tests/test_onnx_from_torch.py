"""What PyTorch's exporter writes of chains of layers becomes Models, which give what the module gives, and train."""

import warnings

import numpy as np
import pytest

import xprnn as xr
from xprnn.io.onnx import OnnxModel, load_model, load_onnx

pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
nn = torch.nn


class Chain(nn.Module):
    """Modules one after the other; of what a recurrent one gives, what ``pick`` takes of it."""

    def __init__(self, *modules, pick=lambda found: found[0]):
        super().__init__()
        self.each, self.pick = nn.ModuleList(modules), pick

    def forward(self, x):
        for module in self.each:
            x = self.pick(module(x)) if isinstance(module, nn.RNNBase) else module(x)
        return x


def of_last(pick, *modules, kind="GRU", both=True, layers=2, **options):
    """A recurrent module with ``pick`` behind it, and more modules."""
    rnn = getattr(nn, kind)(3, 4, layers, bidirectional=both, batch_first=True, **options)
    return Chain(rnn, *(modules or (nn.LazyLinear(2),)), pick=pick)


def both_ends(found):
    return torch.cat([found[0][:, -1, :4], found[0][:, 0, 4:]], dim=1)


def halves(found):
    return found[0][:, :, :4] + found[0][:, :, 4:]


def by_side(found):
    y = found[0]
    return y.view(y.shape[0], y.shape[1], 2, 4).mean(2)


def through_rows(found):
    y = found[0]
    return torch.tanh(y.reshape(-1, 4)).reshape(y.shape[0], -1, 4)


def pooled(found):
    return nn.functional.adaptive_avg_pool1d(found[0].permute(0, 2, 1), 1).squeeze(-1)


LAST, HEAD = xr.LSTM(4, return_sequences=False, double_bias=True), xr.Dense(2)
BOTH, FORWARD = xr.GRU(4, bidirectional=True), xr.GRU(4)
BENDS = (nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Softsign(), nn.Hardtanh(), nn.Hardsigmoid(), nn.SELU(), nn.ELU(0.7),
         nn.LeakyReLU(0.2), nn.Softplus(), nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.Softmax(-1))  # fmt: skip
BENT = ("gelu", "gelu_tanh", "silu", "softsign", "hard_tanh", "hard_sigmoid", "selu", "elu(0.7)", "leaky_relu(0.2)",
        "softplus", "relu", "sigmoid", "tanh", "softmax")  # fmt: skip

# Name -> the module, and the layers that it is.
MODULES = {
    "rnn": (of_last(lambda y: y[0], kind="RNN", both=False, nonlinearity="relu"),
            (*(xr.RNN(4, activation="relu", double_bias=True),) * 2, HEAD)),
    "lstm": (of_last(lambda y: y[0], kind="LSTM"), (*(xr.LSTM(4, bidirectional=True, double_bias=True),) * 2, HEAD)),
    "gru": (of_last(lambda y: y[0], dropout=0.5), (BOTH, BOTH, HEAD)),
    "bare": (of_last(lambda y: y[0], bias=False, both=False, layers=1), (xr.GRU(4, bias=False), HEAD)),
    "last state": (of_last(lambda y: y[1][0][-1], kind="LSTM", both=False, layers=1), (LAST, HEAD)),
    "its backward": (of_last(lambda y: y[1][-1]), (BOTH, xr.GRU(4, reverse=True, return_sequences=False), HEAD)),
    "state of the first": (of_last(lambda y: y[1][0], both=False), (xr.GRU(4, return_sequences=False), HEAD)),
    "squeezed": (of_last(lambda y: y[1][0].squeeze(0), kind="LSTM", both=False, layers=1), (LAST, HEAD)),
    "both last": (of_last(lambda y: torch.cat([y[1][-2], y[1][-1]], dim=1)),
                  (BOTH, xr.GRU(4, bidirectional=True, return_sequences=False), HEAD)),
    "both flat": (of_last(lambda y: y[1].transpose(0, 1).reshape(-1, 8), layers=1),
                  (xr.GRU(4, bidirectional=True, return_sequences=False), HEAD)),
    "both permuted": (of_last(lambda y: y[1].permute(1, 0, 2).flatten(1), layers=1),
                      (xr.GRU(4, bidirectional=True, return_sequences=False), HEAD)),
    "summed states": (of_last(lambda y: y[1].sum(0), layers=1),
                      (xr.GRU(4, bidirectional=True, return_sequences=False, merge="sum"), HEAD)),
    "both ends": (of_last(both_ends, layers=1), (xr.GRU(4, bidirectional=True, return_sequences=False), HEAD)),
    "halves": (of_last(halves), (BOTH, xr.GRU(4, bidirectional=True, merge="sum"), HEAD)),
    "by side": (of_last(by_side), (BOTH, xr.GRU(4, bidirectional=True, merge="mean"), HEAD)),
    "last step": (of_last(lambda y: y[0][:, -1], both=False, layers=1), (xr.GRU(4, return_sequences=False), HEAD)),
    "last of both": (of_last(lambda y: y[0][:, -1, :], layers=1), (BOTH, xr.Pooling("last"), HEAD)),
    "mean": (of_last(lambda y: y[0].mean(1)), (BOTH, BOTH, xr.Pooling("mean"), HEAD)),
    "max": (of_last(lambda y: y[0].max(1).values), (BOTH, BOTH, xr.Pooling("max"), HEAD)),
    "pooled": (of_last(pooled, both=False, layers=1), (FORWARD, xr.Pooling("mean"), HEAD)),
    "flipped": (of_last(lambda y: y[0].flip(1), both=False, layers=1), (FORWARD, xr.Flip(), HEAD)),
    "through rows": (of_last(through_rows, both=False, layers=1), (FORWARD, xr.Activation("tanh"), HEAD)),
    "norms": (Chain(nn.Linear(3, 4, bias=False), nn.LayerNorm(4, eps=1e-3), nn.Dropout(0.5), nn.LayerNorm(4)),
              (xr.Dense(4, bias=False), xr.LayerNorm(1e-3), xr.LayerNorm())),
    "ids": (Chain(nn.Embedding(7, 3), nn.GRU(3, 4, batch_first=True), nn.Linear(4, 7), nn.Softmax(-1)),
            (xr.Embedding(7, 3), FORWARD, xr.Dense(7, "softmax"))),
    "ones": (Chain(nn.LSTM(3, 1, bidirectional=True, batch_first=True), nn.Linear(2, 1)),
             (xr.LSTM(1, bidirectional=True, double_bias=True), xr.Dense(1))),
    "bends": (Chain(*BENDS), tuple(map(xr.Activation, BENT))),
    "bent": (Chain(nn.Linear(3, 3), nn.SiLU(), nn.Linear(3, 2), nn.Softsign()),
             (xr.Dense(3, "silu"), xr.Dense(2, "softsign"))),
}  # fmt: skip
# An opset, and whether batch and time are left open; each module is exported in two of them.
VERSIONS = ((11, True), (13, True), (17, False), (18, True), (20, True))
CASES = [(name, *VERSIONS[(n + k) % len(VERSIONS)]) for n, name in enumerate(MODULES) for k in (0, 2)]


OPEN = {0: "batch", 1: "time"}


def export(module, x, path, opset=17, opened=OPEN):
    """The module as a file, with the axes that are ``opened`` by name."""
    with warnings.catch_warnings(action="ignore"):
        module.eval()(torch.tensor(x))  # lazy modules look at their input
        torch.onnx.export(
            module, (torch.tensor(x),), path, dynamo=False, opset_version=opset, input_names=["x"],
            dynamic_axes={"x": opened} if opened else None,
        )  # fmt: skip


def sample(name, batch=2, time=5):
    rng = np.random.default_rng(0)
    if name == "ids":
        return rng.integers(0, 7, (batch, time))
    return rng.normal(size=(batch, time, 3)).astype("float32")


def run(module, x):
    with torch.no_grad():
        return module(torch.tensor(x)).numpy()


@pytest.mark.parametrize(("name", "opset", "opened"), CASES)
def test_modules(name, opset, opened, tmp_path):
    torch.manual_seed(len(name))
    (module, layers), x = MODULES[name], sample(name)
    export(module, x, tmp_path / "model.onnx", opset, OPEN if opened else None)
    model = load_onnx(tmp_path / "model.onnx")
    assert isinstance(model, xr.Model) and model.layer.layers == layers
    for y in (x, sample(name, 3, 4)) if opened else (x,):
        np.testing.assert_allclose(model(y), run(module, y), rtol=1e-5, atol=1e-6)
    assert model.input_shape[0] == (None if opened else 5)


def test_both_biases_are_kept(tmp_path):
    module = nn.Sequential(nn.Linear(3, 3), Chain(nn.LSTM(3, 4, batch_first=True)))
    export(module, sample("lstm"), tmp_path / "model.onnx")
    params, rnn = load_model(tmp_path / "model.onnx").params["lstm"]["0"], module[1].each[0]
    for name, theirs in (("bx", rnn.bias_ih_l0), ("bh", rnn.bias_hh_l0)):
        np.testing.assert_array_equal(params[name], theirs.detach().numpy())


def test_it_learns(tmp_path):
    """Step by step as PyTorch does with plain gradient descent."""
    torch.manual_seed(1)
    module = Chain(nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True), nn.LayerNorm(8), nn.Linear(8, 2))
    x, y = sample("lstm", 4, 6), np.random.default_rng(1).normal(size=(4, 6, 2)).astype("float32")
    export(module, x, tmp_path / "model.onnx")
    model = load_onnx(tmp_path / "model.onnx", dtype="float64")
    history = model.fit(x.astype(float), y.astype(float), optimizer=xr.SGD(0.1), epochs=4, verbose=False)
    module, losses = module.double(), []
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    for _ in range(4):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(module(torch.tensor(x).double()), torch.tensor(y).double())
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-6)
    assert losses[-1] < 0.9 * losses[0]


class Packed(nn.Module):
    """Sequences whose lengths are an input, and layers that see the padding."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
        self.head = nn.Sequential(nn.Linear(8, 3), nn.ReLU(), nn.Linear(3, 2), nn.LayerNorm(2))

    def forward(self, x, lengths):
        y, _ = self.rnn(nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True))
        return self.head(nn.utils.rnn.pad_packed_sequence(y, batch_first=True)[0])


def test_packed(tmp_path):
    """What the module makes of padding, the model makes of it too."""
    torch.manual_seed(0)
    module, x, lengths = Packed().eval(), sample("lstm", 3, 5), np.array([5, 4, 2])
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            module, (torch.tensor(x), torch.tensor(lengths)), tmp_path / "model.onnx", dynamo=False, opset_version=17,
            input_names=["x", "lengths"], dynamic_axes={"x": OPEN, "lengths": {0: "batch"}},
        )  # fmt: skip
    model = load_onnx(tmp_path / "model.onnx")
    assert isinstance(model, xr.Model)
    for one, ends in ((x, lengths), (sample("lstm", 2, 4), np.array([4, 1]))):
        with torch.no_grad():
            wanted = module(torch.tensor(one), torch.tensor(ends)).numpy()
        np.testing.assert_allclose(model(one, lengths=ends), wanted, rtol=1e-5, atol=1e-5)


def test_time_first(tmp_path):
    """As a graph it keeps the file's axes; as a Model it has the batch first."""
    module = Chain(nn.LSTM(3, 4, 2, bidirectional=True), nn.Linear(8, 2))
    x = sample("lstm")
    turned = np.ascontiguousarray(np.swapaxes(x, 0, 1))
    export(module, turned, tmp_path / "model.onnx", opened={0: "time", 1: "batch"})
    graph, model = load_onnx(tmp_path / "model.onnx"), load_model(tmp_path / "model.onnx")
    assert isinstance(graph, OnnxModel)
    wanted = run(module, turned)
    np.testing.assert_allclose(graph(turned), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model(x), np.swapaxes(wanted, 0, 1), rtol=1e-5, atol=1e-6)


class Residual(Chain):
    def forward(self, x):
        return x + super().forward(x)


def of_time(found):
    return torch.softmax(found[0], dim=1)


OTHERS = {
    "residual": (Residual(nn.LSTM(3, 3, batch_first=True)), "Add node '/Add'"),
    "softmax of time": (of_last(of_time), "Softmax node .* goes over other axes than the features"),
    "log softmax": (Chain(nn.Linear(3, 2), nn.LogSoftmax(-1)), "LogSoftmax node '/each.1/LogSoftmax' is no layer"),
    "turned": (Chain(nn.GRU(3, 4, batch_first=True), pick=lambda y: y[0].transpose(1, 2)), "its output is .batch, fea"),
    "flat": (of_last(lambda y: y[0].reshape(-1, 8)), "its output has each step as a sample"),
    "second last": (of_last(lambda y: y[0][:, -2]), "Gather node .* takes step"),
    "mean of features": (
        of_last(lambda y: y[0].mean(2), nn.ReLU()),
        "ReduceMean node .* the axis of feature",
    ),
    "both directions mixed": (of_last(lambda y: torch.cat([y[1][-1], y[1][-2]], 1)), "Concat node .* in this order"),
    "cell": (of_last(lambda y: y[1][1][-1], kind="LSTM"), "LSTM node .*: the last cell is no layer's output"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_chain(name, tmp_path):
    """It runs as a graph, and the first node that is no layer is named."""
    (module, words), x, path = OTHERS[name], sample(name), tmp_path / "model.onnx"
    export(module, x, path)
    graph = load_onnx(path)
    assert isinstance(graph, OnnxModel)
    np.testing.assert_allclose(graph(x), run(module, x), rtol=1e-5, atol=1e-6)
    with pytest.raises(xr.FileError, match=rf"model.onnx is no chain of layers: .*{words}"):
        load_model(path)
