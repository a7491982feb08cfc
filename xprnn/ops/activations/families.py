"""Activations with numbers: those of the ONNX standard that have an alpha or a beta, and clipping before any."""

from collections.abc import Callable

from ...types import Array, Namespace
from .plain import Activation, clip


def affine(name: str, alpha: float, beta: float) -> Activation:
    """α x + β."""
    return Activation(name, lambda xp, x: alpha * x + beta, lambda xp, y: alpha * xp.ones_like(y), "output")


def leaky_relu(name: str, alpha: float) -> Activation:
    """x from 0 up, α x below (Maas et al., 2013)."""

    def slope(xp: Namespace, x: Array) -> Array:
        return alpha + (1.0 - alpha) * xp.astype(x > 0, x.dtype)

    return Activation(name, lambda xp, x: xp.where(x > 0, x, alpha * x), slope, "input")


def thresholded_relu(name: str, alpha: float) -> Activation:
    """x above α, 0 below (Konda et al., 2014)."""

    def slope(xp: Namespace, x: Array) -> Array:
        return xp.astype(x > alpha, x.dtype)

    return Activation(name, lambda xp, x: xp.where(x > alpha, x, 0.0 * clip(xp, x, 1.0)), slope, "input")


def scaled_tanh(name: str, alpha: float, beta: float) -> Activation:
    """α tanh(β x) (LeCun et al., 1998, have 1.7159 and 2/3)."""

    def slope(xp: Namespace, x: Array) -> Array:
        t = xp.tanh(beta * x)
        return alpha * beta * (1.0 - t * t)

    return Activation(name, lambda xp, x: alpha * xp.tanh(beta * x), slope, "input")


def hard_sigmoid(name: str, alpha: float, beta: float) -> Activation:
    """α x + β, cut to [0, 1] (Courbariaux et al., 2015); ONNX's numbers are 0.2 and 0.5, as were Keras 2's."""

    def function(xp: Namespace, x: Array) -> Array:
        y = alpha * x + beta
        return xp.minimum(xp.maximum(y, xp.zeros_like(y)), xp.ones_like(y))

    def slope(xp: Namespace, x: Array) -> Array:
        y = alpha * x + beta
        return alpha * xp.astype((y > 0) & (y < 1), y.dtype)

    return Activation(name, function, slope, "input")


def elu(name: str, alpha: float) -> Activation:
    """x from 0 up, α (eˣ - 1) below (Clevert et al., 2016)."""

    def below(xp: Namespace, x: Array) -> Array:
        return xp.minimum(x, xp.zeros_like(x))

    def slope(xp: Namespace, x: Array) -> Array:
        return xp.where(x > 0, xp.ones_like(x), alpha * xp.exp(below(xp, x)))

    return Activation(name, lambda xp, x: xp.where(x > 0, x, alpha * xp.expm1(below(xp, x))), slope, "input")


def clipped(name: str, inner: Activation, bound: float) -> Activation:
    """``inner`` of x held between -bound and bound."""
    if not bound > 0:
        raise ValueError(f"the bound of clip must be above 0: {name!r}")

    def slope(xp: Namespace, x: Array) -> Array:
        held = clip(xp, x, bound)
        inside = xp.astype(xp.abs(x) <= bound, x.dtype)
        return inside * inner.slope(xp, inner.saved(held, inner.function(xp, held)))

    return Activation(name, lambda xp, x: inner.function(xp, clip(xp, x, bound)), slope, "input")


# Name -> the maker, and how many numbers it takes.
FAMILIES: dict[str, tuple[Callable[..., Activation], int]] = {
    "affine": (affine, 2),
    "elu": (elu, 1),
    "hard_sigmoid": (hard_sigmoid, 2),
    "leaky_relu": (leaky_relu, 1),
    "scaled_tanh": (scaled_tanh, 2),
    "thresholded_relu": (thresholded_relu, 1),
}
