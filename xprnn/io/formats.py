"""Which format a file of a model has: written as its name says, read as its bytes say."""

import json
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import npz, safetensors, store

FORMATS = {".safetensors": safetensors, ".npz": npz}
ZIP = b"PK\x03\x04"

_PICKLE = "holds a pickle, which can run any program when it is read, so it is not: "
_TORCH = _PICKLE + "in PyTorch, save module.state_dict() with safetensors.torch, for xprnn.io.torch.read"
_HDF5 = "is Keras's old format: in Keras, load it and save it as .keras; xprnn.io.keras.load reads that"
# What to do with the files of others, by suffix; some are known by how they begin, or by what a zip of theirs holds.
OTHERS = {
    ".pt": _TORCH, ".pth": _TORCH, ".pkl": _PICKLE + "save its arrays with numpy.savez", ".h5": _HDF5, ".hdf5": _HDF5,
    ".keras": "is Keras's: use xprnn.io.keras.load", ".onnx": "is an ONNX model: use xprnn.load_onnx",
    ".npy": "is an array and no model: use numpy.load",
}  # fmt: skip
BEGINNINGS = {b"\x89HDF\r\n\x1a\n": ".h5", npz.MAGIC: ".npy"} | {b"\x80%c" % n: ".pkl" for n in range(2, 6)}
MEMBERS = {"data.pkl": ".pt", "model.weights.h5": ".keras"}


def write(path: str | os.PathLike, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> None:
    """Write ``arrays`` and ``header``, which is JSON, to ``path``, atomically, in the format of its suffix.

    The same contents are the same bytes. Raises ValueError for another suffix, FileError for what could not be read
    again, and OSError if the folder cannot be written to; then ``path`` is as it was.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"a model is saved as {' or '.join(FORMATS)}, not as {os.fspath(path)!r}")
    for name, a in arrays.items():
        if a.dtype.newbyteorder("<") not in safetensors.NAMES:
            raise ValueError(f"{name} is of dtype {a.dtype}; a file holds real numbers of up to 64 bits")
    text = json.dumps(header)
    with store.told(path, "could not be read again"):
        store.parse(text)
    store.atomic(path, FORMATS[suffix].encode(arrays, text))


def read(path: str | os.PathLike, empty: bool = False) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What ``write`` was given; ``empty`` leaves the numbers in the file: the arrays are ``hollow``.

    Raises FileNotFoundError, or FileError for a file that is damaged, or no model's.
    """
    with store.opened(path, "a model") as file:
        kind = _kind(file, Path(path).suffix.lower())
        if kind in OTHERS:
            raise store.FileError(f"{os.fspath(path)} {OTHERS[kind]}")
        arrays, text = FORMATS[kind].decode(file, empty)
        header = store.parse(text)
        if not isinstance(header, dict):
            raise ValueError("its description is no JSON object")
    return arrays, header


def _kind(file: BinaryIO, suffix: str) -> str:
    """The suffix that fits the file's contents, or else its own."""
    begin = file.read(9)
    file.seek(0)
    if begin[8:] == b"{":
        return ".safetensors"
    if begin.startswith(ZIP):
        with npz.opened(file) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
        return next((kind for name, kind in MEMBERS.items() if name in names), ".npz")
    known = next((kind for start, kind in BEGINNINGS.items() if begin.startswith(start)), suffix)
    return known if known in OTHERS or known in FORMATS else ".safetensors"
