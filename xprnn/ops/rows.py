"""Rows of a table: taking them by number, and adding into them (an embedding and its gradient)."""

from array_api_compat import is_jax_array, is_numpy_array, is_torch_array

from ..arrays import device
from ..gpu import Device, dense, device_for, integer, real
from ..types import Array, Namespace


def take_rows(xp: Namespace, table: Array, ids: Array) -> Array:
    """The rows of ``table`` (V, D) that ``ids``, from 0 to V - 1 and of any shape, name: (*ids.shape, D)."""
    rows = xp.take(table, flat(xp, ids), axis=0)
    return xp.reshape(rows, (*ids.shape, table.shape[1]))


def add_rows(xp: Namespace, shape: tuple[int, int], ids: Array, values: Array) -> Array:
    """The table G of ``shape`` (V, D) with G[v] = Σ values[i] over all i with ids[i] = v; the reverse of ``take_rows``.

    ids is of any shape; values is (*ids.shape, D) and gives dtype and device. Every run gives the same bits, except
    with torch and JAX on a GPU: their own ways of adding, which are the quickest, take rows there in no fixed order.
    """
    ids = flat(xp, ids)
    values = xp.reshape(values, (ids.shape[0], shape[1]))
    if is_torch_array(values):
        return xp.zeros(shape, dtype=values.dtype, device=device(values)).index_add_(0, ids, values)
    if is_jax_array(values):
        return xp.zeros(shape, dtype=values.dtype, device=device(values)).at[ids].add(values)
    if ids.shape[0] == 0:
        return xp.zeros(shape, dtype=values.dtype, device=device(values))
    gpu = device_for(values)
    if gpu is not None:
        return _add_at_once(gpu, shape, dense(ids), dense(values))
    order = xp.argsort(ids, stable=True)
    add = _add_runs if is_numpy_array(values) else _add_by_doubling
    return add(xp, shape, xp.take(ids, order), xp.take(values, order, axis=0))


def _add_at_once(gpu: Device, shape: tuple[int, int], ids: Array, values: Array) -> Array:
    """``add_rows`` on a GPU for ids (N,) and values (N, D), which have no gaps: one launch, whose blocks all look for
    the ids of their own row; a sort would wait for the device.
    """
    (vocab, columns), table = shape, gpu.empty(shape, values.dtype)
    if 0 not in shape:
        add, width = gpu.kernel("rows.cu", "add_rows", (*integer("ID", ids), *real(values))), -(-columns // 128)
        add(vocab * width, 256, (ids.shape[0], columns, width, ids, values, table))
    return table


def _add_runs(xp: Namespace, shape: tuple[int, int], ids: Array, values: Array) -> Array:
    """``add_rows`` for sorted ids (N,) in NumPy's own words: one sum for each run of equal ids."""
    starts = xp.flatnonzero(xp.diff(ids, prepend=-1))
    table = xp.zeros(shape, dtype=values.dtype)
    table[ids[starts]] = xp.add.reduceat(values, starts, axis=0)
    return table


def _add_by_doubling(xp: Namespace, shape: tuple[int, int], ids: Array, values: Array) -> Array:
    """``add_rows`` for sorted ids (N,) anywhere: a prefix sum that restarts at each new id, in log₂ N steps.

    After the step of width w, values[i] is the sum over the last 2w places up to i that have i's id. Unlike differences
    of plain prefix sums this cancels nothing, and neither rounding nor NaN crosses from one row into another.
    """
    width = 1
    while width < ids.shape[0]:
        same = (ids[width:] == ids[:-width])[:, None]
        earlier = values[:-width, :]
        sums = values[width:, :] + xp.where(same, earlier, xp.zeros_like(earlier))
        values = xp.concat((values[:width, :], sums), axis=0)
        width *= 2
    rows = xp.arange(shape[0], dtype=ids.dtype, device=device(ids))
    start, stop = (xp.searchsorted(ids, rows, side=side) for side in ("left", "right"))
    sums = xp.take(values, xp.where(start < stop, stop - 1, xp.zeros_like(stop)), axis=0)
    return xp.where((start < stop)[:, None], sums, xp.zeros_like(sums))


def signed(xp: Namespace, ids: Array) -> Array:
    """``ids`` as integers that can be reckoned with: uint64 has no common type with others, torch's unsigned have less.

    A uint64 of 2⁶³ or more becomes negative.
    """
    odd = ids.dtype == xp.uint64 or (is_torch_array(ids) and xp.isdtype(ids.dtype, "unsigned integer"))
    return xp.astype(ids, xp.int64) if odd else ids


def flat(xp: Namespace, ids: Array) -> Array:
    """``ids`` in one axis and in at least 32 bits, the fewest that torch takes as an index."""
    ids = signed(xp, xp.reshape(ids, (-1,)))
    return xp.astype(ids, xp.result_type(ids.dtype, xp.int32), copy=False)
