"""Arrays in and out of a backend: transfer, dtypes, and what the door refuses."""

from importlib.util import find_spec

import numpy as np
import pytest
import rows

from xprnn.arrays import device, namespace
from xprnn.backend import BackendError, to_device, to_numpy
from xprnn.backend import backend as choose
from xprnn.libraries import LIBRARIES

VALUES = np.array([[1.5, -2.0, 3.25], [0.0, 1e-3, -7.0]])


def unaligned(x):
    """A copy of ``x`` that starts at an odd address."""
    memory = np.zeros(x.nbytes + 1, np.uint8)[1:]
    memory[:] = np.frombuffer(np.ascontiguousarray(x).tobytes(), np.uint8)
    return memory.view(x.dtype).reshape(x.shape)


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


AWKWARD = {
    "plain": lambda x: x,
    "negative strides": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "read-only": read_only,
    "unaligned": unaligned,
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
}


@pytest.mark.parametrize("layout", AWKWARD)
def test_any_memory_layout_arrives_with_its_values(row, layout):
    source = AWKWARD[layout](VALUES)
    y = row.backend.asarray(source)
    assert y.dtype == getattr(row.xp, row.dtype)
    np.testing.assert_array_equal(row.get(y), VALUES.astype(row.dtype))
    np.testing.assert_array_equal(source, VALUES)


@pytest.mark.parametrize("layout", AWKWARD)
def test_integers_of_any_layout_stay_integers(row, layout):
    y = row.backend.asarray(AWKWARD[layout](np.arange(6, dtype=np.int64).reshape(2, 3)))
    assert row.xp.isdtype(y.dtype, "integral")
    np.testing.assert_array_equal(row.get(y), np.arange(6).reshape(2, 3))


def test_python_numbers_bools_and_scalars(row):
    backend, xp = row.backend, row.xp
    assert backend.asarray(2.5).dtype == getattr(xp, row.dtype) and backend.asarray(2.5).shape == ()
    assert row.get(backend.asarray([[1.5], [2.5]])).tolist() == [[1.5], [2.5]]
    assert backend.asarray([True, False]).dtype == xp.bool
    assert row.get(backend.asarray([True, False])).tolist() == [True, False]
    assert row.get(backend.asarray(np.float64(0.5))).tolist() == 0.5


def test_half_precision_floats_are_floats(row):
    assert row.get(row.backend.asarray(VALUES.astype(np.float16))).dtype == row.dtype
    ml_dtypes = pytest.importorskip("ml_dtypes")
    bfloat16 = VALUES.astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(row.get(row.backend.asarray(bfloat16)), bfloat16.astype(row.dtype))


def test_explicit_dtype(row):
    for dtype in ("float32", "float64", "int32", "int64"):
        y = row.backend.asarray([0, 1, 2], dtype)
        assert y.dtype == getattr(row.xp, dtype)
        assert row.backend.to_numpy(y).tolist() == [0, 1, 2]


@pytest.mark.parametrize("bad", [np.array([1j]), [1 + 2j], ["a"], [None], np.ma.masked_equal([1.0, 2.0], 2.0)])
def test_what_is_no_real_number_is_refused(row, bad):
    with pytest.raises(TypeError, match=r"real numbers|masked"):
        row.backend.asarray(bad)


def test_complex_arrays_of_the_library_itself_are_refused(row):
    z = row.xp.zeros((2,), dtype=row.xp.complex64, device=device(row.put([0.0])))
    with pytest.raises(TypeError, match="real numbers"):
        row.backend.asarray(z)
    with pytest.raises(BackendError, match=r"complex64.*two features"):
        row.backend.check(z)


def test_arrays_cross_from_every_library(backend):
    for other in rows.ROWS:
        if other.values and not rows.problem(other):
            x = other.put(VALUES)
            y = backend.asarray(x)
            backend.check(y)
            np.testing.assert_array_equal(backend.to_numpy(y), VALUES.astype(other.dtype))
            np.testing.assert_array_equal(other.get(x), VALUES.astype(other.dtype))


def test_what_fits_already_is_not_copied(row):
    x = row.put(VALUES)
    assert row.backend.asarray(x) is x


def test_crossing_shares_no_memory(backend):
    source = VALUES.copy()
    y = backend.asarray(source)
    if backend.name != "numpy":
        source[...] = 0.0
    np.testing.assert_array_equal(backend.to_numpy(y), VALUES)
    copy = backend.to_numpy(y)
    copy[...] = 1.0
    if backend.name != "numpy":
        np.testing.assert_array_equal(backend.to_numpy(y), VALUES)


