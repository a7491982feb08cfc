"""ONNX's activations and ours: those that RNN, LSTM and GRU may name, and operators that are one, or make one up.

``COMPOSED`` holds expressions, which are written as they stand and known again when they are read: a tuple is an
operator and its inputs, ``X`` what is bent, a number a constant, a name in quotes one of the activation's own numbers.
"""

from typing import Any

import numpy as np

from ...ops.activations import Name, parse

X = "x"

# What RNN, LSTM and GRU call the activations that they may have.
IN_CELLS = {
    "affine": "Affine", "elu": "Elu", "hard_sigmoid": "HardSigmoid", "leaky_relu": "LeakyRelu", "relu": "Relu",
    "scaled_tanh": "ScaledTanh", "sigmoid": "Sigmoid", "softplus": "Softplus", "softsign": "Softsign", "tanh": "Tanh",
    "thresholded_relu": "ThresholdedRelu",
}  # fmt: skip
# The operators that are activations; an activation's numbers are their attributes alpha and beta.
OPERATORS = {
    "elu": "Elu", "exp": "Exp", "hard_sigmoid": "HardSigmoid", "leaky_relu": "LeakyRelu", "relu": "Relu",
    "selu": "Selu", "sigmoid": "Sigmoid", "softplus": "Softplus", "softsign": "Softsign", "tanh": "Tanh",
    "thresholded_relu": "ThresholdedRelu",
}  # fmt: skip
NUMBERS = ("alpha", "beta")

_CUBE = ("Mul", X, ("Mul", X, X))
_INNER = ("Mul", 0.7978845608028654, ("Add", X, ("Mul", 0.044715, _CUBE)))
COMPOSED: dict[str, tuple] = {
    "affine": ("Add", ("Mul", X, "alpha"), "beta"),
    "gelu": ("Mul", 0.5, ("Mul", X, ("Add", 1.0, ("Erf", ("Mul", X, 0.7071067811865476))))),
    "gelu_tanh": ("Mul", 0.5, ("Mul", X, ("Add", 1.0, ("Tanh", _INNER)))),
    "hard_tanh": ("Clip", X, -1.0, 1.0),
    "scaled_tanh": ("Mul", ("Tanh", ("Mul", X, "beta")), "alpha"),
    "silu": ("Mul", X, ("Sigmoid", X)),
}

# Activations without numbers of their own that have some in ONNX.
_PLAIN: dict[str, tuple[str, tuple[float, ...]]] = {
    "elu": ("elu", (1.0,)), "hard_sigmoid": ("hard_sigmoid", (1 / 6, 0.5)), "identity": ("affine", (1.0, 0.0)),
    "leaky_relu": ("leaky_relu", (0.01,)), "linear": ("affine", (1.0, 0.0)), "swish": ("silu", ()),
}  # fmt: skip


def numbered(name: str) -> Name:
    """The parts of an activation's name, with the numbers that it has in ONNX: "leaky_relu" has 0.01."""
    bound, stem, numbers = parse(name)
    return Name(bound, *((stem, numbers) if numbers else _PLAIN.get(stem, (stem, ()))))


def spelled(stem: str, numbers: tuple[float, ...] = (), bound: float | None = None) -> str:
    """Our shortest name of an activation, the reverse of ``numbered``: leaky_relu(0.01) is "leaky_relu"."""
    for plain, (other, known) in _PLAIN.items():
        if stem == other and known and numbers in (known, tuple(map(short, known))):
            stem, numbers = plain, ()
    written = f"{stem}({', '.join(map(_written, numbers))})" if numbers else stem
    return written if bound is None else f"clip({_written(bound)}) {written}"


def short(number: Any) -> float:
    """A number of the file as it was before it went through float32: 0.009999999776 is 0.01; one in float64 as it is.

    Attributes, which are Python's floats here, are float32 in files.
    """
    wide = isinstance(number, np.ndarray) and number.dtype == np.float64
    return number.item() if wide else float(str(np.asarray(number, np.float32).reshape(())))


def _written(number: float) -> str:
    return str(number).removesuffix(".0")
