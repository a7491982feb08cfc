"""Metrics: what a model is judged by. Each is a mean over the real elements, a 0-d array; the mask is as in losses."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from .arrays import namespace
from .losses import binary_cross_entropy, cross_entropy, huber, mae, mse
from .ops.masks import clean
from .ops.targets import are_classes, check_mask, check_prediction, numbers, share
from .types import Array, Namespace


def accuracy(y: Array, target: Array, mask: Array | None = None) -> Array:
    """The share of rows (...) of logits y (..., V) whose largest one stands where the target says.

    target:  integer classes (...), or probabilities (..., V) of y's dtype, of which the largest counts. Where V = 1,
             (..., 1): whether y > 0 is compared with whether target > 0.5, and integers and booleans serve too.
    ValueError or TypeError where shapes or kinds don't fit. A class that does not exist counts as missed.
    """
    xp = namespace(y, target, mask)
    check_prediction("accuracy", xp, y)
    hits = _hits(xp, y, target)
    check_mask("accuracy", xp, mask, hits.shape)
    each = share(xp, y, mask, hits.shape)
    return each * xp.sum(xp.astype(clean(xp, hits, mask), y.dtype))


def bits(y: Array, target: Array, mask: Array | None = None) -> Array:
    """Cross-entropy of logits in bits: ``cross_entropy`` / log 2. Two to its power is the perplexity."""
    return cross_entropy(y, target, mask)[0] / math.log(2.0)


def _hits(xp: Namespace, y: Array, target: Array) -> Array:
    """Whether each row (...) of y (..., V) is right."""
    if y.ndim and y.shape[-1] == 1:
        return ((y > 0) == (numbers("accuracy", xp, y, target) > 0.5))[..., 0]
    guess = xp.argmax(y, axis=-1)
    if are_classes("accuracy", xp, y, target):
        return guess == xp.astype(target, guess.dtype)
    return guess == xp.argmax(target, axis=-1)


@dataclass(frozen=True)
class Metric:
    """A measure with the name it is reported under.

    measure: metric(y, target, mask) -> 0-d array, or a loss, of which the value counts.
    """

    name: str
    measure: Callable

    def __call__(self, y: Array, target: Array, mask: Array | None = None) -> Array:
        """The measure of prediction y against target over what is real, a 0-d array."""
        measured = self.measure(y, target, mask)
        return measured[0] if isinstance(measured, tuple) else measured


_NAMES: dict[str, Callable] = {
    "accuracy": accuracy,
    "acc": accuracy,
    "bits": bits,
    "mse": mse,
    "mean_squared_error": mse,
    "mae": mae,
    "mean_absolute_error": mae,
    "huber": huber,
    "cross_entropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
}


def get(metric: str | Callable) -> Metric:
    """The metric of that name, or a function (a metric, a loss, or a partial of one) under its own name.

    ValueError for a name that is not known, TypeError for what is neither a name nor a function.
    """
    if isinstance(metric, Metric):
        return metric
    if isinstance(metric, str):
        if metric not in _NAMES:
            raise ValueError(f"there is no metric called {metric!r}; there are {', '.join(sorted(_NAMES))}")
        return Metric(metric, _NAMES[metric])
    if not callable(metric):
        raise TypeError(f"a metric is a name or a function metric(y, target, mask); got {metric!r}")
    function = metric.func if isinstance(metric, functools.partial) else metric
    return Metric(getattr(function, "__name__", type(function).__name__), metric)
