"""The parts of a .keras file, a zip archive that nobody has to trust: nothing is unpacked, nothing goes to the disk."""

import os
import stat
import zipfile
import zlib
from pathlib import Path

METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
EXPANSION = 100  # an archive that claims to hold more than this many times its own size is a bomb
LARGEST_JSON = 16 * 2**20  # bytes; a layer takes about one thousand


def read(path: str | os.PathLike) -> dict[str, bytes]:
    """The three parts of the file that make a model, by name.

    Raises ValueError, with the reason alone, for what Keras does not write: members that are encrypted, of strange
    names, there twice, links, or larger together than the file can be; FileNotFoundError if there is no file.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {os.fspath(path)}")
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            _check(archive.infolist(), os.fstat(file.fileno()).st_size)
            return {name: _member(archive, name) for name in (METADATA, CONFIG, WEIGHTS)}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"it is damaged or no zip archive ({error})") from error


def _check(members: list[zipfile.ZipInfo], size: int) -> None:
    """Raise ValueError unless the members are such as Keras writes, in an archive of ``size`` bytes."""
    for member in members:
        _check_name(member)
        mode = member.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ValueError(f"its member {member.filename!r} is a link or a device")
        if member.flag_bits & 1:
            raise ValueError(f"its member {member.filename!r} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"its member {member.filename!r} is compressed in a way that Keras does not use")
    names = [member.filename for member in members]
    if len(set(names)) < len(names):
        raise ValueError(f"its member {next(name for name in names if names.count(name) > 1)!r} is there twice")
    claimed = sum(member.file_size for member in members)
    if claimed > EXPANSION * size:
        raise ValueError(f"its members claim to be {claimed} bytes, more than {EXPANSION} times its {size}")


def _check_name(member: zipfile.ZipInfo) -> None:
    name = member.filename
    if name != member.orig_filename or not name.isprintable() or set(name) & set('\\:*?"<>|'):
        raise ValueError(f"its member {member.orig_filename!r} has a name that no file can have everywhere")
    if name.startswith("/") or ".." in name.split("/"):
        raise ValueError(f"its member {name!r} points out of the archive")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        about = archive.getinfo(name)
    except KeyError:
        raise ValueError(f"it has no {name}, so it is no file of Keras 3's") from None
    if name.endswith(".json") and about.file_size > LARGEST_JSON:
        raise ValueError(f"its {name} claims to be {about.file_size} bytes; {LARGEST_JSON} are the most")
    with archive.open(about) as file:
        data = file.read(about.file_size + 1)
    if len(data) != about.file_size:
        raise ValueError(f"its {name} is of another size than it claims, {about.file_size} bytes")
    return data
