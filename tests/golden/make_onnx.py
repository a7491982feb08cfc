"""Make tests/golden/onnx with PyTorch and Keras: their models as .onnx files, and what they compute.

    KERAS_BACKEND=torch python tests/golden/make_onnx.py

models.zip holds each NAME.onnx, which are mostly long names. In golden.npz stands under "NAME 0 x" the input x, under
"NAME 0 0" the first output, and so on; under "NAME 1 ..." the same for other sizes, where the file leaves them open.
The exporter is the one of PyTorch 2.13 that goes by TorchScript; a model of Keras 3.15 is a module of PyTorch's there,
and its loops over time are unrolled.
"""

import io
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.utils import rnn as packing

FOLDER = Path(__file__).parent / "onnx"
SIZES, FIXED = ((2, 5), (3, 4)), ((2, 2),)  # batch and time


class Recurrent(nn.Module):
    """A recurrent module and a linear layer over what it gives."""

    def __init__(self, kind, **options):
        super().__init__()
        self.rnn = getattr(nn, kind)(3, 4, **options)
        self.head = nn.Linear(4 * (1 + options.get("bidirectional", False)), 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


class Classifier(nn.Module):
    """Token ids to the scores of classes, over means, largest outputs, last outputs and last states."""

    def __init__(self):
        super().__init__()
        self.embedding, self.norm, self.head = nn.Embedding(9, 3), nn.LayerNorm(6), nn.Linear(6, 4)
        self.rnn = nn.LSTM(3, 3, 2, batch_first=True, bidirectional=True)

    def forward(self, x):
        y, (h, _) = self.rnn(self.embedding(x))
        pooled = torch.cat([h[-2], h[-1]], dim=1) + y.mean(1) + y.max(1).values + y[:, -1]
        return torch.log_softmax(self.head(nn.functional.gelu(self.norm(pooled))), dim=-1)


class Packed(nn.Module):
    """Sequences of different lengths, in any order."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 4, batch_first=True, bidirectional=True)

    def forward(self, x, lengths):
        packed = packing.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, h = self.rnn(packed)
        return packing.pad_packed_sequence(y, batch_first=True)[0], h


class States(nn.Module):
    """States that come in and go out."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 4, 2, batch_first=True)

    def forward(self, x, h, c):
        y, (h, c) = self.rnn(x, (h, c))
        return y, h, c


class Steps(nn.Module):
    """Two cells, step by step."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.LSTMCell(3, 4), nn.GRUCell(4, 4)

    def forward(self, x):
        state, h = None, None
        for t in range(x.shape[1]):
            state = self.first(x[:, t], state)
            h = self.second(state[0], h)
        return h


class Attention(nn.Module):
    """A mean over time, weighted, of what a mask leaves."""

    def __init__(self):
        super().__init__()
        self.rnn, self.score = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x, mask):
        y, _ = self.rnn(x)
        weights = self.score(y).squeeze(-1).masked_fill(~mask, -1e9).softmax(1)
        return torch.bmm(weights.unsqueeze(1), y).squeeze(1)


def activations():
    """All activations that the exporter knows, one after the other."""
    kinds = (
        nn.LeakyReLU(0.2), nn.ELU(0.7), nn.SELU(), nn.CELU(1.3), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(),
        nn.Softplus(), nn.Softsign(), nn.Hardsigmoid(), nn.Hardswish(), nn.Hardtanh(), nn.ReLU6(), nn.PReLU(),
        nn.Tanhshrink(), nn.LogSigmoid(), nn.Softshrink(), nn.Hardshrink(), nn.Softmax(-1), nn.ReLU(),
    )  # fmt: skip
    layers = [layer for kind in kinds for layer in (nn.Linear(3, 3, bias=False), kind)]
    return nn.Sequential(nn.Linear(3, 3), *layers)


class Example(NamedTuple):
    """How a model is made, what it takes (x ids f floats l lengths m mask, s a state), and how it is exported."""

    make: object
    takes: str = "f"
    opset: int = 17
    names: tuple = ("x",)
    axes: tuple | None = ("batch", "time")


EXAMPLES = {
    "rnn": Example(lambda: Recurrent("RNN", num_layers=2, nonlinearity="relu", batch_first=True), opset=13),
    "lstm": Example(lambda: Recurrent("LSTM", num_layers=2, bidirectional=True, batch_first=True)),
    "gru": Example(lambda: Recurrent("GRU", bidirectional=True), opset=9, axes=("time", "batch")),
    "bare": Example(lambda: Recurrent("GRU", bias=False, batch_first=True), opset=11),
    "fixed": Example(lambda: Recurrent("LSTM", batch_first=True), axes=None),
    "classifier": Example(Classifier, takes="x", opset=18),
    "packed": Example(Packed, takes="fl", names=("x", "lengths")),
    "states": Example(States, takes="fss", opset=15, names=("x", "h", "c")),
    "steps": Example(Steps, opset=14, axes=None),
    "attention": Example(Attention, takes="fm", names=("x", "mask")),
    "activations": Example(activations, opset=20),
    "pooling": Example(lambda: nn.Sequential(nn.AvgPool1d(2), nn.BatchNorm1d(2), nn.AdaptiveMaxPool1d(1)), axes=None),
}


def keras_examples():
    """Keras's models, made when they are asked for."""
    from keras import Input, Sequential, layers

    gru = layers.Bidirectional(layers.GRU(2, return_sequences=True))
    tokens = [layers.Embedding(9, 3), gru, layers.LayerNormalization(), layers.Dense(3, "softmax")]
    return {
        "keras_lstm": Example(lambda: Sequential([Input((2, 3)), layers.LSTM(3), layers.Dense(2, "elu")]), axes=None),
        "keras_tokens": Example(lambda: Sequential([Input((2,), dtype="int64"), *tokens]), takes="x", axes=None),
    }


def inputs(example, batch, time, rng):
    """Random inputs of an example."""
    turned = example.axes == ("time", "batch")
    shapes = {"x": (batch, time), "f": (time, batch, 3) if turned else (batch, time, 3), "s": (2, batch, 4)}
    drawn = {
        "x": lambda: rng.integers(0, 9, shapes["x"]),
        "f": lambda: rng.normal(size=shapes["f"]).astype("float32"),
        "s": lambda: rng.normal(size=shapes["s"]).astype("float32"),
        "l": lambda: np.array([time - 2, time, 1][:batch]),
        "m": lambda: np.arange(time) < np.array([time - 2, time, 1][:batch])[:, None],
    }
    return [drawn[one]() for one in example.takes]


def outputs(module, arrays):
    """What a module makes of arrays, as a list of arrays."""
    with torch.no_grad():
        found = module(*map(torch.tensor, arrays))
    return [a.numpy() for a in (found if isinstance(found, tuple) else (found,))]


def export(example, module, arrays):
    """The module as the bytes of a file."""
    file = io.BytesIO()
    open_axes = {"f": 2, "x": 2, "m": 2, "l": 1}
    axes = {
        name: {1: "batch"} if kind == "s" else dict(enumerate(example.axes[: open_axes[kind]]))
        for name, kind in zip(example.names, example.takes, strict=True)
    } if example.axes else None  # fmt: skip
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            module, tuple(map(torch.tensor, arrays)), file, dynamo=False, opset_version=example.opset,
            input_names=list(example.names), dynamic_axes=axes,
        )  # fmt: skip
    return file.getvalue()


def made(example):
    """The file of an example, and its inputs and outputs by name, for each size."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    module, kept = example.make().eval(), []
    for batch, time in SIZES if example.axes else FIXED:
        arrays = inputs(example, batch, time, rng)
        found = dict(zip(example.names, arrays, strict=True))
        kept.append(found | {str(place): a for place, a in enumerate(outputs(module, arrays))})
    return export(example, module, [kept[0][name] for name in example.names]), kept


def main():
    arrays = {}
    with zipfile.ZipFile(FOLDER / "models.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, example in (EXAMPLES | keras_examples()).items():
            data, kept = made(example)
            archive.writestr(zipfile.ZipInfo(f"{name}.onnx"), data, zipfile.ZIP_DEFLATED)
            arrays |= {f"{name} {n} {key}": a for n, one in enumerate(kept) for key, a in one.items()}
    np.savez_compressed(FOLDER / "golden.npz", **arrays)


if __name__ == "__main__":
    main()
