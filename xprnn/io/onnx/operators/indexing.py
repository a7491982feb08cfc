"""Operators that pick entries by number."""

from ....arrays import device
from ....types import Array, Namespace
from .base import Operator, position


def gather(xp: Namespace, x: Array, indices: Array, *, axis: int = 0) -> Array:
    """The slices of x along an axis that ``indices`` name, which stand where they stand."""
    axis = position(axis, x.ndim)
    flat = xp.reshape(_forward(xp, indices, x.shape[axis]), (-1,))
    return xp.reshape(xp.take(x, flat, axis=axis), (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def gather_elements(xp: Namespace, x: Array, indices: Array, *, axis: int = 0) -> Array:
    """For each of ``indices`` the entry of x in its place, but for the axis, where it is the index."""
    axis = position(axis, x.ndim)
    x = x[tuple(slice(size if n != axis else None) for n, size in enumerate(indices.shape))]
    return xp.take_along_axis(x, _forward(xp, indices, x.shape[axis]), axis=axis)


def scatter_elements(
    xp: Namespace, x: Array, indices: Array, updates: Array, *, axis: int = 0, reduction: str = "none"
) -> Array:
    """x with ``updates`` in the places that ``indices`` name along an axis; the other axes are as long as x's."""
    axis = position(axis, x.ndim)
    aligned = tuple(x.shape[n] if n != axis else size for n, size in enumerate(indices.shape))
    if tuple(indices.shape) != aligned:
        raise ValueError(f"its indices are of shape {tuple(indices.shape)}, and not {aligned}")
    places = xp.reshape(xp.arange(x.shape[axis], dtype=indices.dtype, device=device(x)), (-1, 1))
    rows = xp.moveaxis(_forward(xp, indices, x.shape[axis]), axis, -1)[..., None, :]
    hit = rows == places  # (..., place, update)
    which = xp.argmax(xp.astype(hit, indices.dtype), axis=-1)
    found = xp.take_along_axis(xp.moveaxis(updates, axis, -1), which, axis=-1)
    return xp.moveaxis(xp.where(xp.any(hit, axis=-1), found, xp.moveaxis(x, axis, -1)), -1, axis)


def one_hot(xp: Namespace, indices: Array, depth: tuple[int], values: Array, *, axis: int = -1) -> Array:
    """``values`` [off, on] along a new axis of ``depth``, on where it is the index; nowhere if that is out of range."""
    count = int(depth[0])
    places = xp.arange(count, dtype=indices.dtype, device=device(indices))
    hit = _forward(xp, indices, count)[..., None] == places
    return xp.moveaxis(xp.where(hit, values[1, ...], values[0, ...]), -1, position(axis, hit.ndim))


def top(
    xp: Namespace, x: Array, k: tuple[int] | int, *, axis: int = -1, largest: int = 1, sorted: int = 1
) -> tuple[Array, Array]:
    """The k largest or smallest along an axis in order, and where they are; of equals the first comes first."""
    count = int(k if isinstance(k, int) else k[0])
    axis = position(axis, x.ndim)
    if largest:  # not every library sorts downwards
        order = x.shape[axis] - 1 - xp.flip(xp.argsort(xp.flip(x, axis=axis), axis=axis, stable=True), axis=axis)
    else:
        order = xp.argsort(x, axis=axis, stable=True)
    order = order[(*(slice(None),) * axis, slice(count), ...)]
    return xp.take_along_axis(x, order, axis=axis), order


def reverse_sequence(xp: Namespace, x: Array, lengths: Array, *, time_axis: int = 0, batch_axis: int = 1) -> Array:
    """The first ``lengths`` steps of each row backwards, the others as they are. The axes are 0 and 1, or 1 and 0."""
    steps = xp.arange(x.shape[time_axis], dtype=lengths.dtype, device=device(x))[:, None]
    order = xp.where(steps < lengths, lengths - 1 - steps, steps)
    order = order if time_axis == 0 else xp.permute_dims(order, (1, 0))
    order = xp.broadcast_to(xp.reshape(order, (*order.shape, *(1,) * (x.ndim - 2))), x.shape)
    return xp.take_along_axis(x, order, axis=time_axis)


def _forward(xp: Namespace, indices: Array, size: int) -> Array:
    """Indices counted from the front."""
    return xp.where(indices < 0, indices + size, indices)


TABLE = {
    "Gather": Operator(gather), "GatherElements": Operator(gather_elements),
    "OneHot": Operator(one_hot, numbers=(1,), cost=lambda indices, depth, values: indices.size * depth[0]),
    "ReverseSequence": Operator(reverse_sequence), "TopK": Operator(top, numbers=(1,), outputs=2),
    "ScatterElements": Operator(scatter_elements, only={"reduction": "none"}),
}  # fmt: skip
