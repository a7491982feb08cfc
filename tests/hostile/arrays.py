"""The formats themselves: plain safetensors, .npy and .npz; and files of others that are given for models."""

import json
import os
import pickle
import struct
import zlib

from .formats import File, Member, deflated, npy, safetensors, zipped

NUMBERS = b"\0\0\x80\x3f" * 2  # float32, 1 and 1


class Marker:
    """Whoever unpickles it, writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"echo written > {self.path}",)


def pickled(path):
    """A pickle that writes a file beside it when it is read."""
    return pickle.dumps(Marker(path.with_name("written")), protocol=2)


def field(begin=0, end=8, dtype="F32", shape=(2,), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]} | more


def text(*fields):
    """A header that has names twice, or is odd in other ways: the fields as they are given."""
    return b"{" + b",".join(fields) + b"}"


A, B = (b'"%s":%s' % (name, json.dumps(field()).encode()) for name in (b"a", b"b"))
SAFETENSORS = {
    "nothing": b"",
    "seven bytes": b"\2\0\0\0\0\0\0",
    "length 0": safetensors(b"", NUMBERS),
    "length 2**63": safetensors({"a": field()}, NUMBERS, length=2**63),
    "length 2**64 - 1": safetensors({"a": field()}, NUMBERS, length=2**64 - 1),
    "length 2**40": safetensors({"a": field()}, NUMBERS, length=2**40),
    "length past the end": safetensors({"a": field()}, NUMBERS, length=500),
    "length too short": safetensors({"a": field()}, NUMBERS, length=20),
    "no JSON": safetensors(b"{" + b"\xff" * 40, NUMBERS),
    "a list": safetensors(b"[]"),
    "a string": safetensors(b'"a"'),
    "a null": safetensors(b"null"),
    "spaces first": safetensors(b" " + json.dumps({"a": field()}).encode(), NUMBERS),
    "a name twice": safetensors(text(A, A), NUMBERS),
    "a name twice, once in escapes": safetensors(text(A, A.replace(b'"a"', b'"\\u0061"')), NUMBERS),
    "a field twice": safetensors(text(A[:-1] + b',"dtype":"I32"}'), NUMBERS),
    "metadata twice": safetensors(text(b'"__metadata__":{}', b'"__metadata__":{"a":"b"}', A), NUMBERS),
    "metadata of numbers": safetensors({"__metadata__": {"a": 1}, "a": field()}, NUMBERS),
    "metadata a list": safetensors({"__metadata__": ["a"], "a": field()}, NUMBERS),
    "overlap": safetensors({"a": field(), "b": field(4, 12)}, NUMBERS + b"\0" * 4),
    "the same bytes": safetensors({"a": field(), "b": field()}, NUMBERS),
    "a hole": safetensors({"a": field(), "b": field(12, 20)}, NUMBERS * 3),
    "bytes before": safetensors({"a": field(4, 12)}, NUMBERS + b"\0" * 4),
    "bytes after": safetensors({"a": field()}, NUMBERS + b"\0"),
    "bytes missing": safetensors({"a": field()}, NUMBERS[:-1]),
    "out of the file": safetensors({"a": field(0, 2**40, shape=[2**38])}, NUMBERS),
    "offsets of 2**64": safetensors({"a": field(2**64, 2**64 + 8)}, NUMBERS),
    "offsets reversed": safetensors({"a": field(8, 0)}, NUMBERS),
    "negative offsets": safetensors({"a": field(-8, 0)}, NUMBERS),
    "one offset": safetensors({"a": field() | {"data_offsets": [8]}}, NUMBERS),
    "offsets in words": safetensors({"a": field("0", "8")}, NUMBERS),
    "offsets with a point": safetensors({"a": field(0.0, 8.0)}, NUMBERS),
    "product 2**64 + 2": safetensors({"a": field(shape=[2**32, 2**32, 1])}, NUMBERS),
    "product of 2**64": safetensors({"a": field(0, 0, shape=[2**33, 2**31])}),
    "negative axes": safetensors({"a": field(shape=[-1, -2])}, NUMBERS),
    "axes of truth": safetensors({"a": field(shape=[True, 2])}, NUMBERS),
    "axes with a point": safetensors({"a": field(shape=[2.0])}, NUMBERS),
    "a shape in words": safetensors({"a": field() | {"shape": "2"}}, NUMBERS),
    "10000 axes": safetensors({"a": field(shape=[1] * 10_000 + [2])}, NUMBERS),
    "10000 axes of 2**63": safetensors({"a": field(shape=[2**63] * 10_000)}, NUMBERS),
    "an empty axis of 2**62": safetensors({"a": field(0, 0, shape=[0, 2**62, 2**62])}),
    "no such dtype": safetensors({"a": field(dtype="O")}, NUMBERS),
    "a dtype in small letters": safetensors({"a": field(dtype="f32")}, NUMBERS),
    "a dtype of Python's": safetensors({"a": field(dtype="os.system")}, NUMBERS),
    "a dtype of half bytes": safetensors({"a": field(dtype="F4", shape=[16])}, NUMBERS),
    "a dtype that is a list": safetensors({"a": field() | {"dtype": ["F32"]}}, NUMBERS),
    "another dtype's size": safetensors({"a": field(dtype="F64")}, NUMBERS),
    "neither true nor false": safetensors({"a": field(dtype="BOOL", shape=[8])}, b"\0\1\2\3\0\0\0\0"),
    "no dtype": safetensors({"a": {"shape": [2], "data_offsets": [0, 8]}}, NUMBERS),
    "an array that is a list": safetensors({"a": [field()]}, NUMBERS),
    "100000 deep": safetensors(b'{"a":' * 10**5 + b"1" + b"}" * 10**5),
    "100000 lists deep": safetensors(b'{"a":' + b"[" * 10**5),
    "a number of 100000 digits": safetensors(b'{"a":{"shape":[%s]}}' % (b"9" * 10**5)),
    "NaN for an axis": safetensors(text(A.replace(b"[2]", b"[NaN]")), NUMBERS),
    "1e999 for an axis": safetensors(text(A.replace(b"[2]", b"[1e999]")), NUMBERS),
}
GOOD_SAFETENSORS = {
    "one": safetensors({"a": field()}, NUMBERS),
    "two": safetensors({"b": field(8, 16), "a": field(), "__metadata__": {"format": "pt"}}, NUMBERS * 2),
    "none": safetensors({}),
    "an empty one": safetensors({"a": field(0, 0, shape=[3, 0]), "b": field()}, NUMBERS),
    "truth": safetensors({"a": field(dtype="BOOL", shape=[8])}, b"\0\1\1\1\0\0\0\0"),
}
FLAT = npy(NUMBERS)
LARGE = npy(b"", shape=f"({2**30 - 2**10},)")
LARGE_SIZE = len(LARGE) + 2**32 - 2**12  # what its header stands for
ZEROS = npy(b"\0" * (50 * 2**20), shape=f"({50 * 2**18},)")  # in a megabyte of zip it would be a thousand times that
NPZ = {
    "a bomb": [Member(b"a.npy", deflated(ZEROS), method=8, size=len(ZEROS), crc=zlib.crc32(ZEROS))],
    "a bomb that hides its size": [Member(b"a.npy", deflated(ZEROS), method=8, size=len(FLAT))],
    "a size of 2**32 - 2": [Member(b"a.npy", FLAT, size=2**32 - 2, packed=2**32 - 2)],
    "a size that the array has too": [Member(b"a.npy", LARGE, size=LARGE_SIZE, packed=LARGE_SIZE)],
    "a size past the end": [Member(b"a.npy", FLAT, size=len(FLAT) + 999, packed=len(FLAT) + 999)],
    "sizes that differ": [Member(b"a.npy", FLAT, size=len(FLAT) + 8)],
    "a thousand members in the same place": [
        Member(b"%d.npy" % n, b"" if n else npy(NUMBERS * 999, shape="(1998,)"), offset=0, size=8100, packed=8100)
        for n in range(999)
    ],
    "a wrong sum": [Member(b"a.npy", FLAT, crc=1)],
    "encrypted": [Member(b"a.npy", FLAT, flags=1)],
    "strongly encrypted": [Member(b"a.npy", FLAT, flags=0x41)],
    "a patch": [Member(b"a.npy", FLAT, flags=0x20)],
    "packed by other means": [Member(b"a.npy", FLAT, method=14)],
    "packed by unknown means": [Member(b"a.npy", FLAT, method=99)],
    "deflated rubbish": [Member(b"a.npy", b"\xff" * 99, method=8)],
    "twice": [Member(b"a.npy", FLAT), Member(b"a.npy", npy(b"\0" * 8))],
    "up": [Member(b"../a.npy", FLAT)],
    "up in the middle": [Member(b"a/../../a.npy", FLAT)],
    "root": [Member(b"/tmp/a.npy", FLAT)],
    "drive": [Member(b"C:a.npy", FLAT)],
    "backslash": [Member(b"..\\a.npy", FLAT)],
    "a folder": [Member(b"a/", b"")],
    "no name": [Member(b"", FLAT)],
    "a name that ends early": [Member(b"a.npy\0.txt", FLAT)],
    "a name of 65535 letters": [Member(b"a/" * 32767, FLAT)],
    "another name inside": [Member(b"a.npy", FLAT, local=b"b.npy")],
    "a newer zip": [Member(b"a.npy", FLAT, version=99)],
    "large sizes cut off": [Member(b"a.npy", FLAT, size=2**32 - 1, packed=2**32 - 1, extra=b"\1\0\x08\0")],
    "large sizes of 2**63": [
        Member(b"a.npy", FLAT, 0, 0, 2**32 - 1, 2**32 - 1, extra=struct.pack("<2H2Q", 1, 16, 2**63, 2**63))
    ],
    "a place past the end": [Member(b"a.npy", FLAT, offset=10**6)],
    "a script": [Member(b"a.py", b"import os")],
    "a pickle": [Member(b"a.npy", npy(pickle.dumps([1]), "'|O'", "(1,)"))],
    "a pickle alone": [Member(b"a.npy", pickle.dumps([1]))],
    "a size in the array's header": [Member(b"a.npy", npy(NUMBERS, shape=f"({2**40},)"))],
}
GOOD_NPZ = {
    "one": [Member(b"a.npy", FLAT)],
    "a folder's": [Member(b"a/b.npy", FLAT)],
    "fortran": [Member(b"a.npy", npy(NUMBERS, fortran="True", shape="(1, 2)"))],
}
ENDS = {
    "no end": zipped([Member(b"a.npy", FLAT)])[:-22],
    "an end alone": zipped([]),
    "a directory of 2**32 - 2": zipped([Member(b"a.npy", FLAT)], size=2**32 - 2),
    "a directory past the end": zipped([Member(b"a.npy", FLAT)], offset=2**32 - 2),
    "a directory in the member": zipped([Member(b"a.npy", FLAT)], offset=0, size=5),
    "half": zipped([Member(b"a.npy", FLAT)])[:90],
}
NPY = {
    "objects": npy(pickle.dumps([1]), "'|O'", "(1,)"),
    "a structure": npy(NUMBERS, "[('a', '<f4'), ('b', '<f4')]", "(1,)"),
    "bytes": npy(NUMBERS, "'|S8'", "(1,)"),
    "nothing at all": npy(b"", "'|V0'", f"({2**40},)"),
    "text": npy(NUMBERS, "'<U2'", "(1,)"),
    "complex": npy(NUMBERS, "'<c8'", "(1,)"),
    "dates": npy(NUMBERS, "'<M8[s]'", "(1,)"),
    "wide": npy(NUMBERS * 2, "'<f16'", "(1,)"),
    "no dtype": npy(NUMBERS, "'<f3'"),
    "dtype in code": npy(NUMBERS, "__import__('os').system('echo > written')"),
    "shape in code": npy(NUMBERS, shape="(2 ** 99 ** 99,)"),
    "2**40": npy(NUMBERS, shape=f"({2**40},)"),
    "2**40 empty ones": npy(b"", shape=f"(0, {2**62}, {2**62})"),
    "product 2**64 + 2": npy(NUMBERS, shape=f"({2**32}, {2**32}, 1)"),
    "negative": npy(NUMBERS, shape="(-1, -2)"),
    "a point": npy(NUMBERS, shape="(2.0,)"),
    "a number of 4000 digits": npy(NUMBERS, shape=f"({'9' * 4000},)"),
    "2000 axes": npy(NUMBERS, shape=f"({'1,' * 2000}2)"),
    "no fields": npy(NUMBERS, text="{}"),
    "a field twice": npy(NUMBERS, text="{'descr': '<f4', 'descr': '|O', 'fortran_order': False, 'shape': (2,)}"),
    "a field more": npy(NUMBERS, text="{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'a': 1}"),
    "deep": npy(NUMBERS, text="(" * 3000),
    "minus": npy(NUMBERS, text="-" * 3000 + "1"),
    "an open end": npy(NUMBERS, text="{'descr': '<f4', 'fortran_order': False, 'shape': (2,"),
    "a header past the end": npy(NUMBERS, length=60000),
    "a header of 2**32 - 1": npy(NUMBERS, version=2, length=2**32 - 1),
    "version 9": npy(NUMBERS)[:6] + b"\x09" + npy(NUMBERS)[7:],
    "version 0": npy(NUMBERS)[:6] + b"\0" + npy(NUMBERS)[7:],
    "the beginning": b"\x93NUMPY",
    "too short": npy(NUMBERS[:-1]),
    "too long": npy(NUMBERS + b"\0"),
    "neither true nor false": npy(b"\2" * 8, "'|b1'", "(8,)"),
}
GOOD_NPY = {"one": FLAT, "none": npy(b"", shape="(0,)"), "scalar": npy(NUMBERS[:4], shape="()")}


def torch_zip(path):
    path.write_bytes(zipped([Member(b"archive/data.pkl", pickled(path)), Member(b"archive/version", b"3\n")]))


def pickle_alone(path):
    path.write_bytes(pickled(path))


def pickle_in_npy(path):
    path.write_bytes(npy(pickled(path), "'|O'", "(1,)"))


def pickle_in_npz(path):
    path.write_bytes(zipped([Member(b"a.npy", npy(pickled(path), "'|O'", "(1,)"))]))


def sparse(path):
    with open(path, "wb") as file:
        file.truncate(2**40)


# For the reader of models, by the names that such files have.
OTHERS = {
    "torch's zip": ("m.pt", torch_zip),
    "torch's zip by another name": ("m.safetensors", torch_zip),
    "torch's old format": ("m.pth", pickle_alone),
    "a pickle": ("m.pkl", pickle_alone),
    "a pickle by another name": ("m.npz", pickle_alone),
    "a pickle in an array": ("m.npy", pickle_in_npy),
    "a pickle in an array in a zip": ("m.npz", pickle_in_npz),
    "a folder": ("m.safetensors", lambda path: path.mkdir()),
    "a pipe": ("m.safetensors", os.mkfifo),
    "a device": ("m.npz", lambda path: path.symlink_to("/dev/zero")),
    "a terabyte of nothing": ("m.safetensors", sparse),
    "a terabyte of no zip": ("m.npz", sparse),
    "HDF5": ("m.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 99),
    "HDF5 by another name": ("m.safetensors", b"\x89HDF\r\n\x1a\n" + b"\0" * 99),
    "an ONNX file": ("m.onnx", b"\x08\x08\x12\0"),
    "nothing": ("m.npz", b""),
    "text": ("m.safetensors", b"import os\n" * 99),
}


def files():
    """All of them, by name."""
    found = {f"safetensors: {name}": File("torch", "m.safetensors", made) for name, made in SAFETENSORS.items()}
    found |= {f"npz: {name}": File("arrays", "a.npz", zipped(members)) for name, members in NPZ.items()}
    found |= {f"npz: {name}": File("arrays", "a.npz", made) for name, made in ENDS.items()}
    found |= {f"npy: {name}": File("arrays", "a.npy", made) for name, made in NPY.items()}
    found |= {"npy: a pickle that runs": File("arrays", "a.npy", pickle_in_npy)}
    found |= {"npz: a pickle that runs": File("arrays", "a.npz", pickle_in_npz)}
    return found | {f"others: {name}": File("model", *made) for name, made in OTHERS.items()}


def good():
    """Those of which nothing is wrong, by name."""
    found = {f"safetensors: {name}": File("torch", "m.safetensors", made) for name, made in GOOD_SAFETENSORS.items()}
    found |= {f"npz: {name}": File("arrays", "a.npz", zipped(members)) for name, members in GOOD_NPZ.items()}
    return found | {f"npy: {name}": File("arrays", "a.npy", made) for name, made in GOOD_NPY.items()}
