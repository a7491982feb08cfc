"""Losses: each gives its value, a 0-d array, and the gradient of that value with respect to the prediction.

The value is the mean over the real elements. ``mask`` is boolean, True where an element is real, and has the shape of
the prediction's first axes: (B, T) serves (B, T, D). What stands where it is False, NaN included, changes nothing;
where nothing is real, as in an empty batch, value and gradient are 0. Shapes that differ raise ValueError and kinds
that do not fit TypeError; no array is broadcast. No loss waits for its device.
"""

import functools
import math
from collections.abc import Callable

from .arrays import device, namespace
from .gpu import Device, device_for
from .objectives import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    Objective,
    SparseCategoricalCrossentropy,
)
from .ops import losses as at_once
from .ops.masks import clean
from .ops.softmax import parts
from .ops.targets import are_classes, check_mask, check_prediction, numbers, share
from .types import Array, Namespace

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Huber",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "binary_cross_entropy",
    "cross_entropy",
    "get",
    "huber",
    "mae",
    "mse",
]

Loss = Callable[..., tuple[Array, Array]]


def mse(y: Array, target: Array, mask: Array | None = None) -> tuple[Array, Array]:
    """Mean squared error, mean (y − target)², and its gradient 2 (y − target) / n.

    Both arrays are (...), the target of y's dtype, or integer or boolean.
    """
    target, gpu = _checked("mse", y, target, mask)
    if gpu is not None:
        return at_once.elements(gpu, "Squared", y, target, mask)
    xp, difference, each = _difference(y, target, mask)
    return each * xp.sum(difference * difference), (2.0 * each) * difference


def mae(y: Array, target: Array, mask: Array | None = None) -> tuple[Array, Array]:
    """Mean absolute error, mean |y − target|, and its gradient sign(y − target) / n, which is 0 where they are equal.

    Both arrays are (...), the target of y's dtype, or integer or boolean.
    """
    target, gpu = _checked("mae", y, target, mask)
    if gpu is not None:
        return at_once.elements(gpu, "Absolute", y, target, mask)
    xp, difference, each = _difference(y, target, mask)
    return each * xp.sum(xp.abs(difference)), each * xp.sign(difference)


def huber(y: Array, target: Array, mask: Array | None = None, delta: float = 1.0) -> tuple[Array, Array]:
    """Huber's loss (1964) of d = y − target: mean of ½ d² where |d| ≤ delta, else delta (|d| − ½ delta).

    With c = d clipped to ±delta both branches are c (d − ½ c), and the gradient is c / n. Both arrays are (...), the
    target of y's dtype, or integer or boolean.
    ValueError unless delta is above 0.
    """
    if not 0.0 < delta < math.inf:
        raise ValueError(f"huber: delta={delta!r}; wanted a number above 0")
    target, gpu = _checked("huber", y, target, mask)
    if gpu is not None:
        return at_once.elements(gpu, "Huber", y, target, mask, float(delta))
    xp, difference, each = _difference(y, target, mask)
    clipped = xp.clip(difference, -float(delta), float(delta))
    return each * xp.sum(clipped * (difference - 0.5 * clipped)), each * clipped


def binary_cross_entropy(y: Array, target: Array, mask: Array | None = None) -> tuple[Array, Array]:
    """Mean of −t log σ(y) − (1 − t) log(1 − σ(y)), and its gradient (σ(y) − t) / n, for logits y and t in [0, 1].

    Both arrays are (...), the target of y's dtype, or integer or boolean. Computed as max(y, 0) − y t +
    log(1 + exp −|y|), which neither overflows nor cancels.
    """
    target, gpu = _checked("binary_cross_entropy", y, target, mask)
    if gpu is not None:
        return at_once.elements(gpu, "Binary", y, target, mask)
    xp = namespace(y)
    y, target = clean(xp, y, mask), clean(xp, target, mask)
    each = share(xp, y, mask, y.shape)
    small = xp.exp(-xp.abs(y))
    losses = xp.where(y > 0, y, xp.zeros_like(y)) - y * target + xp.log1p(small)
    tail = small / (1.0 + small)
    slopes = xp.where(y > 0, (1.0 - target) - tail, tail - target)
    return each * xp.sum(clean(xp, losses, mask)), each * clean(xp, slopes, mask)


