"""Files of named arrays: safetensors, written so that a file is always the old one or the new one, and whole."""

import contextlib
import json
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy


class FileError(ValueError):
    """A file that cannot be read as a model."""


def write(path: str | os.PathLike, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> None:
    """Write ``arrays`` and ``header`` (JSON) to ``path``, as ``atomic`` does."""
    # safetensors 0.8 writes the memory of arrays that are not contiguous as if they were.
    contiguous = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
    checked = {"crc32": _checksum(header, contiguous)} | header
    atomic(path, safetensors.numpy.save(contiguous, {"xprnn": json.dumps(checked)}))


def atomic(path: str | os.PathLike, data: bytes) -> None:
    """Write ``data`` to ``path`` so that it is always the old file or the new one: temporary file, fsync, rename.

    Raises OSError if the folder cannot be written to; then ``path`` is as it was. A process that is killed while it
    writes leaves the temporary file behind, ``.NAME.*.part`` beside ``path``; it may be removed.
    """
    path = Path(os.path.realpath(path))  # a symbolic link stays: the file it points to is replaced
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} to")
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def read(path: str | os.PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the header of a file that ``write`` wrote. FileError if it is none, or damaged."""
    name = os.fspath(path)
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {name}")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            about = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    except (safetensors.SafetensorError, ValueError, TypeError, KeyError, OSError) as error:
        raise FileError(f"{name} cannot be read as a model, it is damaged or no safetensors file: {error}") from error
    if "xprnn" not in about:
        raise FileError(f"{name} is a safetensors file, but no model of xprnn's, which have a header named xprnn")
    try:
        header = json.loads(about["xprnn"])
        whole = header.pop("crc32") == _checksum(header, arrays)
    except (ValueError, TypeError, KeyError, AttributeError):
        whole = False
    if not whole:
        raise FileError(f"{name} is damaged: its contents are not those that were written")
    return arrays, header


def pack(tree: Any, prefix: str, arrays: dict[str, np.ndarray]) -> Any:
    """A tree of dicts, tuples, arrays and numbers as JSON; its arrays go to ``arrays`` under names with prefix."""
    if isinstance(tree, dict):
        return {"dict": {name: pack(branch, f"{prefix}.{name}", arrays) for name, branch in tree.items()}}
    if isinstance(tree, tuple):
        return {"tuple": [pack(branch, f"{prefix}.{n}", arrays) for n, branch in enumerate(tree)]}
    if isinstance(tree, np.ndarray):
        arrays[prefix] = tree
        return {"array": prefix}
    return {"value": tree}


def unpack(packed: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The tree that ``pack`` was given."""
    ((kind, content),) = packed.items()
    if kind == "dict":
        return {name: unpack(branch, arrays) for name, branch in content.items()}
    if kind == "tuple":
        return tuple(unpack(branch, arrays) for branch in content)
    return arrays[content] if kind == "array" else content


def _checksum(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    """A checksum of all that a file holds; safetensors itself has none."""
    value = zlib.crc32(json.dumps(header).encode())
    for name in sorted(arrays):
        value = zlib.crc32(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode(), value)
        value = zlib.crc32(arrays[name].data if arrays[name].size else b"", value)
    return f"{value:08x}"


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows has no handle of a folder to sync
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
