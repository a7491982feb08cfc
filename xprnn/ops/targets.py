"""What a prediction is compared with: the shapes and kinds that fit, and the mean over the elements that are real.

All checks look at shapes and dtypes alone, so they cost nothing on any device.
"""

import math

from ..types import Array, Namespace


def check_prediction(name: str, xp: Namespace, y: Array) -> None:
    """Raise TypeError unless ``y`` holds real floating-point numbers."""
    if not xp.isdtype(y.dtype, "real floating"):
        raise TypeError(f"{name}: the prediction has dtype {y.dtype}; wanted real floating-point numbers")


def check_mask(name: str, xp: Namespace, mask: Array | None, elements: tuple[int, ...]) -> None:
    """Raise unless ``mask`` is boolean and its shape is that of the first axes of ``elements``."""
    if mask is None:
        return
    if not xp.isdtype(mask.dtype, "bool"):
        raise TypeError(f"{name}: the mask has dtype {mask.dtype}; wanted bool, True where an element is real")
    shape = tuple(mask.shape)
    if shape != tuple(elements[: mask.ndim]):
        raise ValueError(f"{name}: the mask has shape {shape}; wanted {tuple(elements)} or its first axes")


def numbers(name: str, xp: Namespace, y: Array, target: Array) -> Array:
    """``target`` in y's dtype, where it has y's shape and can stand in that dtype (integers and booleans can)."""
    if tuple(target.shape) != tuple(y.shape):
        shapes = f"the target has shape {tuple(target.shape)}, the prediction {tuple(y.shape)}"
        raise ValueError(f"{name}: {shapes}; wanted equal shapes (nothing is broadcast)")
    if xp.isdtype(target.dtype, ("integral", "bool")):
        return xp.astype(target, y.dtype)
    if target.dtype != y.dtype:
        raise TypeError(f"{name}: the target has dtype {target.dtype}, the prediction {y.dtype}; convert one of them")
    return target


def are_classes(name: str, xp: Namespace, y: Array, target: Array) -> bool:
    """Whether ``target`` is classes (...), integers, not probabilities (..., V), for y (..., V); raise if neither."""
    if y.ndim == 0 or y.shape[-1] == 0:
        raise ValueError(f"{name}: the prediction has shape {tuple(y.shape)}; wanted (..., V) with V classes, V > 0")
    shape, integers = tuple(y.shape), xp.isdtype(target.dtype, "integral")
    wanted = shape[:-1] if integers else shape
    if tuple(target.shape) != wanted:
        kind = "integer" if integers else str(target.dtype)
        raise ValueError(
            f"{name}: the {kind} target has shape {tuple(target.shape)}, the prediction {shape}; "
            f"wanted classes as integers {shape[:-1]} or probabilities as {y.dtype} {shape}"
        )
    if not integers and target.dtype != y.dtype:
        raise TypeError(f"{name}: the target has dtype {target.dtype}; wanted integers, or probabilities as {y.dtype}")
    return integers


def share(xp: Namespace, y: Array, mask: Array | None, elements: tuple[int, ...]) -> float | Array:
    """1 / n, where n is how many of ``elements`` are real (1 where none is): what each adds to a mean.

    Without a mask n is known from the shape and the share is a Python float; with one it is a 0-d array of y's dtype.
    """
    if mask is None:
        return 1.0 / max(math.prod(elements), 1)
    count = xp.sum(xp.astype(mask, y.dtype)) * float(math.prod(elements[mask.ndim :]))
    return 1.0 / xp.where(count > 0, count, xp.ones_like(count))
