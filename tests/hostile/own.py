"""Model files whose checksums are right, and whose descriptions of layers, parameters and runs are not.

A good model is saved in both formats and taken apart here; what is put together again is wrong in one place.
"""

import copy
import json
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

import xprnn as xr

from .formats import File, Member, npy, zipped

DTYPES = {"F32": "<f4", "I64": "<i8", "F64": "<f8"}


def saved():
    """The description and the arrays of a good model with its run, from the file of safetensors that it makes."""
    model = xr.Model(xr.Sequential(xr.LSTM(4, num_layers=2), xr.Dense(2, "tanh")), input_shape=(None, 3))
    x, y = np.ones((2, 5, 3), np.float32), np.ones((2, 5, 2), np.float32)
    next(iter(model.training(x, y, loss="mse", optimizer="adam", epochs=2, chunk=3)))
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "m.safetensors", run=True, extra={"words": ["a"]})
        data = (Path(folder) / "m.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    fields, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    header = json.loads(fields.pop("__metadata__")["xprnn"][8:])  # behind the checksum
    arrays = {
        name: np.frombuffer(body[slice(*field["data_offsets"])], DTYPES[field["dtype"]]).reshape(field["shape"])
        for name, field in fields.items()
    }
    return header, arrays


def safetensors(text, arrays):
    """A model's file of safetensors: its checksum is that of the file with zeros in its place."""
    metadata = json.dumps({"xprnn": f"00000000{text}"}, separators=(",", ":"))
    fields, body = [f'"__metadata__":{metadata}'], b""
    for name, a in arrays.items():
        dtype = next(name for name, kind in DTYPES.items() if a.dtype == kind)
        about = {"dtype": dtype, "shape": a.shape, "data_offsets": [len(body), len(body) + a.nbytes]}
        fields.append(f"{json.dumps(name)}:{json.dumps(about)}")
        body += a.tobytes()
    raw = f"{{{','.join(fields)}}}".encode()
    data = struct.pack("<Q", len(raw)) + raw + body
    place = data.index(b"00000000")
    return data[:place] + b"%08x" % zlib.crc32(data) + data[place + 8 :]


def npz(text, arrays):
    """A model's .npz file: its last eight bytes, the zip's comment, are the checksum."""
    members = [Member(b"xprnn.json", text.encode("utf-8", "surrogatepass"))]
    for name, a in arrays.items():
        shape = f"({', '.join(map(str, a.shape))},)" if a.ndim else "()"
        members.append(Member(f"{name}.npy".encode(), npy(a.tobytes(), f"'{a.dtype.str}'", shape)))
    data = zipped(members, comment=b"00000000")
    return data[:-8] + b"%08x" % zlib.crc32(data)


def nested(depth, inner, wrap):
    for _ in range(depth):
        inner = wrap(inner)
    return inner


FLIP = {"type": "layers.Flip"}
DENSE = {"type": "layers.Dense", "units": 2, "activation": None, "bias": True}


def sequential(layers, names=None):
    return {"type": "layers.Sequential", "names": list(layers) if names is None else names, "layers": layers}


def stacked(kind, **fields):
    return {"type": f"layers.{kind}", **fields}


# What stands in the place of the whole layer.
LAYERS = {
    "null": None,
    "a number": 5,
    "a list": [],
    "text": "layers.LSTM",
    "a cell": {"type": "cells.LSTM", "hidden": 4},
    "no type": {"hidden": 4},
    "a type of Python's": {"type": "os.system", "command": "touch written"},
    "a type in a module": {"type": "layers.__import__('os')"},
    "a type that is a list": {"type": ["layers.LSTM"], "hidden": 4},
    "an abstract layer": {"type": "layers.Layer"},
    "a custom class": {"type": "custom.Evil"},
    "300 in one another": nested(300, DENSE, lambda inner: sequential({"a": inner})),
    "300 over time": nested(300, DENSE, lambda inner: {"type": "layers.TimeDistributed", "layer": inner}),
    "65 in one another": nested(65, FLIP, lambda inner: sequential({"a": inner})),
    "a billion, shared": nested(9, FLIP, lambda inner: sequential({"a": inner}, ["a"] * 10)),
    "a million, used by none": nested(1, FLIP, lambda inner: sequential({"a": inner, "b": inner}, ["a"])),
    "100000 in a row": sequential({"a": FLIP}, ["a"] * 100_000),
    "names without layers": sequential({"a": FLIP}, ["a", "b"]),
    "names that are text": sequential({"a": FLIP}, "a"),
    "names that are lists": sequential({"a": FLIP}, [["a"]]),
    "a field that a chain has not": sequential({"a": FLIP}) | {"colour": "red"},
    "layers in a list": {"type": "layers.Sequential", "names": ["a"], "layers": [FLIP]},
    "a name with a dot": sequential({"a.b": FLIP}),
    "an empty name": sequential({"": FLIP}),
    "a name that is no text": sequential({"\ud800": DENSE}),
    "an embedding of 10**12": stacked("Embedding", vocab=10**12, units=10**6, mask_zero=False),
    "a dense of 2**62": stacked("Dense", units=2**62, activation=None, bias=True),
    "a dense of 10**30": stacked("Dense", units=10**30, activation=None, bias=True),
    "10**9 layers": stacked("LSTM", hidden=4, num_layers=10**9),
    "9999 layers": stacked("LSTM", hidden=4, num_layers=9999),
    "10**5 widths": stacked("LSTM", hidden=[4] * 10**5),
    "minus layers": stacked("LSTM", hidden=4, num_layers=-(10**9)),
    "a cell of 10**12": stacked("Recurrent", cells={"type": "cells.GRU", "hidden": 10**12, "bias": True}),
    "a projection to 10**12": stacked(
        "Recurrent", cells={"type": "cells.ProjectedLSTM", "hidden": 1, "projection": 10**12}
    ),
    "cells that are layers": stacked("Recurrent", cells=FLIP),
    "a direction of a layer": {"type": "layers.Direction", "cell": DENSE},
    "two directions of cells": stacked("Bidirectional", forward_layer=DENSE, backward_layer=DENSE),
    "time of a cell": {"type": "layers.TimeDistributed", "layer": {"type": "cells.GRU", "hidden": 2}},
    "an epsilon of text": {"type": "layers.LayerNorm", "epsilon": "0"},
    "an epsilon below 0": {"type": "layers.LayerNorm", "epsilon": -1.0},
    "a mask of lists": {"type": "layers.Masking", "mask_value": [0.0]},
    "a pool of code": {"type": "layers.Pooling", "kind": "__import__('os').system('touch written')"},
    "a rate of 2": {"type": "layers.Dropout", "rate": 2},
    "a rate of truth": {"type": "layers.Dropout", "rate": True},
}  # fmt: skip
# What is wrong with a field of the LSTM, the dense layer, or what is said about the model.
LSTM = {
    "hidden": [10**12, 2**63, 10**30, -1, 0, True, "4", 4.0, None, {}, [], [4, "4"], [[4]], 5],
    "num_layers": [10**9, "2", 2.0, None, 3],
    "bidirectional": ["yes", 1, None],
    "merge": ["__import__('os')", None, ["concat"]],
    "dropout": [1, -0.5, "0", True, None, [0.0]],
    "segment": [0, -1, "3", 1.5, True],
    "colour": ["red"],
}
FIELDS = {
    "units": [10**12, "2", None, 3],
    "bias": ["yes", 1, None],
    "activation": [
        "exec", ["tanh"], 5, "clip(1e999) tanh", "elu(1e999)", "elu(" + "9" * 10**6, "scaled_tanh(" + "1, " * 10**5,
    ],
}  # fmt: skip
ABOUT = {
    "dtype": ["object", "float128", "O", None, ["float32"], 4],
    "seed": [-1, 2**64, "0", 1.5, None, True],
    "input_shape": [
        [None, 10**12], [None, "3"], [None, 3.0], [None, 0], "ab", None, 3, [1] * 10**5, [[None, 3]], [True, 3],
    ],
    "code": ["import os"],
}  # fmt: skip


def field(*path):
    """The path of keys to a field, and what a value for it does there."""

    def change(header, arrays, value):
        *into, last = path
        for key in into:
            header = header[key]
        header[last] = value

    return change


def packed(name):
    return {"array": name}


def swap(name, a):
    """Another array of the same name."""
    return lambda header, arrays: arrays.update({name: a})


WX = "params.lstm.0.Wx"
RUN = ("run", "dict")
CHANGES = {
    "no layer": lambda h, a: h.pop("layer"),
    "no about": lambda h, a: h.pop("about"),
    "no dtype": lambda h, a: h["about"].pop("dtype"),
    "no params": lambda h, a: h.pop("params"),
    "no version": lambda h, a: h.pop("version"),
    "version 2": lambda h, a: h.update(version=2),
    "version of text": lambda h, a: h.update(version="1"),
    "version of lists": lambda h, a: h.update(version=[1] * 10**6),
    "params: an array missing": lambda h, a: a.pop(WX),
    "params: an array too many": lambda h, a: a.update(more=np.ones(3, np.float32)),
    "params: an array used twice": lambda h, a: h["params"]["dict"]["lstm"]["dict"]["0"]["dict"].update(Wh=packed(WX)),
    "params: a parameter too many": lambda h, a: h["params"]["dict"]["lstm"]["dict"].update(more={"value": 1}),
    "params: a parameter missing": lambda h, a: [
        h["params"]["dict"]["dense"]["dict"].pop("b"), a.pop("params.dense.b"),
    ],
    "params: text": lambda h, a: h["params"]["dict"].update(dense={"value": "W"}),
    "params: a list": lambda h, a: h["params"]["dict"].update(dense=[]),
    "params: an unknown kind": lambda h, a: h["params"]["dict"].update(dense={"pickle": "gASVAAAA"}),
    "params: two kinds": lambda h, a: h["params"]["dict"].update(dense={"dict": {}, "value": 1}),
    "params: a name in lists": lambda h, a: h["params"]["dict"].update(dense={"array": [WX]}),
    "params: 300 deep": lambda h, a: h.update(params=nested(300, {"value": 1}, lambda inner: {"dict": {"a": inner}})),
    "params: another shape": swap(WX, np.ones((16, 3), np.float32)),
    "params: one number": swap(WX, np.ones((), np.float32)),
    "params: whole numbers": swap(WX, np.ones((3, 16), np.int64)),
    "run: a list": lambda h, a: h.update(run={"tuple": []}),
    "run: null": lambda h, a: h.update(run=None),
    "run: a field missing": lambda h, a: h["run"]["dict"].pop("sizes"),
    "run: a field more": lambda h, a: h["run"]["dict"].update(code={"value": 1}),
    "run: minus epochs": lambda h, a: h["run"]["dict"].update(epoch={"value": -1}),
    "run: half an epoch": lambda h, a: h["run"]["dict"].update(epoch={"value": 0.5}),
    "run: updates of text": lambda h, a: h["run"]["dict"].update(update={"value": "1"}),
    "run: sizes of nothing": lambda h, a: h["run"]["dict"].update(sizes={"value": None}),
    "run: other parameters": lambda h, a: h["run"]["dict"].update(params={"dict": {}}),
    "run: an optimizer of text": lambda h, a: h["run"]["dict"].update(optimizer={"value": None}),
}  # fmt: skip
# What stands in the place of the whole text, made from it.
TEXTS = {
    "nothing": lambda text: "",
    "no JSON": lambda text: "import os",
    "a list": lambda text: "[]",
    "null": lambda text: "null",
    "two": lambda text: text + text,
    "a mark of order": lambda text: "\ufeff" + text,
    "a name twice": lambda text: text[:-1] + ', "version": 1}',
    "a field twice": lambda text: text.replace('"hidden": 4', '"hidden": 4, "hidden": 4'),
    "NaN": lambda text: text.replace('"dropout": 0.0', '"dropout": NaN'),
    "infinity": lambda text: text.replace('"dropout": 0.0', '"dropout": -Infinity'),
    "1e999": lambda text: text.replace('"dropout": 0.0', '"dropout": 1e999'),
    "100000 digits": lambda text: text.replace('"seed": 0', '"seed": 1' + "0" * 10**5),
    "100000 lists deep": lambda text: text[:-1] + ', "a": ' + "[" * 10**5 + "]" * 10**5 + "}",
    "100000 objects deep": lambda text: text[:-1] + ', "a": ' + '{"a":' * 10**5 + "1" + "}" * 10**5 + "}",
    "900 lists deep": lambda text: text[:-1] + ', "layer": ' + "[" * 900 + "]" * 900 + "}",
    "a million lists": lambda text: '{"version": [' + "[]," * 10**6 + "[]]}",
}


def models():
    """Each description with the arrays that come with it."""
    header, arrays = saved()
    text = json.dumps(header)
    ways = {f"layer: {name}": (field("layer"), value) for name, value in LAYERS.items()}
    for title, path, values in (
        ("lstm", ("layer", "layers", "lstm"), LSTM),
        ("dense", ("layer", "layers", "dense"), FIELDS),
        ("about", ("about",), ABOUT),
    ):
        for name, wrong in values.items():
            ways |= {f"{title}: {name} {str(v)[:20]}": (field(*path, name), v) for v in wrong}
    for name, (change, value) in ways.items():
        h, a = copy.deepcopy(header), dict(arrays)
        change(h, a, value)
        yield name, json.dumps(h), a
    for name, change in CHANGES.items():
        h, a = copy.deepcopy(header), dict(arrays)
        change(h, a)
        yield name, json.dumps(h), a
    for name, change in TEXTS.items():
        assert change(text) != text
        yield f"text: {name}", change(text), arrays


def files():
    """All of them, by name."""
    found = {}
    for number, (name, text, arrays) in enumerate(models()):
        kind, make = (("safetensors", safetensors), ("npz", npz))[number % 2]
        found[f"{name} ({kind})"] = File("model", f"m.{kind}", make(text, arrays))
    header, arrays = saved()
    text = json.dumps(header)
    wrong = npz(text, arrays)[:-8] + b"00000000"
    found["checksum: zeros"] = File("model", "m.npz", wrong)
    found["checksum: capitals"] = File("model", "m.npz", npz(text, arrays).upper()[-8:].join([wrong[:-8], b""]))
    found["checksum: none"] = File("model", "m.npz", zipped([Member(b"xprnn.json", text.encode())]))
    found["bytes: no text"] = File("model", "m.npz", sealed_npz(b"\xff\xfe{}"))
    return found


def sealed_npz(header):
    data = zipped([Member(b"xprnn.json", header)], comment=b"00000000")
    return data[:-8] + b"%08x" % zlib.crc32(data)


def good():
    """The model as it is, in both formats, and read by others too."""
    header, arrays = saved()
    text = json.dumps(header)
    found = {
        "safetensors": File("model", "m.safetensors", safetensors(text, arrays)),
        "npz": File("model", "m.npz", npz(text, arrays)),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = found["npz"].put(Path(folder))
        assert zipfile.ZipFile(path).testzip() is None
    return found
