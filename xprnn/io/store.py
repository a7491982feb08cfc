"""Files of named arrays: safetensors, written so that a file is always the old one or the new one, and whole."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy


class FileError(ValueError):
    """A file that cannot be read as a model."""


def write(path: str | os.PathLike, arrays: dict[str, np.ndarray], header: dict[str, Any]) -> None:
    """Write ``arrays`` and ``header`` (JSON) to ``path``, atomically: temporary file, fsync, rename, fsync of the folder.

    Raises OSError if the folder cannot be written to; then ``path`` is as it was.
    """
    path = Path(path)
    # safetensors writes the memory of arrays that are not contiguous in the wrong order (safetensors#825).
    contiguous = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
    data = safetensors.numpy.save(contiguous, {"xprnn": json.dumps(header)})
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
    """The arrays and the header of a file that ``write`` wrote. FileError if it is not one, or not whole."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            header = json.loads((file.metadata() or {})["xprnn"])
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118 (no mapping)
    except KeyError as error:
        raise FileError(f"{os.fspath(path)} is a safetensors file, but no model of xprnn's: {error} is missing") from error
    except (safetensors.SafetensorError, json.JSONDecodeError, ValueError, OSError) as error:
        raise FileError(f"{os.fspath(path)} cannot be read as a model, it is damaged or no safetensors file: {error}") from error


def pack(tree: Any, prefix: str, arrays: dict[str, np.ndarray]) -> Any:
    """A tree of dicts, tuples, arrays, numbers and None as JSON, its arrays put into ``arrays`` under names with prefix."""
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