def test_to_numpy_is_a_copy_even_where_memory_is_the_hosts():
    pytest.importorskip("array_api_strict")
    strict = choose("array_api_strict", "float64")
    x = strict.asarray(VALUES)
    strict.to_numpy(x)[...] = 1.0
    np.testing.assert_array_equal(strict.to_numpy(x), VALUES)


def test_asarray_changes_the_dtype_of_its_own_arrays(backend):
    single = choose(f"{backend.name}:{backend.device}", "float32")
    y = single.asarray(backend.asarray(VALUES))
    assert y.dtype == backend.xp.float32
    np.testing.assert_array_equal(single.to_numpy(y), VALUES.astype(np.float32))


def test_namespace_is_the_one_of_its_arrays(every_row):
    assert namespace(every_row.put(VALUES)) is every_row.xp


def test_shapes_only(every_row):
    y = every_row.put(VALUES)
    every_row.backend.check(y)
    assert tuple(y.shape) == (2, 3) and y.dtype == getattr(every_row.xp, every_row.dtype)


def test_active_is_a_context(backend):
    with backend.active():
        assert backend.to_numpy(backend.xp.zeros((2,), dtype=backend.xp.float64, device=None)).tolist() == [0.0, 0.0]


def test_check_lets_through_floats_of_the_dtype_integers_and_bools(row):
    for x in (VALUES, np.arange(3), np.array([True])):
        row.backend.check(row.put(x))


@pytest.mark.parametrize("bad", [[1.0], 1.0, None, np.float64(1.0), (1.0,)], ids=repr)
def test_check_refuses_what_is_no_array(row, bad):
    with pytest.raises(BackendError, match=rf"`h0` is a {type(bad).__name__}, .*: use backend.asarray\(h0\)"):
        row.backend.check(bad, "h0")


def test_check_refuses_every_other_library(backend):
    for other in rows.ROWS:
        if other.values and other.library != backend.name and not rows.problem(other):
            with pytest.raises(BackendError) as caught:
                backend.check(other.put(VALUES), "x")
            title, where = LIBRARIES[other.library].title, other.backend.device
            article = "an" if title[0] == "a" else "a"
            assert str(caught.value) == (
                f"`x` is {article} {title} array on {where}, the model is {backend}: use backend.asarray(x)"
            )


def test_check_refuses_another_dtype(row):
    other = "float32" if row.dtype == "float64" else "float64"
    x = row.backend.asarray(VALUES, other)
    with pytest.raises(BackendError, match=rf"`x` is of dtype .*{other}.*in {row.dtype}: use backend.asarray\(x\)"):
        row.backend.check(x)


@pytest.mark.parametrize(
    ("library", "here", "there"), [("array_api_strict", "device1", "device2"), ("torch", "cpu", "meta")]
)
def test_another_device_of_the_same_library(library, here, there):
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    source, target = choose(f"{library}:{here}", "float64"), choose(f"{library}:{there}", "float64")
    x = source.asarray(VALUES)
    with pytest.raises(BackendError, match=f"`x` is on {here}, the model is .* on {there}: use"):
        target.check(x)
    target.check(target.asarray(x))


def test_trees_move_and_come_back(backend):
    tree = {"a": {"w": VALUES, "ids": np.arange(3)}, "state": (VALUES[0], None)}
    there = to_device(tree, backend)
    backend.check(there["a"]["w"])
    backend.check(there["state"][0])
    back = to_numpy(there)
    np.testing.assert_array_equal(back["a"]["w"], VALUES)
    np.testing.assert_array_equal(back["a"]["ids"], [0, 1, 2])
    np.testing.assert_array_equal(back["state"][0], VALUES[0])
    assert back["state"][1] is None and back["a"]["ids"].dtype.kind == "i"


def test_torch_tensors_with_gradients_and_bfloat16_can_be_read():
    torch = pytest.importorskip("torch")
    x = torch.tensor([1.0, 2.5], requires_grad=True)
    assert choose("numpy").asarray(x).tolist() == [1.0, 2.5]
    assert to_numpy(x.detach().to(torch.bfloat16)).tolist() == [1.0, 2.5]


def test_check_inside_jax_jit():
    jax = pytest.importorskip("jax")
    backend = choose("jax", "float64")

    def doubled(x):
        backend.check(x)
        return backend.asarray(x) * 2

    np.testing.assert_array_equal(backend.to_numpy(jax.jit(doubled)(backend.asarray(VALUES))), 2 * VALUES)


def test_a_tensor_that_records_its_gradient_is_refused():
    torch = pytest.importorskip("torch")
    chosen = choose("torch", "float64")
    x = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    with pytest.raises(BackendError, match=r"`h_0` records its gradient \(requires_grad\): use h_0.detach\(\)"):
        chosen.check(x, "h_0")
    chosen.check(x.detach(), "h_0")
