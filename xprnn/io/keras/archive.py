"""The parts of a .keras file, a zip archive that nobody has to trust: nothing is unpacked, nothing goes to the disk."""

import io
import os
import stat
import zipfile
import zlib
from typing import BinaryIO

METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
EXPANSION = 100  # members that claim to be more than this many times the file are a bomb
LARGEST_JSON = 16 * 2**20  # bytes; a layer takes about one thousand


def read(file: BinaryIO) -> dict[str, bytes]:
    """The three parts of the file that make a model, by name.

    Raises ValueError for what Keras does not write: members that are encrypted, of strange names, there twice, links,
    or together much larger than the file.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            _check(archive.infolist(), os.fstat(file.fileno()).st_size)
            return {name: _member(archive, name) for name in (METADATA, CONFIG, WEIGHTS)}
    except (zipfile.BadZipFile, zlib.error, RuntimeError) as error:
        raise ValueError(f"it is damaged or no zip archive: {error}") from error


def _check(members: list[zipfile.ZipInfo], size: int) -> None:
    """Raise ValueError unless the members are such as Keras writes, in a file of ``size`` bytes."""
    names: set[str] = set()
    for member in members:
        name = member.orig_filename
        if name in names:
            raise ValueError(f"it has two members named {name!r}")
        names.add(name)
        if not {"", ".", ".."}.isdisjoint(name.removesuffix("/").split("/")) or set(name) & set("\\:\0"):
            raise ValueError(f"its member {name!r} leads to another folder where it is unpacked")
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ValueError(f"its member {name!r} is a link or a device")
        if member.flag_bits & 1:
            raise ValueError(f"its member {name!r} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"its member {name!r} is compressed in a way that Keras does not read")
    claimed = sum(member.file_size for member in members)
    if claimed > EXPANSION * size:
        raise ValueError(f"its members claim {claimed} bytes, more than {EXPANSION} times the {size} of the file")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if name not in archive.namelist():
        raise ValueError(f"it has no {name}, so it is no file of Keras 3's")
    about = archive.getinfo(name)
    if name != WEIGHTS and about.file_size > LARGEST_JSON:
        raise ValueError(f"its {name} claims {about.file_size} bytes, {LARGEST_JSON} are the most")
    with archive.open(about) as member:
        data = member.read(about.file_size + 1)  # all of it would be as much as there is, not as it claims
    if len(data) != about.file_size:
        raise ValueError(f"its {name} has {len(data)} bytes and claims {about.file_size}")
    return data


def encode(parts: dict[str, bytes]) -> bytes:
    """The file of these parts, without the time and the system it was made at."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, 0o644 << 16
            archive.writestr(member, content)
    return target.getvalue()
