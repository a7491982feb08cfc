"""Files of PyTorch's weights, read without PyTorch."""

import os
from pathlib import Path

import numpy as np
import safetensors

from ..store import FileError

# The dtypes of a safetensors file that NumPy has; bfloat16, which it has not, is the upper half of a float32.
DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a .safetensors file by name, as ``load_state_dict`` takes them; bfloat16 becomes float32, exactly.

    Nothing in the file is executed. Raises FileNotFoundError, or FileError for a file that is damaged, that is none of
    safetensors, or that holds a dtype NumPy has no equal of, or for a model file of this library, which ``load`` reads.
    """
    name = os.fspath(path)
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {name}")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            dtypes = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118 (no mapping)
            about = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise FileError(f"{name} is damaged, or no safetensors file: {error}") from error
    if "xprnn" in about:
        raise FileError(f"{name} is a model file of xprnn's and no state_dict: use xprnn.load")
    unknown = [f"{key} is {dtype}" for key, dtype in dtypes.items() if dtype not in DTYPES]
    if unknown:
        raise FileError(f"{name} holds what NumPy has no dtype for: {', '.join(unknown)}")
    return {key: _array(**found) for key, found in safetensors.deserialize(Path(path).read_bytes())}


def _array(dtype: str, shape: list[int], data: bytearray) -> np.ndarray:
    a = np.frombuffer(data, DTYPES[dtype]).reshape(shape)
    return (a.astype("<u4") << 16).view("<f4") if dtype == "BF16" else a
