"""ONNX's files: protobuf of a graph, and tensors that may stand in other files; each with something wrong."""

import os
import struct

import numpy as np
from onnx import TensorProto, helper

from .formats import File
from .onnx_file import (
    FLOAT,
    RAW,
    attribute,
    changed,
    folder,
    function,
    good_model,
    link,
    more,
    nested,
    node,
    outside,
    pipe,
    protobuf,
    referring,
    subgraph,
    tensor,
    value,
    varint,
)  # fmt: skip
from .onnx_tensors import TENSORS

GRAPHS = {
    "a cycle of two": more(helper.make_node("Identity", ["q"], ["p"]), helper.make_node("Identity", ["p"], ["q"])),
    "a cycle of one": more(helper.make_node("Identity", ["p"], ["p"])),
    "a node of its output": node(0, input=["y", "w", "r", "b"]),
    "a node of nobody": node(2, input=["nobody", "m"]),
    "an output of nobody": more(last="nobody"),
    "an output without a name": more(last=""),
    "no outputs": lambda model: model.graph.ClearField("output"),
    "the same output twice": lambda model: model.graph.output.append(model.graph.output[0]),
    "the same input twice": lambda model: model.graph.input.append(model.graph.input[0]),
    "the same constant twice": lambda model: model.graph.initializer.append(model.graph.initializer[3]),
    "the same name made twice": more(helper.make_node("Identity", ["last"], ["y"])),
    "a constant made again": more(helper.make_node("Identity", ["last"], ["m"])),
    "an input made again": more(helper.make_node("Identity", ["last"], ["x"])),
    "If": subgraph("If"),
    "Loop": subgraph("Loop"),
    "Scan": subgraph("Scan"),
    "a function": function,
    "another domain": node(2, domain="evil"),
    "a domain of Python's": node(2, domain="ai.onnx.contrib", op_type="PyOp"),
    "an unknown operator": node(2, op_type="Evil"),
    "an operator that is Python's": node(2, op_type="__import__"),
    "an operator without a name": node(2, op_type=""),
    "an operator that no terminal shows": node(2, op_type="\x1b[2J\n\0"),
    "a name of a million letters": node(2, name="a" * 10**6, op_type="Evil"),
    "opset 0": lambda model: setattr(model.opset_import[0], "version", 0),
    "opset -1": lambda model: setattr(model.opset_import[0], "version", -1),
    "opset 10**9": lambda model: setattr(model.opset_import[0], "version", 10**9),
    "no opset": lambda model: model.ClearField("opset_import"),
    "two opsets": lambda model: model.opset_import.append(helper.make_opsetid("", 13)),
    "no version": lambda model: model.ClearField("ir_version"),
    "no graph": lambda model: model.ClearField("graph"),
    "an input of text": lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", TensorProto.STRING),
    "an input of no type": lambda model: model.graph.input[0].ClearField("type"),
    "an input of lists": lambda model: model.graph.input[0].CopyFrom(
        helper.make_tensor_sequence_value_info("x", FLOAT, None)
    ),
    "an input of -3": lambda model: model.graph.input[0].CopyFrom(value("x", ["B", "T", -3])),
    "an input with 10**5 axes": lambda model: model.graph.input[0].CopyFrom(value("x", [1] * 10**5)),
    "a direction of text": attribute("direction", "__import__('os')"),
    "a direction that is a number": attribute("direction", 1),
    "hidden 10**12": attribute("hidden_size", 10**12),
    "hidden -4": attribute("hidden_size", -4),
    "hidden 5": attribute("hidden_size", 5),
    "hidden of text": attribute("hidden_size", "4"),
    "hidden in a list": attribute("hidden_size", [4]),
    "activations of code": attribute("activations", ["os.system", "Tanh", "Tanh"]),
    "activations too few": attribute("activations", ["Tanh"]),
    "activations that are numbers": attribute("activations", [1, 2, 3]),
    "a clip of NaN": attribute("clip", float("nan")),
    "a clip of -1": attribute("clip", -1.0),
    "a layout of 7": attribute("layout", 7),
    "an unknown attribute": attribute("evil", 1),
    "an attribute that is a graph": attribute("direction", good_model().graph),
    "an attribute that is sparse": attribute("evil", helper.make_sparse_tensor(
        tensor("s", np.ones(1, np.float32)), tensor("i", np.array([0])), [2**40]
    )),
    "an attribute twice": lambda model: model.graph.node[0].attribute.append(model.graph.node[0].attribute[0]),
    "an attribute of no type": lambda model: model.graph.node[0].attribute.add(name="clip"),
    "an attribute of a function": referring,
    "too few inputs": node(0, input=["x", "w"]),
    "too many inputs": node(2, input=["last", "m", "m"]),
    "an input left out": node(0, input=["x", "", "r", "b"]),
    "too many outputs": node(2, output=["y", "z"]),
    "weights of another shape": node(0, input=["x", "r", "w", "b"]),
}  # fmt: skip
BYTES = {
    "nothing": b"",
    "text": b"import os\n" * 9,
    "zeros": b"\0" * 99,
    "half": changed(lambda model: None)[:200],
    "a length of 2**63": b"\x3a" + varint(2**63) + b"a",
    "a length past the end": b"\x08\x08\x3a" + varint(2**31) + b"a",
    "a length of eleven bytes": b"\x3a" + b"\xff" * 11,
    "a group without an end": b"\x08\x08\x3b" * 1000,
    "groups in one another": b"\x0b" * 10**5,
    "30 graphs in one another": nested(30),
    "3000 graphs in one another": nested(3000),
    "another type in the wire": protobuf(7, 0, varint(5)),
    "a pickle": b"\x80\x04\x95\0\0\0\0\0\0\0\0.",
    "a float that is cut off": b"\x08\x08" + protobuf(7, 5, struct.pack("<f", 1)[:2]),
}
# What is computed of constants may be computed when the file is read: that must not take what nobody has.
GREEDY = {
    "10**12 numbers": ("ConstantOfShape", [np.array([10**6, 10**6])]),
    "10**12 numbers of one": ("Expand", [np.ones((1, 1), np.float32), np.array([10**6, 10**6])]),
    "10**12 copies": ("Tile", [np.ones((1, 1), np.float32), np.array([10**6, 10**6])]),
    "10**12 in a row": ("Range", [np.array(0), np.array(10**12), np.array(1)]),
    "10**12 zeros around": ("Pad", [np.ones((1, 1), np.float32), np.array([0, 0, 10**6, 10**6])]),
    "10**12 ones and zeros": ("OneHot", [np.zeros(10**6, np.int64), np.array(10**6), np.array([0.0, 1.0])]),
    "a product of 10**10": ("MatMul", [np.ones((10**5, 1), np.float32), np.ones((1, 10**5), np.float32)]),
    "a sum of 10**10": ("Add", [np.ones((10**5, 1), np.float32), np.ones((1, 10**5), np.float32)]),
}
OTHERS = {
    "a link out": link("/etc/passwd"),
    "a link to a device": link("/dev/zero"),
    "a link to itself": link("w.bin"),
    "a pipe for the weights": pipe,
    "a folder for the weights": folder,
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


def greedy(op, constants):
    """A model that asks for a lot, made of constants alone, and multiplies its output by the largest of it."""

    def change(model):
        names = [f"c{n}" for n in range(len(constants))]
        model.graph.initializer.extend(tensor(name, a) for name, a in zip(names, constants, strict=True))
        nodes = [(op, names, ["a lot"]), ("ReduceMax", ["a lot"], ["most"]), ("Cast", ["most"], ["factor"])]
        made = [helper.make_node(*node, **({"to": FLOAT} if node[0] == "Cast" else {})) for node in nodes]
        more(*made, helper.make_node("Mul", ["y", "factor"], ["z"]), last="z")(model)

    return changed(change)


def files():
    """All of them, by name."""
    found = {f"tensor: {name}": changed(change) for name, change in TENSORS.items()}
    found |= {f"graph: {name}": changed(change) for name, change in GRAPHS.items()}
    found |= {f"bytes: {name}": made for name, made in BYTES.items()}
    found |= {f"others: {name}": made for name, made in OTHERS.items()}
    linked = {f"others: {name}" for name in OTHERS}
    beside = {"w.bin": RAW + b"\0" * 2**20}
    return {name: File("onnx", "m.onnx", made, {} if name in linked else beside) for name, made in found.items()}


def bounded():
    """What may be read or refused, as long as it takes little."""
    found = {f"greedy: {name}": greedy(*made) for name, made in GREEDY.items()}
    found["20000 nodes"] = changed(
        more(*[helper.make_node("Identity", [f"i{n}" if n else "last"], [f"i{n + 1}"]) for n in range(20_000)])
    )
    return {name: File("onnx", "m.onnx", made) for name, made in found.items()}


def good():
    """Files of which nothing is wrong, by name."""
    made = {"as it is": changed(lambda model: None), "outside": changed(outside(location="w.bin", offset=0, length=32))}
    return {name: File("onnx", "m.onnx", content, {"w.bin": RAW + b"\0" * 8}) for name, content in made.items()}
