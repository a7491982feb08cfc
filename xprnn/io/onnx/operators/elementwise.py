"""Operators on each number by itself: arithmetic, comparison, logic."""

import functools

from ....ops.erf import erf
from ....types import Array, Namespace
from .base import Operator, is_float, like


def _plain(name: str) -> Operator:
    """The function that the array-API standard has under this name."""
    return Operator(lambda xp, *x: getattr(xp, name)(*x))


def _folded(name: str) -> Operator:
    """A function of two arrays, over any number of them."""
    return Operator(lambda xp, *x: functools.reduce(getattr(xp, name), x))


def divide(xp: Namespace, a: Array, b: Array) -> Array:
    """a / b; of integers towards 0, as in C."""
    if is_float(xp, a):
        return a / b
    if xp.isdtype(a.dtype, "unsigned integer"):
        return a // b
    return xp.sign(a) * xp.sign(b) * (xp.abs(a) // xp.abs(b))


def power(xp: Namespace, x: Array, y: Array) -> Array:
    """x to the y, in x's dtype whatever y's is."""
    if is_float(xp, x) or not is_float(xp, y):
        return xp.pow(x, xp.astype(y, x.dtype))
    return xp.astype(xp.pow(xp.astype(x, y.dtype), y), x.dtype)


def mod(xp: Namespace, a: Array, b: Array, *, fmod: int = 0) -> Array:
    """The remainder, of b's sign; of a's, as in C, where ``fmod``."""
    if not fmod:
        return xp.remainder(a, b)
    if xp.isdtype(a.dtype, "unsigned integer"):
        return xp.remainder(a, b)
    size = xp.remainder(xp.abs(a), xp.abs(b))
    return xp.where(a < 0, -size, size)


def reciprocal(xp: Namespace, x: Array) -> Array:
    return 1 / x


def mean(xp: Namespace, *x: Array) -> Array:
    return functools.reduce(xp.add, x) / len(x)


def clip(
    xp: Namespace, x: Array, low: Array | None = None, high: Array | None = None, *,
    min: float | None = None, max: float | None = None,
) -> Array:  # fmt: skip
    """x held between the bounds that there are; ``high`` wins where they cross."""
    low = like(xp, min, x) if min is not None else low
    high = like(xp, max, x) if max is not None else high
    x = x if low is None else xp.maximum(x, low)
    return x if high is None else xp.minimum(x, high)


def is_infinite(xp: Namespace, x: Array, *, detect_negative: int = 1, detect_positive: int = 1) -> Array:
    wanted = xp.isinf(x)
    wanted = wanted if detect_negative else wanted & (x > 0)
    return wanted if detect_positive else wanted & (x < 0)


def where(xp: Namespace, condition: Array, a: Array, b: Array) -> Array:
    return xp.where(condition, a, b)


def identity(xp: Namespace, x: Array) -> Array:
    return x


TABLE = {
    "Abs": _plain("abs"), "Add": _plain("add"), "And": _plain("logical_and"), "Ceil": _plain("ceil"),
    "Clip": Operator(clip), "Cos": _plain("cos"), "Div": Operator(divide), "Equal": _plain("equal"),
    "Erf": Operator(erf), "Exp": _plain("exp"), "Floor": _plain("floor"), "Greater": _plain("greater"),
    "GreaterOrEqual": _plain("greater_equal"), "Identity": Operator(identity), "IsInf": Operator(is_infinite),
    "IsNaN": _plain("isnan"), "Less": _plain("less"), "LessOrEqual": _plain("less_equal"), "Log": _plain("log"),
    "Max": _folded("maximum"), "Mean": Operator(mean), "Min": _folded("minimum"), "Mod": Operator(mod),
    "Mul": _plain("multiply"), "Neg": _plain("negative"), "Not": _plain("logical_not"), "Or": _plain("logical_or"),
    "Pow": Operator(power), "Reciprocal": Operator(reciprocal), "Round": _plain("round"), "Sign": _plain("sign"),
    "Sin": _plain("sin"), "Sqrt": _plain("sqrt"), "Sub": _plain("subtract"), "Sum": _folded("add"),
    "Where": Operator(where), "Xor": _plain("logical_xor"),
}  # fmt: skip
