"""Lengths: the mask that they mean, in every form they come in, and what is refused."""

import numpy as np
import pytest

from xprnn.backend import Backend, BackendError, backend
from xprnn.lengths import lengths_to_mask

WANTED = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]], dtype=bool)


@pytest.fixture(params=["numpy", "array_api_strict:device1", "torch", "jax"])
def on(request) -> Backend:
    try:
        return backend(request.param)
    except BackendError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("kind", [list, tuple, np.int64, np.int32, np.uint8, np.uint64])
def test_every_form_gives_the_mask(on, kind):
    lengths = kind([2, 0, 4]) if kind in (list, tuple) else np.array([2, 0, 4], kind)
    given = [lengths] if kind in (list, tuple, np.uint64) else [lengths, on.asarray(lengths)]
    for one in given:
        mask = lengths_to_mask(on, one, 3, 4)
        on.check(mask, "mask")
        assert mask.dtype == on.xp.bool
        np.testing.assert_array_equal(on.to_numpy(mask), WANTED)


def test_arrays_are_left_alone():
    wide = np.array([2, 9, 0, 9, 4, 9])
    lengths = wide[::2]
    lengths.flags.writeable = False
    np.testing.assert_array_equal(lengths_to_mask(backend(), lengths, 3, 4), WANTED)
    np.testing.assert_array_equal(wide, [2, 9, 0, 9, 4, 9])


def test_numpy_integers_in_a_list_and_ranges():
    np.testing.assert_array_equal(lengths_to_mask(backend(), [np.int8(2), np.uint64(0), 4], 3, 4), WANTED)
    np.testing.assert_array_equal(lengths_to_mask(backend(), range(2), 2, 2), [[False, False], [True, False]])


@pytest.mark.parametrize("lengths", [[], (), np.zeros(0, int)])
def test_an_empty_batch(on, lengths):
    assert lengths_to_mask(on, lengths, 0, 4).shape == (0, 4)


def test_shapes_alone_on_meta():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    mask = lengths_to_mask(backend("torch:meta"), [2, 0, 4], 3, 4)
    assert tuple(mask.shape) == (3, 4) and mask.dtype == torch.bool


@pytest.mark.parametrize(
    ("lengths", "error", "words"),
    [
        ([2, 0], ValueError, "each of the 3 sequences in the batch, not 2"),
        ([2, 0, 4, 1], ValueError, "each of the 3 sequences in the batch, not 4"),
        ([2, 0, 5], ValueError, r"lengths\[2\] is 5; x has 4 steps"),
        ([2, -1, 4], ValueError, r"lengths\[1\] is -1"),
        ([2, 0, 2**70], ValueError, r"lengths\[2\] is 1180591620717411303424"),
        (np.array([2, 0, -4], np.int8), ValueError, r"lengths\[2\] is -4"),
        (np.array([2, 0, 2**64 - 1], np.uint64), ValueError, r"lengths\[2\] is 18446744073709551615"),
        (np.array([[2, 0, 4]]), ValueError, r"its shape is \(1, 3\)"),
        (np.array(2), ValueError, r"its shape is \(\)"),
        ([2.0, 0, 4], TypeError, r"lengths\[0\] is 2.0"),
        ([2, float("nan"), 4], TypeError, r"lengths\[1\] is nan"),
        ([2, True, 4], TypeError, r"lengths\[1\] is True"),
        ([2, None, 4], TypeError, r"lengths\[1\] is None"),
        ([[2, 0], 1, 4], TypeError, r"lengths\[0\] is \[2, 0\]"),
        (np.array([2.0, 0.0, 4.0]), TypeError, "not float64"),
        (np.array([True, False, True]), TypeError, "not bool"),
        (3, TypeError, "not a int"),
        ("234", TypeError, "not a str"),
    ],
)
def test_what_is_refused(lengths, error, words):
    with pytest.raises(error, match=words):
        lengths_to_mask(backend(), lengths, 3, 4)
