"""Activations without numbers of their own: each a function and its slope, elementwise, in its argument's dtype.

A slope is told either the input or the output, whichever makes it shorter (``Activation.of``); where an activation has
a corner, its slope there is the one PyTorch takes. Nothing overflows at any finite input, except ``exp`` itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ...types import Array, Namespace
from ..erf import erf

LEAK = 0.01
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805
GELU_RATE = 0.7978845608028654  # √(2/π)
GELU_CUBE = 0.044715
HALF_ROOT = 0.7071067811865476  # √½
DENSITY = 0.3989422804014327  # 1/√(2π)


@dataclass(frozen=True)
class Activation:
    """An elementwise function with its slope.

    function(xp, x) is y; slope(xp, v) is dy/dx, a new array, where v is x or y as ``of`` says.
    """

    name: str
    function: Callable[[Namespace, Array], Array]
    slope: Callable[[Namespace, Array], Array]
    of: Literal["input", "output"]

    def saved(self, x: Array, y: Array) -> Array:
        """The one of input and output that the slope wants."""
        return x if self.of == "input" else y


def sigmoid(xp: Namespace, x: Array) -> Array:
    """1 / (1 + e⁻ˣ), written with tanh so that it cannot overflow."""
    return 0.5 * (xp.tanh(0.5 * x) + 1.0)


def _sigmoid_slope(xp: Namespace, y: Array) -> Array:
    return y * (1.0 - y)


def _identity(xp: Namespace, x: Array) -> Array:
    return x


def _identity_slope(xp: Namespace, y: Array) -> Array:
    return xp.ones_like(y)


def _tanh(xp: Namespace, x: Array) -> Array:
    return xp.tanh(x)


def _tanh_slope(xp: Namespace, y: Array) -> Array:
    return 1.0 - y * y


def _relu(xp: Namespace, x: Array) -> Array:
    """max(x, 0) (Nair and Hinton, 2010)."""
    return xp.maximum(x, xp.zeros_like(x))


def _relu_slope(xp: Namespace, y: Array) -> Array:
    return xp.astype(y > 0, y.dtype)


def _leaky_relu(xp: Namespace, x: Array) -> Array:
    """x above 0, 0.01 x below (Maas et al., 2013)."""
    return xp.maximum(x, LEAK * x)


def _leaky_relu_slope(xp: Namespace, y: Array) -> Array:
    return LEAK + (1.0 - LEAK) * xp.astype(y > 0, y.dtype)


def _expm1_below(xp: Namespace, x: Array) -> Array:
    """eˣ - 1 for negative x and 0 for positive x, where eˣ could overflow."""
    return xp.expm1(xp.minimum(x, xp.zeros_like(x)))


def _elu(xp: Namespace, x: Array) -> Array:
    """x above 0, eˣ - 1 below (Clevert et al., 2016)."""
    return xp.where(x > 0, x, _expm1_below(xp, x))


def _elu_slope(xp: Namespace, y: Array) -> Array:
    return xp.where(y > 0, xp.ones_like(y), y + 1.0)


def _selu(xp: Namespace, x: Array) -> Array:
    """λ x above 0, λ α (eˣ - 1) below (Klambauer et al., 2017)."""
    return SELU_SCALE * xp.where(x > 0, x, SELU_ALPHA * _expm1_below(xp, x))


def _selu_slope(xp: Namespace, y: Array) -> Array:
    return xp.where(y > 0, SELU_SCALE * xp.ones_like(y), y + SELU_SCALE * SELU_ALPHA)


def _softplus(xp: Namespace, x: Array) -> Array:
    """log(1 + eˣ) (Dugas et al., 2001)."""
    return _relu(xp, x) + xp.log1p(xp.exp(-xp.abs(x)))


def _softsign(xp: Namespace, x: Array) -> Array:
    """x / (1 + |x|) (Bergstra et al., 2009)."""
    return x / (1.0 + xp.abs(x))


def _softsign_slope(xp: Namespace, y: Array) -> Array:
    return xp.square(1.0 - xp.abs(y))


def _silu(xp: Namespace, x: Array) -> Array:
    """x σ(x) (Elfwing et al., 2018)."""
    return x * sigmoid(xp, x)


def _silu_slope(xp: Namespace, x: Array) -> Array:
    s = sigmoid(xp, x)
    return s + x * (s * (1.0 - s))


def clip(xp: Namespace, x: Array, bound: float) -> Array:
    """x held between -bound and bound."""
    limit = bound * xp.ones_like(x)
    return xp.minimum(xp.maximum(x, -limit), limit)


def _gelu_tanh(xp: Namespace, x: Array) -> Array:
    """½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), near x Φ(x) within 5e-4 (Hendrycks and Gimpel, 2016)."""
    v = clip(xp, x, 10.0)  # beyond it tanh is ±1 in float64, while the cube could overflow
    return 0.5 * x * (1.0 + xp.tanh(GELU_RATE * (v + GELU_CUBE * (v * v * v))))


def _gelu_tanh_slope(xp: Namespace, x: Array) -> Array:
    v = clip(xp, x, 10.0)
    t = xp.tanh(GELU_RATE * (v + GELU_CUBE * (v * v * v)))
    return 0.5 * (1.0 + t) + 0.5 * GELU_RATE * (1.0 - t * t) * v * (1.0 + 3.0 * GELU_CUBE * (v * v))


def _gelu(xp: Namespace, x: Array) -> Array:
    """x Φ(x), with Φ the normal distribution's (Hendrycks and Gimpel, 2016)."""
    return 0.5 * x * (1.0 + erf(xp, HALF_ROOT * x))


