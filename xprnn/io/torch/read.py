"""Files of PyTorch's weights, read without PyTorch."""

import os

import numpy as np

from .. import safetensors
from ..store import FileError


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a .safetensors file by name, as ``load_state_dict`` takes them; bfloat16 becomes float32, exactly.

    Nothing in the file is executed. Raises FileNotFoundError, or FileError for a file that is damaged, that is none of
    safetensors, or that holds a dtype NumPy has no equal of, or for a model file of this library, which ``load`` reads.
    """
    arrays, about = safetensors.read(path)
    if "xprnn" in about:
        raise FileError(f"{os.fspath(path)} is a model file of xprnn's and no state_dict: use xprnn.load")
    return arrays
