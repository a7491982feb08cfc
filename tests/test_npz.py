"""Plain arrays of NumPy's files, read without pickles."""

import io
import re

import numpy as np
import pytest

from xprnn import FileError
from xprnn.io.npz import read_array, read_arrays

A = np.arange(12.0).reshape(3, 4)
ARRAYS = {
    "matrix": A,
    "fortran": np.asfortranarray(A),
    "transposed": A.T,
    "strided": A[::-1, ::2],
    "big-endian": A.astype(">f4"),
    "scalar": np.array(7, np.int8),
    "empty": np.ones((0, 3), np.float16),
    "truth": A > 5,
    "unsigned": np.array([2**64 - 1], np.uint64),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_what_numpy_saves_is_read(name, tmp_path):
    a = ARRAYS[name]
    np.save(tmp_path / "a.npy", a)
    np.savez(tmp_path / "a.npz", a)
    for read in (read_array(tmp_path / "a.npy"), read_array(tmp_path / "a.npz")):
        np.testing.assert_array_equal(read, a, strict=a.dtype.isnative)
        assert read.dtype.isnative and read.dtype.kind == a.dtype.kind and read.flags.writeable


def test_arrays_by_name(tmp_path):
    np.savez(tmp_path / "all.npz", **ARRAYS)
    read = read_arrays(tmp_path / "all.npz")
    assert list(read) == list(ARRAYS)
    for name, a in ARRAYS.items():
        np.testing.assert_array_equal(read[name], a)
    with pytest.raises(FileError, match=r"all\.npz cannot be read as one array: it holds 9: \['matrix', 'fortran',"):
        read_array(tmp_path / "all.npz")
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none\.npz"):
        read_arrays(tmp_path / "none.npz")


def test_headers_of_other_writers(tmp_path):
    path = tmp_path / "a.npy"
    for version, text in (
        (1, "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4)}\n"),
        (1, "{'descr':'<f8','fortran_order':False,'shape':(3,4,),}"),
        (2, "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }   \n"),
    ):
        length = len(text).to_bytes(2 * version, "little")
        path.write_bytes(b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + A.tobytes())
        np.testing.assert_array_equal(read_array(path), A)


def saved(a, **options):
    target = io.BytesIO()
    np.save(target, a, **options)
    return target.getvalue()


REFUSED = {
    "objects": (saved(np.array([{}, 1], object), allow_pickle=True), r"something else than real numbers: .*\|O"),
    "complex": (saved(A * 1j), "something else than real numbers"),
    "text": (saved(np.array(["a"])), "something else than real numbers"),
    "dates": (saved(np.array(["2020-01-01"], "M8[D]")), "something else than real numbers"),
    "structure": (saved(np.zeros(2, [("a", "f4")])), "something else than real numbers"),
    "truncated": (saved(A)[:-1], r"shape \(3, 4\) and dtype float64 does not take 95 bytes"),
    "longer": (saved(A) + b"\0", "does not take 97 bytes"),
    "huge": (saved(A).replace(b"(3, 4), }", b"(9**9,), }"), "real numbers"),
    "large": (saved(A).replace(b"(3, 4), }      ", b"(3, 4000000), }"), "does not take 96 bytes"),
    "doubt": (saved(A > 5)[:-1] + b"\2", "truth values that are neither"),
    "nothing": (b"", r"damaged or no \.npz"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    content, words = REFUSED[name]
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(FileError, match=f"{re.escape(str(path))} cannot be read as arrays of NumPy's: .*{words}"):
        read_array(path)


def test_compressed_arrays_are_told_how_to_save(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", A)
    with pytest.raises(FileError, match=r"'arr_0\.npy' is compressed; np\.savez writes members as they are"):
        read_array(tmp_path / "a.npz")