def cross_entropy(
    y: Array, target: Array, mask: Array | None = None, label_smoothing: float = 0.0
) -> tuple[Array, Array]:
    """Mean over (...) of −Σ qᵥ log softmax(y)ᵥ, and its gradient (Σq · softmax(y) − q) / n, for logits y (..., V).

    target:  integer classes (...), for which q is 1 at the class, or probabilities q (..., V) of y's dtype.
    mask:    has the first axes of (...).
    label_smoothing:  in [0, 1): q becomes (1 − ε) q + ε / V (Szegedy et al. 2016).

    A class below 0 or not below V makes the value, and that row of the gradient, NaN: to raise would need a look at the
    data. The value is summed in y's dtype.
    """
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"cross_entropy: label_smoothing={label_smoothing!r}; wanted a number from 0 to below 1")
    xp = namespace(y, target, mask)
    check_prediction("cross_entropy", xp, y)
    of_classes = _of_classes if are_classes("cross_entropy", xp, y, target) else _of_probabilities
    check_mask("cross_entropy", xp, mask, y.shape[:-1])
    gpu = _device(y)
    if gpu is not None:
        return at_once.cross_entropy(gpu, y, target, mask, float(label_smoothing))
    losses, slopes, ones = of_classes(xp, clean(xp, y, mask), clean(xp, target, mask), float(label_smoothing))
    each = share(xp, y, mask, y.shape[:-1]) * clean(xp, ones, mask)
    return xp.sum(each * losses), xp.expand_dims(each, axis=-1) * slopes


def _of_classes(xp: Namespace, y: Array, target: Array, smoothing: float) -> tuple[Array, Array, Array]:
    """Losses (...), gradients (..., V), and 1 where the class exists, else NaN (...), for integer targets (...)."""
    count = y.shape[-1]
    classes = xp.arange(count, device=device(y))
    target = xp.astype(target, classes.dtype)
    hit = xp.expand_dims(target, axis=-1) == classes
    shifted, exponentials, total = parts(xp, y)
    losses = xp.log(total)[..., 0] - (1.0 - smoothing) * xp.sum(xp.where(hit, shifted, xp.zeros_like(y)), axis=-1)
    slopes = exponentials / total
    slopes = xp.where(hit, slopes - (1.0 - smoothing), slopes)
    if smoothing:
        losses = losses - smoothing * xp.mean(shifted, axis=-1)
        slopes = slopes - smoothing / count
    exists = xp.logical_and(target >= 0, target < count)
    ones = xp.ones_like(losses)
    return losses, slopes, xp.where(exists, ones, math.nan * ones)


def _of_probabilities(xp: Namespace, y: Array, target: Array, smoothing: float) -> tuple[Array, Array, Array]:
    """Losses (...), gradients (..., V), and ones (...), for target probabilities (..., V) of any sum."""
    if smoothing:
        target = (1.0 - smoothing) * target + smoothing / y.shape[-1]
    shifted, exponentials, total = parts(xp, y)
    weight = xp.sum(target, axis=-1, keepdims=True)
    losses = (weight * xp.log(total))[..., 0] - xp.sum(target * shifted, axis=-1)
    return losses, weight * (exponentials / total) - target, xp.ones_like(losses)


def _checked(name: str, y: Array, target: Array, mask: Array | None) -> tuple[Array, Device | None]:
    """The target, which must be of y's shape, in y's dtype; and the GPU that computes the loss at once, if one does."""
    xp = namespace(y, target, mask)
    check_prediction(name, xp, y)
    target = numbers(name, xp, y, target)
    check_mask(name, xp, mask, y.shape)
    return target, _device(y)


def _device(y: Array) -> Device | None:
    """The GPU that computes a loss of y at once; None for any other array and for one without elements."""
    return device_for(y) if 0 not in y.shape else None


def _difference(y: Array, target: Array, mask: Array | None) -> tuple[Namespace, Array, float | Array]:
    """The namespace, y − target (0 where the mask is False), and each real element's share in a mean."""
    xp = namespace(y)
    return xp, clean(xp, y, mask) - clean(xp, target, mask), share(xp, y, mask, y.shape)


# Keras's names for cross-entropy stand here for the losses of logits, as with Keras's from_logits=True.
_NAMES: dict[str, Loss] = {
    "mse": mse,
    "mean_squared_error": mse,
    "mae": mae,
    "mean_absolute_error": mae,
    "huber": huber,
    "cross_entropy": cross_entropy,
    "categorical_crossentropy": cross_entropy,
    "sparse_categorical_crossentropy": cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "binary_crossentropy": binary_cross_entropy,
}


def get(loss: str | Loss | Objective) -> Loss:
    """The loss of that name or object, or ``loss`` itself where it is a function. All cross-entropies are of logits.

    ValueError for a name that is not known or an object that wants probabilities, TypeError for anything else.
    """
    if isinstance(loss, Objective):
        if loss.wants_probabilities:
            raise ValueError(f"{loss} is of probabilities, and losses are of logits: give from_logits=True")
        return functools.partial(_NAMES[loss.loss], **loss.options)
    if isinstance(loss, str):
        if loss not in _NAMES:
            raise ValueError(f"there is no loss called {loss!r}; there are {', '.join(sorted(_NAMES))}")
        return _NAMES[loss]
    if not callable(loss):
        raise TypeError(f"a loss is a name or a function loss(y, target, mask); got {loss!r}")
    return loss
