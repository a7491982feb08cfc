"""Activations as operators."""

import math

from ....ops.activations import get
from ....ops.erf import erf
from ....types import Array, Namespace
from .base import Operator


def _named(name: str) -> Operator:
    """The activation that is known here under this name."""
    return Operator(lambda xp, x: get(name).function(xp, x))


def sigmoid(xp: Namespace, x: Array) -> Array:
    """1 / (1 + e⁻ˣ), with a small relative error also far below 0: some files take its logarithm."""
    e = xp.exp(-xp.abs(x))
    return xp.where(x < 0, e, xp.ones_like(e)) / (1 + e)


def elu(xp: Namespace, x: Array, *, alpha: float = 1.0) -> Array:
    return get(f"elu({alpha!r})").function(xp, x)


def selu(xp: Namespace, x: Array, *, alpha: float = 1.6732632423543772, gamma: float = 1.0507009873554805) -> Array:
    return gamma * elu(xp, x, alpha=alpha)


def celu(xp: Namespace, x: Array, *, alpha: float = 1.0) -> Array:
    return alpha * elu(xp, x / alpha)


def leaky_relu(xp: Namespace, x: Array, *, alpha: float = 0.01) -> Array:
    return xp.where(x < 0, alpha * x, x)


def prelu(xp: Namespace, x: Array, slope: Array) -> Array:
    return xp.where(x < 0, slope * x, x)


def thresholded_relu(xp: Namespace, x: Array, *, alpha: float = 1.0) -> Array:
    return xp.where(x > alpha, x, xp.zeros_like(x))


def hard_sigmoid(xp: Namespace, x: Array, *, alpha: float = 0.2, beta: float = 0.5) -> Array:
    return get(f"hard_sigmoid({alpha!r}, {beta!r})").function(xp, x)


def hard_swish(xp: Namespace, x: Array) -> Array:
    return x * get("hard_sigmoid").function(xp, x)


def gelu(xp: Namespace, x: Array, *, approximate: str = "none") -> Array:
    if approximate == "tanh":
        return get("gelu_tanh").function(xp, x)
    return 0.5 * x * (1 + erf(xp, x * math.sqrt(0.5)))


def mish(xp: Namespace, x: Array) -> Array:
    return x * xp.tanh(get("softplus").function(xp, x))


TABLE = {
    "Celu": Operator(celu), "Elu": Operator(elu), "Gelu": Operator(gelu), "HardSigmoid": Operator(hard_sigmoid),
    "HardSwish": Operator(hard_swish), "LeakyRelu": Operator(leaky_relu), "Mish": Operator(mish),
    "PRelu": Operator(prelu), "Relu": _named("relu"), "Selu": Operator(selu), "Sigmoid": Operator(sigmoid),
    "Softplus": _named("softplus"), "Softsign": _named("softsign"), "Tanh": _named("tanh"),
    "ThresholdedRelu": Operator(thresholded_relu),
}  # fmt: skip
