"""Files of Keras's made to hurt: the archive, the description of the model, and the weights in HDF5."""

import copy
import json
import zlib

import numpy as np

from .arrays import pickle_alone
from .formats import File, Member, deflated, zipped
from .keras_config import CONFIG, GRAPHS, TEXTS, functional
from .keras_file import ARRAYS, DESCRIPTION, PARTS, archive, hdf5, members
from .keras_hdf5 import BYTES, HDF5, PIPES, piped

ZIP = {
    "nothing": b"",
    "no zip": b"\x89HDF\r\n\x1a\n" + b"\0" * 99,
    "half": archive()[:3000],
    "no end": archive()[:-22],
    "no weights": archive(model=None),
    "no description": archive(config=None),
    "no version": archive(metadata=None),
    "twice": members(Member(b"config.json", PARTS["config.json"])),
    "up": members(Member(b"../a", b"")),
    "up in assets": members(Member(b"assets/../../a", b"")),
    "root": members(Member(b"/etc/a", b"")),
    "drive": members(Member(b"C:a", b"")),
    "backslash": members(Member(b"assets\\..\\..\\a", b"")),
    "a name that ends early": members(name=b"model.weights.h5\0.txt"),
    "a link": members(Member(b"assets/a", b"/etc/passwd", mode=0o120777)),
    "a link for weights": members(mode=0o120777),
    "a device": members(Member(b"assets/a", b"", mode=0o020666)),
    "encrypted": members(flags=1),
    "a patch": members(flags=0x20),
    "another name inside": members(local=b"model.weights.h6"),
    "packed by other means": members(method=14),
    "deflated rubbish": members(content=b"\xff" * 99, method=8),
    "a wrong sum": members(crc=1),
    "sizes that differ": members(size=10**6),
    "a size of 2**32 - 2": members(size=2**32 - 2, packed=2**32 - 2),
    "a place past the end": members(offset=10**6),
    "a bomb": members(content=deflated(b"\0" * 2**27), method=8, size=2**27, crc=zlib.crc32(b"\0" * 2**27)),
    "a bomb that hides its size": members(content=deflated(b"\0" * 2**27), method=8, size=4096),
    "a bomb in assets": members(Member(b"assets/a", deflated(b"\0" * 2**27), method=8, size=2**27)),
    "weights in NumPy's zip": zipped([Member(b"metadata.json", PARTS["metadata.json"]), Member(b"config.json",
                                      PARTS["config.json"]), Member(b"model.weights.npz", b"")]),
}  # fmt: skip
METADATA = {
    "no JSON": b"import os", "a list": b"[]", "Keras 2": b'{"keras_version": "2.15.0"}', "nothing": b"{}",
    "a version of lists": b'{"keras_version": [3]}', "half": b'{"keras_version": "3',
    "deep": b"[" * 10**5, "a key twice": b'{"keras_version": "3.0.0", "keras_version": "2.0.0"}',
}  # fmt: skip


def files():
    """All of them, by name."""
    found = {f"zip: {name}": made for name, made in ZIP.items()}
    found |= {f"metadata: {name}": archive(metadata=text) for name, text in METADATA.items()}
    for name, change in CONFIG.items():
        described = copy.deepcopy(DESCRIPTION)
        change(described)
        found[f"config: {name}"] = archive(config=json.dumps(described).encode())
    text = PARTS["config.json"].decode()
    found |= {f"text: {name}": archive(config=change(text).encode()) for name, change in TEXTS.items()}
    found |= {f"functional: {name}": archive(config=functional(change)) for name, change in GRAPHS.items()}
    found |= {f"hdf5: {name}": archive(model=hdf5(change)) for name, change in HDF5.items()}
    found |= {f"bytes: {name}": archive(model=data) for name, data in BYTES.items()}
    found |= {f"hdf5: {name}": piped(change) for name, change in PIPES.items()}
    files = {name: File("keras", "m.keras", content) for name, content in found.items()}
    return files | {
        "a pickle": File("keras", "m.keras", pickle_alone),
        "a folder": File("keras", "m.keras", lambda path: path.mkdir()),
        "a device": File("keras", "m.keras", lambda path: path.symlink_to("/dev/zero")),
    }


def flipped(count):
    """Files with a bit of the weights turned over, in their description or in the numbers."""
    rng, data = np.random.default_rng(1), PARTS["model.weights.h5"]
    for n in range(count):
        place = int(rng.integers(len(data)))
        changed = data[:place] + bytes([data[place] ^ (1 << rng.integers(8))]) + data[place + 1 :]
        yield f"bit {n}", File("keras", "m.keras", archive(model=changed))


def good():
    """The model as it is, and in ways that are as good."""
    large = {path: a.astype(">f4") for path, a in ARRAYS.items()}
    packed = deflated(PARTS["config.json"])
    sizes = {"size": len(PARTS["config.json"]), "crc": zlib.crc32(PARTS["config.json"])}
    rest = [Member(name.encode(), PARTS[name]) for name in ("metadata.json", "model.weights.h5")]
    found = {
        "as it is": archive(),
        "chain": archive(config=functional()),
        "deflated": zipped([*rest, Member(b"config.json", packed, method=8, **sizes)]),
        "with assets": members(Member(b"assets/a/b.txt", b"words"), Member(b"assets/a/", b"", mode=0o040755)),
        "large end first": archive(model=hdf5(arrays=large)),
        "with more in it": archive(model=hdf5(lambda root: root.__setitem__("optimizer/vars/0", np.arange(3)))),
    }
    return {name: File("keras", "m.keras", data) for name, data in found.items()}
