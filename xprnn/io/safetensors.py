"""The safetensors format: the length of a header, the header in JSON, and the numbers one array after the other."""

import json
import math
import os
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ..initializers import hollow
from . import store

TITLE = "a safetensors file"
# NumPy has no bfloat16: its bits are the upper half of a float32's, and that is what it becomes.
DTYPES = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "F16": "<f2", "BF16": "<u2", "U32": "<u4",
    "I32": "<i4", "F32": "<f4", "U64": "<u8", "I64": "<i8", "F64": "<f8",
}  # fmt: skip
NAMES = {np.dtype(kind): name for name, kind in DTYPES.items() if name != "BF16"}
LONGEST_HEADER = 100_000_000  # the format's own limit
MOST_AXES = 32
BEGIN = b'{"__metadata__":{"crc32":"'  # how the header of a model's file begins
PLACE = 8 + len(BEGIN)


class Entry(NamedTuple):
    """An array in a file: its name, the format's name of its dtype, its shape, and where its bytes begin and end."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def encode(arrays: dict[str, np.ndarray], header: str) -> bytearray:
    """The file of a model: ``arrays``, whatever their order in memory, and the text ``header``, with a checksum.

    Wider dtypes stand first, so that every array begins at a multiple of its dtype's size.
    """
    about: dict[str, Any] = {"__metadata__": {"crc32": store.CHECKSUM.decode(), "xprnn": header}}
    pieces, end = [], 0
    for name in sorted(arrays, key=lambda name: (-arrays[name].itemsize, name)):
        a = arrays[name].astype(arrays[name].dtype.newbyteorder("<"), copy=False)
        begin, end = end, end + a.nbytes
        about[name] = {"dtype": NAMES[a.dtype], "shape": list(a.shape), "data_offsets": [begin, end]}
        pieces.append(a.tobytes())  # in C's order, whatever the strides
    text = json.dumps(about, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = bytearray().join([len(text).to_bytes(8, "little"), text, *pieces])
    store.seal(data, PLACE)
    return data


def decode(file: BinaryIO, empty: bool) -> tuple[dict[str, np.ndarray], str]:
    """What ``encode`` was given; ``empty`` leaves the numbers in the file, the arrays are ``hollow`` then.

    ValueError for a file that is damaged, or is no model's.
    """
    entries, about = _header(file)
    file.seek(8)
    if about.keys() != {"crc32", "xprnn"} or file.read(len(BEGIN)) != BEGIN:
        hint = "arrays alone go into a model of their layers with xprnn.io.torch.read and load_state_dict"
        raise ValueError(f"it is a safetensors file, but no model of xprnn's: {hint}")
    store.check_seal(file, PLACE)
    return {entry.name: _array(file, entry, empty) for entry in entries}, about["xprnn"]


def read(path: str | os.PathLike, empty: bool = False) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata of any .safetensors file, by name; bfloat16 becomes float32. ``empty`` as above.

    Raises FileNotFoundError, or FileError for a file that is damaged, or holds a dtype that NumPy has not.
    """
    with store.opened(path, TITLE) as file:
        entries, about = _header(file)
        return {entry.name: _array(file, entry, empty) for entry in entries}, about


def _header(file: BinaryIO) -> tuple[list[Entry], dict[str, str]]:
    """The entries in the order of their bytes, which fill the file without a gap, and the metadata."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, LONGEST_HEADER):
        raise ValueError(f"it is damaged or no safetensors file: a header of {length} bytes in a file of {size}")
    raw = file.read(length)
    if raw[:1] != b"{":
        raise ValueError("it is damaged or no safetensors file: its header is no JSON object")
    fields = store.parse(raw)
    about = fields.pop("__metadata__", {})
    if not isinstance(about, dict) or not all(isinstance(text, str) for text in about.values()):
        raise ValueError("its metadata are not texts")
    entries = [_entry(name, field, 8 + length) for name, field in fields.items()]
    entries.sort(key=lambda entry: (entry.begin, entry.end))
    ends = [8 + length, *(entry.end for entry in entries)]
    for entry, end in zip(entries, ends, strict=False):
        if entry.begin != end:
            raise ValueError(f"the bytes of {entry.name!r} do not follow those of the array before")
    if ends[-1] != size:
        raise ValueError(f"its arrays end at byte {ends[-1]}, the file at {size}")
    return entries, about


def _entry(name: str, field: Any, start: int) -> Entry:
    """What the header says of one array, checked against itself."""
    if not isinstance(field, dict) or field.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name!r} is not described by its dtype, shape and data_offsets")
    dtype, shape, offsets = field["dtype"], field["shape"], field["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"{name!r} is of dtype {dtype!r}, which NumPy does not have")
    for numbers in (shape, offsets):
        whole = isinstance(numbers, list) and all(type(n) is int and n >= 0 for n in numbers)
        if not whole or len(numbers) > MOST_AXES:
            raise ValueError(f"the shape or the place of {name!r} is none")
    if len(offsets) != 2 or math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize != offsets[1] - offsets[0]:
        raise ValueError(f"{name!r} has the shape {shape} of {dtype} and the place {offsets}, which do not go together")
    return Entry(name, dtype, tuple(shape), *(start + offset for offset in offsets))


def _array(file: BinaryIO, entry: Entry, empty: bool) -> np.ndarray:
    if empty:
        return hollow(entry.shape, "f4" if entry.dtype == "BF16" else DTYPES[entry.dtype])
    file.seek(entry.begin)
    raw = bytearray(entry.end - entry.begin)
    if file.readinto(raw) < len(raw):  # type: ignore[attr-defined]
        raise ValueError("it became shorter while it was read")
    if entry.dtype == "BOOL" and raw.translate(None, b"\0\1"):
        raise ValueError(f"{entry.name!r} holds truth values that are neither")
    a = np.frombuffer(raw, DTYPES[entry.dtype])
    if entry.dtype == "BF16":
        a = (a.astype(np.uint32) << 16).view(np.float32)
    return a.reshape(entry.shape)
