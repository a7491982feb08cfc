"""Weights, as Keras has them in model.weights.h5, with something wrong in each."""

import os

import h5py
import numpy as np

from .keras_file import PARTS, archive, hdf5

KERNEL = "layers/lstm/cell/vars/0"


def instead(make, path=KERNEL):
    """Takes an array out, and calls ``make`` with the group that it was in and its name."""

    def change(root):
        del root[path]
        where, _, name = path.rpartition("/")
        make(root[where], name)

    return change


def of(dtype, shape=(3, 8)):
    return instead(lambda group, name: group.create_dataset(name, data=np.zeros(shape, dtype)))


def made(shape=(3, 8), dtype="f4", **options):
    return instead(lambda group, name: group.create_dataset(name, shape, dtype, **options))


def linked(path):
    """Moves what is at ``path`` away, and puts a link to it there."""

    def change(root):
        root.move(path, "hidden")
        root[path] = h5py.SoftLink("/hidden")

    return change


def virtual(group, name):
    layout = h5py.VirtualLayout((3, 8), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "a", (3, 8))
    group.create_virtual_dataset(name, layout)


def virtual_inside(group, name):
    group.file["hidden"] = np.zeros((3, 8), "f4")
    layout = h5py.VirtualLayout((3, 8), "f4")
    layout[:] = h5py.VirtualSource(group.file["hidden"])
    group.create_virtual_dataset(name, layout)


def piped(change):
    """A file in which a link, or numbers, are in a pipe beside it: whoever opens that waits for ever."""

    def write(path):
        pipe = path.with_name("pipe")
        os.mkfifo(pipe)
        path.write_bytes(archive(model=hdf5(lambda root: change(str(pipe))(root))))

    return write


PIPES = {
    "a link to a pipe": lambda pipe: instead(lambda g, name: g.__setitem__(name, h5py.ExternalLink(pipe, "/"))),
    "a group in a pipe": lambda pipe: instead(lambda g, name: g.__setitem__(name, h5py.ExternalLink(pipe, "/")),
                                              "layers/lstm"),
    "numbers in a pipe": lambda pipe: made(external=[(pipe, 0, 96)]),
}  # fmt: skip


def crowd(group, name):
    for n in range(3000):
        group.create_dataset(f"n{n}", data=np.float32(0))


HDF5 = {
    "a link to a file": instead(lambda g, name: g.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/"))),
    "a link to itself": instead(lambda g, name: g.__setitem__(name, h5py.SoftLink(f"{g.name}/{name}"))),
    "a link inside": instead(lambda g, name: g.__setitem__(name, h5py.SoftLink("/layers/dense/vars/0"))),
    "a group that is a link": instead(lambda g, name: g.__setitem__(name, h5py.SoftLink("/layers/dense/vars")),
                                      "layers/lstm/cell/vars"),
    "a group in another file": instead(lambda g, name: g.__setitem__(name, h5py.ExternalLink("/tmp/a.h5", "/vars")),
                                       "layers/lstm"),
    "a link to the right numbers": linked(KERNEL),
    "a link to the right group": linked("layers/lstm"),
    "a group for an array": instead(lambda g, name: g.create_group(name)),
    "an array for a group": instead(lambda g, name: g.create_dataset(name, data=np.zeros(3)), "layers/lstm/cell"),
    "a group in itself": instead(lambda g, name: g.__setitem__(name, g)),
    "a type for an array": instead(lambda g, name: g.__setitem__(name, np.dtype("f4"))),
    "numbers in another file": made(external=[("/etc/passwd", 0, 96)]),
    "numbers in a device": made(external=[("/dev/zero", 0, 96)]),
    "numbers of another file": instead(virtual),
    "numbers of others": instead(virtual_inside),
    "objects": instead(lambda g, name: g.create_dataset(name, (3, 8), dtype=h5py.string_dtype())),
    "lists": instead(lambda g, name: g.create_dataset(name, (3, 8), dtype=h5py.vlen_dtype("f4"))),
    "references": instead(lambda g, name: g.create_dataset(name, (3, 8), dtype=h5py.ref_dtype)),
    "regions": instead(lambda g, name: g.create_dataset(name, (3, 8), dtype=h5py.regionref_dtype)),
    "names": of(h5py.enum_dtype({"a": 1}, "i4")), "text": of("S4"), "raw bytes": of("V4"), "truth": of(bool),
    "a structure": of([("a", "f4"), ("b", "f4")]), "arrays of arrays": of(np.dtype(("f4", (2,))), (3, 4)),
    "whole numbers": of("i4"), "half precision": of("f2"), "complex": of("c8"), "long numbers": of("f16"),
    "nothing": instead(lambda g, name: g.create_dataset(name, data=h5py.Empty("f4"))),
    "a number": of("f4", ()), "no rows": of("f4", (0, 8)), "another shape": of("f4", (8, 3)), "flat": of("f4", (24,)),
    "more axes": of("f4", (3, 8, 1)),
    "never written": made(), "2**40 never written": made((2**37, 8)), "2**61 never written": made((2**58, 8)),
    "2**40 in pieces": made((2**37, 8), chunks=(2**10, 8)),
    "packed": made(chunks=(3, 8), compression="gzip", data=np.zeros((3, 8), "f4")),
    "a bomb": made((2**22, 8), chunks=(2**16, 8), compression="gzip", data=np.zeros((2**22, 8), "f4")),
    "filled": made((2**37, 8), chunks=(2**10, 8), fillvalue=1.0),
    "shuffled": made(chunks=(3, 8), shuffle=True, data=np.zeros((3, 8), "f4")),
    "that can grow": made(maxshape=(None, 8), data=np.zeros((3, 8), "f4")),
    "none": lambda root: root.__delitem__("layers"), "no group": lambda root: root.__delitem__("layers/lstm"),
    "one too few": lambda root: root.__delitem__("layers/lstm/cell/vars/2"),
    "one too many": lambda root: root.__setitem__("layers/lstm/cell/vars/3", np.zeros(8, "f4")),
    "another name": lambda root: root.move(KERNEL, "layers/lstm/cell/vars/kernel"),
    "3000 more": instead(crowd),
    "the layout of Keras 2": lambda root: root.move("layers", "_layer_checkpoint_dependencies"),
}  # fmt: skip
BYTES = {
    "nothing": b"", "text": b"import os", "the beginning": PARTS["model.weights.h5"][:8],
    "half": PARTS["model.weights.h5"][: len(PARTS["model.weights.h5"]) // 2],
    "zeros": b"\x89HDF\r\n\x1a\n" + b"\0" * 4096, "ones": b"\x89HDF\r\n\x1a\n" + b"\xff" * 4096,
}  # fmt: skip
