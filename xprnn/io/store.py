"""What all files have in common: one error, strict JSON, a checksum, atomic writing, trees of arrays as JSON."""

import contextlib
import itertools
import json
import math
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

CHECKSUM = b"00000000"  # what stands in the checksum's place while it is computed
PIECE = 2**20
LARGEST_INTEGER = 2**64
LONGEST_REASON = 500  # characters: a name in a file may have millions


class FileError(ValueError):
    """A file that cannot be read as what it should be."""


@contextlib.contextmanager
def told(path: str | os.PathLike, words: str) -> Iterator[None]:
    """What goes wrong inside becomes a FileError: the file's name, ``words``, and the reason."""
    try:
        yield
    except FileError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError, EOFError) as error:
        raise FileError(f"{os.fspath(path)} {words}: {_shown(error)}") from error
    except (RecursionError, MemoryError) as error:
        raise FileError(f"{os.fspath(path)} {words}: that takes too much of this machine ({error!r})") from error


@contextlib.contextmanager
def opened(path: str | os.PathLike, what: str) -> Iterator[BinaryIO]:
    """The file, to be read as ``what``; FileNotFoundError if there is none, FileError for whatever goes wrong inside.

    Nothing but regular files is opened: a pipe or a device may have no end.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    with told(path, f"cannot be read as {what}"):
        if not Path(path).is_file():
            raise ValueError("it is no regular file")
        with open(path, "rb") as file:
            yield file


def parse(text: str | bytes) -> Any:
    """The JSON in ``text``.

    ValueError for what Python alone takes for JSON (NaN, infinities), for names that an object has twice, integers
    beyond 64 bits, and nesting that is too deep.
    """
    try:
        text = text if isinstance(text, str) else text.decode()
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=_number, parse_float=_number, parse_int=_integer
        )
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None


def seal(data: bytearray, place: int) -> None:
    """Write the checksum of ``data``, which has zeros at ``place``, there."""
    data[place : place + len(CHECKSUM)] = b"%08x" % zlib.crc32(data)


def check_seal(file: BinaryIO, place: int) -> None:
    """Raise ValueError unless what stands at ``place`` is the checksum of all the rest of the file."""
    file.seek(0)
    value = zlib.crc32(CHECKSUM, _checksum(file, place, 0))
    met = file.read(len(CHECKSUM))
    value = _checksum(file, os.fstat(file.fileno()).st_size, value)
    if met != b"%08x" % value:
        raise ValueError("it is damaged, its contents are not those that were written")


def atomic(path: str | os.PathLike, data: bytes | bytearray) -> None:
    """Write ``data`` to ``path`` so that it is always the old file or the new one: temporary file, fsync, rename.

    A new file has the rights that the process gives to files, one that was there keeps its own.
    Raises OSError if the folder cannot be written to; then ``path`` is as it was. A process that is killed while it
    writes leaves the temporary file behind, ``.NAME.*.part`` beside ``path``; it may be removed.
    """
    path = Path(os.path.realpath(path))  # a symbolic link stays: the file it points to is replaced
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} to")
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.part")
    rights = _rights(path)
    kind = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, kind, 0o666 if rights is None else 0o600)  # nobody else's before it is whole
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if rights is not None:
            os.chmod(temporary, rights)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


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
    """The tree that ``pack`` was given; its arrays are taken out of ``arrays``.

    Raises ValueError, TypeError, KeyError or AttributeError for anything else than ``pack`` makes.
    """
    ((kind, content),) = packed.items()
    if kind == "dict":
        return {name: unpack(branch, arrays) for name, branch in content.items()}
    if kind == "tuple":
        return tuple(unpack(branch, arrays) for branch in content)
    if kind == "array":
        return arrays.pop(content)
    if kind != "value" or not isinstance(content, int | float | None):
        raise ValueError(f"{kind} {content!r} is no part of a tree of arrays and numbers")
    return content


def _shown(error: Exception) -> str:
    """A reason in one line that a terminal can show: it may quote what stands in a file."""
    before = "it has no " if isinstance(error, KeyError) else ""
    before = "something in it is of another kind, " if isinstance(error, (TypeError, AttributeError)) else before
    reason = f"{before}{error}"
    cut = f"{reason[:LONGEST_REASON]}..." if len(reason) > LONGEST_REASON else reason
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut)


def _checksum(file: BinaryIO, count: int, value: int) -> int:
    """The checksum of the next ``count`` bytes, or all that are left, going on from ``value``."""
    while count > 0 and (piece := file.read(min(count, PIECE))):
        value, count = zlib.crc32(piece, value), count - len(piece)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = sorted(name for name, _ in pairs)
        twice = next(name for name, after in itertools.pairwise(names) if name == after)
        raise ValueError(f"its JSON has {twice[:80]!r} twice in one object")
    return found


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"its JSON holds {digits[:20]}, which is no finite number")
    return value


def _integer(digits: str) -> int:
    if len(digits) > 20 or abs(int(digits)) >= LARGEST_INTEGER:
        raise ValueError(f"its JSON holds an integer of more than 64 bits, {digits[:20]}...")
    return int(digits)


def _rights(path: Path) -> int | None:
    """Those of the file that is there; None where there is none, or the system has no such rights."""
    try:
        return None if os.name == "nt" else stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows has no handle of a folder to sync
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
