"""The numbers in an ONNX file as NumPy arrays, checked against the bytes that are really there."""

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...initializers import hollow
from .graph import shown

MOST_AXES = 32


class Element(NamedTuple):
    """An element type: the name of its dtype here, how its numbers are stored in raw bytes, and in which list."""

    dtype: str
    raw: str
    field: str


# By the numbers that ONNX gives them; bfloat16 is widened, its bits being the upper half of a float32's.
ELEMENTS = {
    1: Element("float32", "<f4", "float_data"),
    2: Element("uint8", "u1", "int32_data"),
    3: Element("int8", "i1", "int32_data"),
    4: Element("uint16", "<u2", "int32_data"),
    5: Element("int16", "<i2", "int32_data"),
    6: Element("int32", "<i4", "int32_data"),
    7: Element("int64", "<i8", "int64_data"),
    9: Element("bool", "u1", "int32_data"),
    10: Element("float16", "<u2", "int32_data"),
    11: Element("float64", "<f8", "double_data"),
    12: Element("uint32", "<u4", "uint64_data"),
    13: Element("uint64", "<u8", "uint64_data"),
    16: Element("float32", "<u2", "int32_data"),
}
FIELDS = ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
BFLOAT16 = 16


class Outside:
    """The files beside a model that hold numbers of it, each part read once however many tensors share it.

    What is read from a file is no more than its size, so that parts that overlap cannot grow without bound.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: dict[tuple[str, int, int], bytes] = {}

    def part(self, about: dict[str, str], size: int) -> bytes:
        """The ``size`` bytes that an entry of external data speaks of. Raises ValueError if they are not there."""
        location = about.get("location", "")
        if not location or Path(location).name != location or set(location) & set("/\\:\0") or location == "..":
            raise ValueError(f"external data is read from a file beside the model only, not from {shown(location)}")
        offset, length = (_whole(name, about.get(name, default)) for name, default in (("offset", "0"), ("length", "")))
        if length not in (None, size):
            raise ValueError(f"its shape and type take {size} bytes, its external data has a length of {length}")
        key = (location, offset or 0, size)
        if key not in self._parts:
            self._parts[key] = self._read(*key)
        return self._parts[key]

    def _read(self, location: str, offset: int, size: int) -> bytes:
        folder = Path(os.path.realpath(self._folder))
        path = Path(os.path.realpath(folder / location))
        if path.parent != folder:
            raise ValueError(f"external data {shown(location)} is a link that leaves the model's folder")
        if not path.is_file():
            raise ValueError(f"external data {shown(location)} is in no file beside the model")
        with open(path, "rb") as file:
            there = os.fstat(file.fileno()).st_size
            taken = sum(part[2] for part in self._parts if part[0] == location)
            if offset + size > there or taken + size > there:
                raise ValueError(
                    f"external data {shown(location)} has {there} bytes: {size} from {offset} on, beside {taken} that "
                    "other tensors have read, are more than that"
                )
            file.seek(offset)
            data = file.read(size)
        if len(data) != size:
            raise ValueError(f"external data {shown(location)} became shorter while it was read")
        return data


def decode(tensor: Any, outside: Outside, empty: bool = False) -> np.ndarray:
    """A TensorProto as a read-only array. Raises ValueError where it has not exactly the numbers its shape wants.

    empty: its shape and dtype only, without a look at the numbers: the array is ``hollow``.
    """
    element = kind(tensor.data_type)
    shape = dimensions(tensor.dims)
    if empty:
        return hollow(shape, element.dtype)
    count, dtype = math.prod(shape), np.dtype(element.raw)
    if tensor.HasField("segment"):
        raise ValueError("it is stored in segments")
    there = [field for field in FIELDS if len(getattr(tensor, field))]
    if tensor.data_location == 1:
        if there:
            raise ValueError(f"it has external data and {there[0]}")
        about = {entry.key: entry.value for entry in tensor.external_data}
        numbers = np.frombuffer(outside.part(about, count * dtype.itemsize), dtype)
    elif there == ["raw_data"]:
        if len(tensor.raw_data) != count * dtype.itemsize:
            raise ValueError(f"shape {shape} takes {count * dtype.itemsize} bytes, it has {len(tensor.raw_data)}")
        numbers = np.frombuffer(tensor.raw_data, dtype)
    else:
        if there not in ([element.field], []):
            raise ValueError(f"{element.dtype} is stored as raw_data or {element.field}, not as {' and '.join(there)}")
        numbers = np.array(_listed(tensor, element, count), dtype)
    return _settled(numbers, element, tensor.data_type).reshape(shape)


def kind(number: int) -> Element:
    """The element type of this number. Raises ValueError where it is none that is known here."""
    if number not in ELEMENTS:
        known = ", ".join(sorted({element.dtype for element in ELEMENTS.values()}))
        raise ValueError(f"its element type has the number {number}; known are {known} and bfloat16")
    return ELEMENTS[number]


def dimensions(dims: Any) -> tuple[int, ...]:
    """The dimensions of a tensor in a file. Raises ValueError for what no array has."""
    if len(dims) > MOST_AXES:
        raise ValueError(f"it has {len(dims)} axes, more than {MOST_AXES}")
    shape = tuple(int(size) for size in dims)
    if any(size < 0 for size in shape) or math.prod(size or 1 for size in shape) >= 2**60:
        raise ValueError(f"no array has the shape {shape}")
    return shape


def _listed(tensor: Any, element: Element, count: int) -> np.ndarray:
    """The numbers of a tensor that come as a list, still in the list's type, each within its own type's range."""
    listed = getattr(tensor, element.field)
    if len(listed) != count:
        raise ValueError(f"shape {dimensions(tensor.dims)} takes {count} numbers, it has {len(listed)}")
    numbers = np.array(listed, {"f": "f8", "i": "i8", "u": "u8"}[np.dtype(element.raw).kind] if count else element.raw)
    if numbers.dtype.kind != "f" and count:
        range_of = np.iinfo(element.raw)
        if numbers.min() < range_of.min or numbers.max() > range_of.max:
            raise ValueError(f"it holds numbers that are no {element.dtype}")
    return numbers


def _settled(numbers: np.ndarray, element: Element, number: int) -> np.ndarray:
    """Numbers as they are stored in the dtype they stand for, in this machine's byte order."""
    if number == BFLOAT16:
        numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
    elif element.dtype == "float16":
        numbers = numbers.astype(np.uint16, copy=False).view(np.float16)
    elif element.dtype == "bool":
        numbers = numbers != 0
    settled = numbers.astype(element.dtype, copy=False)
    settled.flags.writeable = False
    return settled


def _whole(name: str, text: str) -> int | None:
    """A number of bytes as external data writes it; None where it is left out."""
    if text == "":
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 20:
        raise ValueError(f"the {name} of its external data is no number of bytes: {shown(text)}")
    return int(text)
