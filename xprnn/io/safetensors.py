"""The safetensors format, by its own package, and what that lets pass: names that stand twice, bytes that changed."""

import os
from typing import Any, BinaryIO

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
BEGIN = b'{"__metadata__":{"xprnn":"'  # how the header of a model's file begins; the checksum follows
PLACE = 8 + len(BEGIN)


def encode(arrays: dict[str, np.ndarray], header: str) -> bytearray:
    """The file of a model: ``arrays``, whatever their order in memory, and the text ``header``, with a checksum."""
    from safetensors.numpy import save

    # The package would write the memory of arrays that are not contiguous as if they were.
    contiguous = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
    data = bytearray(save(contiguous, {"xprnn": store.CHECKSUM.decode() + header}))
    store.seal(data, PLACE)
    return data


def decode(file: BinaryIO, empty: bool) -> tuple[dict[str, np.ndarray], str]:
    """What ``encode`` was given; ``empty`` leaves the numbers in the file, the arrays are ``hollow`` then.

    ValueError for a file that is damaged, or is no model's.
    """
    arrays, about = _decoded(file, True)
    file.seek(8)
    if about.keys() != {"xprnn"} or file.read(len(BEGIN)) != BEGIN:
        hint = "arrays alone go into a model of their layers with xprnn.io.torch.read and load_state_dict"
        raise ValueError(f"it is a safetensors file, but no model of xprnn's: {hint}")
    store.check_seal(file, PLACE)
    return arrays if empty else _decoded(file, False)[0], about["xprnn"][len(store.CHECKSUM) :]


def read(path: str | os.PathLike, empty: bool = False) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata of any .safetensors file, by name; bfloat16 becomes float32. ``empty`` as above.

    Raises FileNotFoundError, or FileError for a file that is damaged, or holds a dtype that NumPy has not.
    """
    with store.opened(path, TITLE) as file:
        return _decoded(file, empty)


def _decoded(file: BinaryIO, empty: bool) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    fields = _fields(file)
    try:
        with safe_open(file.name, "numpy") as known:
            dtypes = {name: known.get_slice(name).get_dtype() for name in known.offset_keys()}
            unknown = [f"{name!r} is of dtype {dtype}" for name, dtype in dtypes.items() if dtype not in DTYPES]
            if unknown:
                raise ValueError(f"it holds what NumPy does not have: {', '.join(unknown)}")
            arrays = {}
            for name, dtype in dtypes.items():
                if empty:
                    kind = "f4" if dtype == "BF16" else DTYPES[dtype]
                    arrays[name] = hollow(tuple(known.get_slice(name).get_shape()), kind)
                elif dtype == "BF16":
                    arrays[name] = _widened(file, fields[name])
                else:
                    arrays[name] = known.get_tensor(name)
                if dtype == "BOOL" and not empty and np.any(arrays[name].view(np.uint8) > 1):
                    raise ValueError(f"{name!r} holds truth values that are neither")
            return arrays, known.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"it is damaged or no safetensors file: {error}") from error


def _fields(file: BinaryIO) -> dict[str, Any]:
    """The header, in which nothing stands twice: of two, the package would take the last."""
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, LONGEST_HEADER):
        raise ValueError(f"it is damaged or no safetensors file: a header of {length} bytes in a file of {size}")
    raw = file.read(length)
    if raw[:1] != b"{":
        raise ValueError("it is damaged or no safetensors file: its header is no JSON object")
    return store.parse(raw)


def _widened(file: BinaryIO, field: dict[str, Any]) -> np.ndarray:
    """A bfloat16 array as float32."""
    file.seek(0)
    start = 8 + int.from_bytes(file.read(8), "little")
    begin, end = field["data_offsets"]
    file.seek(start + begin)
    upper = np.frombuffer(file.read(end - begin), "<u2").reshape(field["shape"])
    return (upper.astype(np.uint32) << 16).view(np.float32)
