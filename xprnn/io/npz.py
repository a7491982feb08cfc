"""NumPy's formats: .npy holds an array, .npz is a zip of these. No pickles are read, and no more than a file has."""

import contextlib
import io
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, NamedTuple

import numpy as np

from ..initializers import hollow
from . import store

HEADER = "xprnn.json"  # beside the arrays in the file of a model
MAGIC = b"\x93NUMPY"
SUFFIX = ".npy"
LONGEST_HEADER = 4096  # of an .npy
_LENGTH = {1: 2, 2: 4, 3: 4}  # version -> how many bytes tell the header's length
# The header is a dict in Python's words; those of real numbers are all of this form.
_FIELDS = re.compile(
    r"\{\s*'descr'\s*:\s*'(?P<dtype>[<>|=](?:b1|[iu][1248]|f[248]))'\s*,"
    r"\s*'fortran_order'\s*:\s*(?P<fortran>True|False)\s*,"
    r"\s*'shape'\s*:\s*\((?P<shape>(?:\s*\d{1,19}\s*,)*\s*(?:\d{1,19}\s*)?)\)\s*,?\s*\}\s*",
    re.ASCII,
)


class Kind(NamedTuple):
    """What the header of an .npy says: a dtype, a shape, and whether the first axis is the fastest."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool


def encode(arrays: dict[str, np.ndarray], header: str) -> bytearray:
    """The file of a model: ``arrays`` as ``np.savez`` stores them, and the text ``header`` beside them.

    The zip's comment is the checksum. ValueError for names that lead to other folders where they are unpacked.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, HEADER, header.encode())
        for name, a in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(a, order="C"), allow_pickle=False)
            _add(archive, name + SUFFIX, member.getvalue())
        archive.comment = store.CHECKSUM
    data = bytearray(target.getbuffer())
    store.seal(data, len(data) - len(store.CHECKSUM))
    return data


def decode(file: BinaryIO, empty: bool) -> tuple[dict[str, np.ndarray], str]:
    """What ``encode`` was given; ``empty`` leaves the numbers in the file, the arrays are ``hollow`` then.

    ValueError for a file that is damaged, or is no model's.
    """
    with opened(file) as archive:
        members = _members(archive)
        if HEADER not in members or len(archive.comment) != len(store.CHECKSUM):
            raise ValueError(f"it is a zip file, but no model of xprnn's, which has a member {HEADER}")
        store.check_seal(file, _size(file) - len(store.CHECKSUM))
        header = archive.read(members.pop(HEADER)).decode()
        return _arrays(archive, members, empty), header


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name, or the one of an .npy file under the name "".

    Nothing is unpickled. Raises FileNotFoundError, or FileError for a file that is damaged or compressed, or holds
    anything but real numbers and truth values.
    """
    with store.opened(path, "arrays of NumPy's") as file:
        if file.read(len(MAGIC)) == MAGIC:
            file.seek(0)
            return {"": _array(file, _size(file), empty=False)}
        with opened(file) as archive:
            return _arrays(archive, _members(archive), empty=False)


def read_array(path: str | os.PathLike) -> np.ndarray:
    """The array of an .npy file, or of an .npz file that holds one alone. Raises as ``read_arrays``."""
    arrays = read_arrays(path)
    if len(arrays) != 1:
        with store.told(path, "cannot be read as one array"):
            raise ValueError(f"it holds {len(arrays)}: {list(arrays)}")
    return next(iter(arrays.values()))


@contextlib.contextmanager
def opened(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """The file as a zip; errors with that become ValueError."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError) as error:
        raise ValueError(f"it is damaged or no .npz file: {error}") from error


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members by name: each once, as they are, and together no larger than the file."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename
        _check_name(member.orig_filename)
        if name in found:
            raise ValueError(f"it has two members named {name!r}")
        if member.flag_bits & 1:
            raise ValueError(f"its member {name!r} is encrypted")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"its member {name!r} is compressed; np.savez writes members as they are")
        found[name] = member
    claimed, there = sum(member.file_size for member in found.values()), _size(archive.fp)
    if claimed > there:
        raise ValueError(f"its members claim {claimed} bytes, the file has {there}")
    return found


def _arrays(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], empty: bool) -> dict[str, np.ndarray]:
    found = {}
    for name, member in members.items():
        if not name.endswith(SUFFIX):
            raise ValueError(f"its member {name!r} is no array")
        with archive.open(member) as stream:
            try:
                found[name.removesuffix(SUFFIX)] = _array(stream, member.file_size, empty)
            except ValueError as error:
                raise ValueError(f"its member {name!r}: {error}") from error
    return found


def _array(stream: IO[bytes], size: int, empty: bool) -> np.ndarray:
    """The array of an .npy of ``size`` bytes."""
    kind, begin = _kind(stream)
    if math.prod(kind.shape) * kind.dtype.itemsize != size - begin:
        raise ValueError(f"an array of shape {kind.shape} and dtype {kind.dtype} does not take {size - begin} bytes")
    if empty:
        return hollow(kind.shape, kind.dtype)
    raw = bytearray(stream.read(size - begin))
    if kind.dtype == bool and raw.translate(None, b"\0\1"):
        raise ValueError("it holds truth values that are neither")
    a = np.frombuffer(raw, kind.dtype).reshape(kind.shape, order="F" if kind.fortran else "C")
    return a.astype(kind.dtype.newbyteorder("="), copy=False)


def _kind(stream: IO[bytes]) -> tuple[Kind, int]:
    """What the header of an .npy says, and how long it is."""
    begin = stream.read(len(MAGIC) + 2)
    if begin[:-2] != MAGIC or begin[-2] not in _LENGTH:
        raise ValueError("it is damaged or no .npy file")
    width = _LENGTH[begin[-2]]
    length = int.from_bytes(stream.read(width), "little")
    text = stream.read(min(length, LONGEST_HEADER)).decode("latin1")
    fields = _FIELDS.fullmatch(text)
    if fields is None or len(text) != length:
        raise ValueError(f"it is damaged, or holds something else than real numbers: {text[:100]!r}")
    shape = tuple(map(int, re.findall(r"\d+", fields["shape"])))
    return Kind(np.dtype(fields["dtype"]), shape, fields["fortran"] == "True"), len(begin) + width + length


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """A member without the time and the system it was made at."""
    _check_name(name)
    member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    member.create_system, member.external_attr = 3, 0o644 << 16
    archive.writestr(member, content)


def _check_name(name: str) -> None:
    if not {"", ".", ".."}.isdisjoint(name.split("/")) or set(name) & set("\\:\0"):
        raise ValueError(f"{name!r} leads to another folder where it is unpacked")


def _size(file: IO[bytes] | None) -> int:
    return os.fstat(file.fileno()).st_size if file is not None else 0
