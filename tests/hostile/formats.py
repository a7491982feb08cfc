"""Writers of the formats from their definitions, which write any lie that they are told to."""

import json
import struct
import zlib
from typing import NamedTuple


class File(NamedTuple):
    """A file to read: with which reader, under which name; the contents, or how to make it, a call with its path."""

    reader: str
    name: str
    content: object
    beside: dict = {}  # noqa: RUF012 (nobody writes into it)

    def put(self, folder):
        """Make the file in ``folder``, which is new, and what lies beside it -> its path."""
        path = folder / self.name
        for name, content in self.beside.items():
            (folder / name).write_bytes(content)
        if callable(self.content):
            self.content(path)
        else:
            path.write_bytes(self.content)
        return path


class Member(NamedTuple):
    """A member of a zip archive: what it is called and holds, and what else its headers claim than the truth."""

    name: bytes
    content: bytes
    method: int = 0  # 0 is stored, 8 deflated; the content is that of the file, packed already
    flags: int = 0
    size: int | None = None
    packed: int | None = None
    crc: int | None = None
    local: bytes | None = None
    mode: int = 0o100644
    extra: bytes = b""
    version: int = 20
    offset: int | None = None


def zipped(members, comment=b"", before=b"", **end):
    """A zip archive: each member behind a header of its own, then all headers again, then where these are.

    end: count, size or offset, if the last record is to claim other ones.
    """
    body, directory = before, b""
    for m in members:
        crc = zlib.crc32(m.content) if m.crc is None else m.crc
        packed = len(m.content) if m.packed is None else m.packed
        size = len(m.content) if m.size is None else m.size
        offset = len(body) if m.offset is None else m.offset
        local = m.name if m.local is None else m.local
        about = (m.flags, m.method, 0, 0x21, crc, packed, size)
        body += struct.pack("<4sH", b"PK\3\4", m.version) + struct.pack("<4H3I", *about)
        body += struct.pack("<2H", len(local), 0) + local + m.content
        directory += struct.pack("<4s2H", b"PK\1\2", 0x300 + 20, m.version) + struct.pack("<4H3I", *about)
        directory += struct.pack("<5H2I", len(m.name), len(m.extra), 0, 0, 0, m.mode << 16, offset) + m.name + m.extra
    count, size, offset = end.get("count", len(members)), end.get("size", len(directory)), end.get("offset", len(body))
    last = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, offset, len(comment))
    return body + directory + last + comment


def deflated(content):
    """``content`` as members of method 8 hold it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def npy(data, descr="'<f4'", shape="(2,)", fortran="False", version=1, text=None, length=None):
    """An .npy file."""
    header = text or f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"
    raw = header.encode("latin1")
    length = len(raw) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", length) + raw + data


def safetensors(header, data=b"", length=None):
    """A .safetensors file; the header is JSON, or a text that is to stand for it."""
    raw = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data
