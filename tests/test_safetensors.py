"""Files of safetensors, by anyone: read as its own package writes them, and what that lets through refused."""

import json

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from xprnn import FileError
from xprnn.io.safetensors import DTYPES, read

RNG = np.random.default_rng(0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.safetensors"


def test_every_dtype_is_read_as_the_package_writes_it(path):
    arrays = {name: RNG.integers(0, 2, (2, 3)).astype(kind) for name, kind in DTYPES.items() if name != "BF16"}
    arrays |= {"scalar": np.array(-1.5), "empty": np.zeros((3, 0, 2), np.float32)}
    safetensors.numpy.save_file(arrays, path, {"format": "pt"})
    for empty in (False, True):
        found, about = read(path, empty)
        assert about == {"format": "pt"} and found.keys() == arrays.keys()
        for name, a in arrays.items():
            assert (found[name].shape, found[name].dtype) == (a.shape, a.dtype)
            if not empty:
                np.testing.assert_array_equal(found[name], a, strict=True)
                assert found[name].flags.writeable


def test_bfloat16_becomes_float32(path):
    values = np.array([1.0, -2.5, 3.140625, np.inf, 2.0**-130], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    path.write_bytes(built({"w": field(0, 10, "BF16", [5])}, upper.tobytes()))
    assert safetensors.safe_open(path, "numpy").get_slice("w").get_dtype() == "BF16"
    np.testing.assert_array_equal(read(path)[0]["w"], values, strict=True)
    assert read(path, empty=True)[0]["w"].dtype == np.float32


def built(header, data=b"\0" * 8):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def field(begin=0, end=8, dtype="F32", shape=(2,), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]} | more


REFUSED = {
    "no header": (b"\0" * 7, "a header of 0 bytes in a file of 7"),
    "length": ((2**63).to_bytes(8, "little") + b"{}", f"a header of {2**63} bytes in a file of 10"),
    "list": (built(b"[]", b""), "no JSON object"),
    "twice": (built(b'{"a":%s,"a":%s}' % ((json.dumps(field()).encode(),) * 2)), "has 'a' twice in one object"),
    "twice inside": (built(json.dumps(field())[:-1].join(['{"a":', ',"shape":[2]}}']).encode()), "has 'shape' twice"),
    "hole": (built({"a": field(0, 4, shape=[1]), "b": field(8, 12, shape=[1])}, b"\0" * 12), "offset for tensor `b`"),
    "overlap": (built({"a": field(), "b": field(4, 12)}, b"\0" * 12), "invalid offset for tensor `b`"),
    "rest": (built({"a": field()}, b"\0" * 9), "file not fully covered"),
    "beyond": (built({"a": field(0, 16, shape=[4])}), "file not fully covered"),
    "product": (built({"a": field(shape=[2**32, 2**32])}), "overflow computing buffer size"),
    "axes": (built({"a": field(shape=[2**63] * 100_000)}), "overflow computing buffer size"),
    "negative": (built({"a": field(shape=[-1, -2])}), "invalid value: integer `-1`"),
    "truth": (built({"a": field(dtype="BOOL", shape=[8])}, b"\0\1\2" + b"\0" * 5), "neither"),
    "dtype": (built({"a": field(dtype="F8_E4M3", shape=[8])}), "does not have: 'a' is of dtype F8_E4M3"),
    "dtype of lists": (built({"a": field(dtype=["F32"])}), "invalid type: sequence, expected string"),
    "less": (built({"a": {"dtype": "F32", "shape": [2]}}), "missing field `data_offsets`"),
    "metadata": (built({"__metadata__": {"a": 1}}, b""), "invalid type: integer `1`, expected a string"),
    "deep": (built(b'{"a":' * 10**5, b""), "nested too deeply"),
    "NaN": (built(b'{"a":NaN}', b""), "NaN, which is no finite number"),
    "large": (built(b'{"a":1e999}', b""), "1e999, which is no finite number"),
    "digits": (built(b'{"a":%s}' % (b"9" * 10**5), b""), "an integer of more than 64 bits"),
    "no text": (built(b'{"\xff":1}', b""), "utf-8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, path):
    content, words = REFUSED[name]
    path.write_bytes(content)
    with pytest.raises(FileError, match="cannot be read as a safetensors file: .*" + words) as caught:
        read(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 2000
