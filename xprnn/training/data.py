"""Data for training: sequences with their targets and mask, cut into batches of rows and chunks of steps."""

from typing import NamedTuple

from ..arrays import device, namespace
from ..kernels.record import cut_up
from ..random import Key
from ..types import Array


class Data(NamedTuple):
    """x (N, ...), y (N, ...) or None, and mask (N, T) bool or None: N samples."""

    x: Array
    y: Array | None
    mask: Array | None


class Cut(NamedTuple):
    """Rows, and of these some steps; None where sequences stay whole; state comes along unless ``first``."""

    rows: slice
    steps: slice | None
    first: bool


def plan(data: Data, batch_size: int, chunk: int | None) -> list[Cut]:
    """The cuts of one epoch, in order: batches of rows, in each its chunks of steps; at least one, for N = 0 too."""
    batches = cut_up(data.x.shape[0], batch_size) or [slice(0, 0)]
    if chunk is None:
        return [Cut(rows, None, True) for rows in batches]
    chunks = cut_up(data.x.shape[1], chunk)
    return [Cut(rows, steps, steps.start == 0) for rows in batches for steps in chunks]


def shuffled(data: Data, key: Key) -> Data:
    """The samples in the order that ``key`` gives, the same on every backend."""
    xp = namespace(data.x)
    order = xp.asarray(key.generator().permutation(data.x.shape[0]).tolist(), device=device(data.x), dtype=xp.int32)
    return Data(*(None if a is None else xp.take(a, order, axis=0) for a in data))


def pick(data: Data, cut: Cut) -> Data:
    """The part of ``data`` that ``cut`` names; ``steps`` cuts the second axis of x, y and mask."""
    rows, steps, _ = cut
    if steps is None:
        return Data(*(None if a is None else a[rows, ...] for a in data))
    return Data(*(None if a is None else a[rows, steps, ...] for a in data))


def mean(total: Array, count: Array | int) -> Array:
    """total / count, and 0 where nothing was counted, as the total is then."""
    return total / (max(count, 1) if isinstance(count, int) else namespace(count).clip(count, 1.0, None))


def weight(data: Data, mask: Array | None, mean: Array) -> Array | int:
    """How much a ``mean`` over this batch counts, in its dtype: the real steps, or samples where y has no time axis."""
    if mask is not None:
        xp = namespace(mask)
        return xp.sum(xp.astype(mask, mean.dtype))
    return data.x.shape[0] * (data.x.shape[1] if data.x.ndim > 1 else 1)
