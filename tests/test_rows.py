"""Rows: values against a plain loop, with heavy repeats, absent ids, no ids, and every integer type."""

import numpy as np
import pytest

from xprnn.arrays import namespace
from xprnn.ops import rows
from xprnn.ops.rows import add_rows, take_rows

V, D = 11, 3
TOLERANCE = {"float32": 1e-5, "float64": 1e-13}


def add_slowly(ids, values, count=V):
    table = np.zeros((count, values.shape[-1]))
    for i, value in zip(ids.ravel(), values.reshape(-1, values.shape[-1]), strict=True):
        table[i] += value
    return table


def draw(shape, low=1, high=V - 2):
    """Ids that leave out the first and the last two rows of the table, and values for them."""
    rng = np.random.default_rng(5)
    return rng.integers(low, high, size=shape), rng.normal(size=(*shape, D))


@pytest.mark.parametrize("shape", [(), (1,), (4, 1, 5), (0,), (3, 0)], ids=str)
def test_rows_are_taken(backend, shape):
    ids, _ = draw(shape, 0, V)
    table = np.random.default_rng(0).normal(size=(V, D))
    given = backend.asarray(table)
    taken = take_rows(namespace(given), given, backend.asarray(ids))
    assert taken.dtype == given.dtype
    np.testing.assert_array_equal(backend.to_numpy(taken), table[ids])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [(), (1,), (2,), (3,), (64,), (7, 40), (0, 4)], ids=str)
def test_rows_are_added(backend, shape, dtype):
    ids, values = draw(shape)
    given = backend.asarray(values, dtype)
    table = add_rows(namespace(given), (V, D), backend.asarray(ids), given)
    assert table.dtype == given.dtype and table.device == given.device
    np.testing.assert_allclose(backend.to_numpy(table), add_slowly(ids, values), atol=TOLERANCE[dtype])


def test_one_row_takes_everything(backend):
    ids, values = draw((1000,), 4, 5)
    given = backend.asarray(values)
    table = backend.to_numpy(add_rows(namespace(given), (V, D), backend.asarray(ids), given))
    np.testing.assert_allclose(table, add_slowly(ids, values), atol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_every_integer_will_do(backend, dtype):
    ids, values = draw((8, 5), 0, V)
    assert {0, V - 1} <= set(ids.ravel())
    given, short = backend.asarray(values), backend.asarray(ids.astype(dtype))
    table = add_rows(namespace(given), (V, D), short, given)
    np.testing.assert_allclose(backend.to_numpy(table), add_slowly(ids, values), atol=1e-13)
    np.testing.assert_array_equal(
        backend.to_numpy(take_rows(namespace(given), table, short)), backend.to_numpy(table)[ids]
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row(backend, bad):
    ids, values = draw((50,))
    values[ids == 4] = bad
    given = backend.asarray(values)
    table = backend.to_numpy(add_rows(namespace(given), (V, D), backend.asarray(ids), given))
    assert not np.isfinite(table[4]).any() and np.isfinite(np.delete(table, 4, axis=0)).all()


def test_nothing_passed_in_changes(backend):
    ids, values = draw((6,))
    given, places = backend.asarray(values.copy()), backend.asarray(ids.copy())
    add_rows(namespace(given), (V, D), places, given)
    np.testing.assert_array_equal(backend.to_numpy(given), values)
    np.testing.assert_array_equal(backend.to_numpy(places), ids)


def test_adding_reverses_taking(backend):
    ids, values = draw((4, 6))
    table = np.random.default_rng(1).normal(size=(V, D))
    given = backend.asarray(values)
    taken = take_rows(namespace(given), backend.asarray(table), backend.asarray(ids))
    added = add_rows(namespace(given), (V, D), backend.asarray(ids), given)
    one, other = np.sum(backend.to_numpy(taken) * values), np.sum(table * backend.to_numpy(added))
    assert one == pytest.approx(other, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 65])
@pytest.mark.parametrize("count", [1, 40])
def test_the_portable_way_equals_numpys(backend, n, count):
    rng = np.random.default_rng(n)
    ids, values = np.sort(rng.integers(0, count, n)), rng.normal(size=(n, D))
    given = backend.asarray(values)
    table = rows._add_by_doubling(namespace(given), (count, D), backend.asarray(ids), given)
    np.testing.assert_allclose(backend.to_numpy(table), add_slowly(ids, values, count), atol=1e-12)


def test_jax_compiles_both():
    jax = pytest.importorskip("jax")
    ids, values = draw((4, 6))
    given = jax.numpy.asarray(values, dtype="float32")
    table = jax.jit(lambda i, x: add_rows(jax.numpy, (V, D), i, x))(ids.astype("int32"), given)
    np.testing.assert_allclose(np.asarray(table), add_slowly(ids, values), atol=1e-5)
    taken = jax.jit(lambda i, x: take_rows(jax.numpy, x, i))(ids.astype("int32"), table)
    np.testing.assert_array_equal(np.asarray(taken), np.asarray(table)[ids])


def test_meta_tensors_need_no_synchronisation():
    torch = pytest.importorskip("torch")
    ids, values = torch.zeros((4, 6), dtype=torch.int64, device="meta"), torch.zeros((4, 6, D), device="meta")
    xp = namespace(values)
    table = add_rows(xp, (V, D), ids, values)
    assert (table.shape, table.device.type) == ((V, D), "meta")
    assert take_rows(xp, table, ids).shape == (4, 6, D)
    assert rows._add_by_doubling(xp, (V, D), torch.reshape(ids, (-1,)), torch.reshape(values, (-1, D))).shape == (V, D)