def _gelu_slope(xp: Namespace, x: Array) -> Array:
    v = clip(xp, x, 40.0)  # beyond it the density is 0, while the square could overflow
    return 0.5 * (1.0 + erf(xp, HALF_ROOT * x)) + DENSITY * v * xp.exp(-0.5 * (v * v))


def _hard_sigmoid(xp: Namespace, x: Array) -> Array:
    """x/6 + ½, cut to [0, 1] (as in PyTorch and Keras 3)."""
    return clip(xp, x, 3.0) / 6.0 + 0.5


def _hard_sigmoid_slope(xp: Namespace, x: Array) -> Array:
    return xp.astype(xp.abs(x) < 3.0, x.dtype) / 6.0


def _hard_tanh(xp: Namespace, x: Array) -> Array:
    """x, cut to [-1, 1] (Collobert, 2004)."""
    return clip(xp, x, 1.0)


def _hard_tanh_slope(xp: Namespace, y: Array) -> Array:
    return xp.astype(xp.abs(y) < 1.0, y.dtype)


def _exp(xp: Namespace, x: Array) -> Array:
    return xp.exp(x)


def _exp_slope(xp: Namespace, y: Array) -> Array:
    return 1.0 * y


IDENTITY = Activation("identity", _identity, _identity_slope, "output")
TANH = Activation("tanh", _tanh, _tanh_slope, "output")
SIGMOID = Activation("sigmoid", sigmoid, _sigmoid_slope, "output")
RELU = Activation("relu", _relu, _relu_slope, "output")
LEAKY_RELU = Activation("leaky_relu", _leaky_relu, _leaky_relu_slope, "output")
ELU = Activation("elu", _elu, _elu_slope, "output")
SELU = Activation("selu", _selu, _selu_slope, "output")
SOFTPLUS = Activation("softplus", _softplus, sigmoid, "input")
SOFTSIGN = Activation("softsign", _softsign, _softsign_slope, "output")
SILU = Activation("silu", _silu, _silu_slope, "input")
GELU = Activation("gelu", _gelu, _gelu_slope, "input")
GELU_TANH = Activation("gelu_tanh", _gelu_tanh, _gelu_tanh_slope, "input")
HARD_SIGMOID = Activation("hard_sigmoid", _hard_sigmoid, _hard_sigmoid_slope, "input")
HARD_TANH = Activation("hard_tanh", _hard_tanh, _hard_tanh_slope, "output")
EXP = Activation("exp", _exp, _exp_slope, "output")

_ALL = (
    IDENTITY, TANH, SIGMOID, RELU, LEAKY_RELU, ELU, SELU, SOFTPLUS, SOFTSIGN, SILU, GELU, GELU_TANH,
    HARD_SIGMOID, HARD_TANH, EXP,
)
ACTIVATIONS = {one.name: one for one in _ALL} | {"linear": IDENTITY, "swish": SILU}
