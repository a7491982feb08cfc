"""ONNX's files: protobuf of a graph, and tensors that may stand in other files; each with something wrong."""

import os
import struct

import numpy as np
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from .formats import File

FLOAT = TensorProto.FLOAT
W, R, B = (np.full(shape, 0.5, np.float32) for shape in ((1, 16, 3), (1, 16, 4), (1, 32)))
M = np.full((4, 2), 0.5, np.float32)


def tensor(name, a):
    return numpy_helper.from_array(a, name)


def value(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def good_model():
    """An LSTM over steps of three features, its last state, and a dense layer."""
    nodes = [
        helper.make_node("LSTM", ["x", "w", "r", "b"], ["", "h", ""], name="lstm", hidden_size=4, direction="forward"),
        helper.make_node("Squeeze", ["h", "axes"], ["last"], name="squeeze"),
        helper.make_node("MatMul", ["last", "m"], ["y"], name="dense"),
    ]
    constants = [tensor("w", W), tensor("r", R), tensor("b", B), tensor("m", M), tensor("axes", np.array([0]))]
    graph = helper.make_graph(nodes, "g", [value("x", ["T", "B", 3])], [value("y", ["B", 2])], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def changed(change):
    """The model with one thing done to it."""
    model = good_model()
    change(model)
    return model.SerializeToString()


def constant(**fields):
    """A change of the fields of the dense layer's weights; lists are replaced."""

    def change(model):
        one = model.graph.initializer[3]
        for name, content in fields.items():
            one.ClearField(name)
            if isinstance(content, list):
                getattr(one, name).extend(content)
            else:
                setattr(one, name, content)

    return change


def outside(**about):
    """The dense layer's weights in another file: what the entries say of it."""

    def change(model):
        one = model.graph.initializer[3]
        one.ClearField("raw_data")
        one.data_location = TensorProto.EXTERNAL
        for key, text in about.items():
            one.external_data.add(key=key, value=str(text))

    return change


def node(place=0, **fields):
    """A change of the fields of one node; lists are replaced."""

    def change(model):
        one = model.graph.node[place]
        for name, content in fields.items():
            if isinstance(content, list):
                one.ClearField(name)
                getattr(one, name).extend(content)
            else:
                setattr(one, name, content)

    return change


def attribute(name, content, place=0):
    """Another content of an attribute."""

    def change(model):
        one = model.graph.node[place]
        kept = [a for a in one.attribute if a.name != name]
        one.ClearField("attribute")
        one.attribute.extend([*kept, helper.make_attribute(name, content)])

    return change


def more(*nodes, last="y"):
    """Nodes more, and perhaps another output."""

    def change(model):
        model.graph.node.extend(nodes)
        model.graph.output[0].name = last

    return change


def subgraph(op):
    body = helper.make_graph([helper.make_node("Identity", ["y"], ["z"])], "body", [], [value("z", None)])
    names = {"If": ("then_branch", "else_branch")}.get(op, ("body",))
    return more(helper.make_node(op, ["last"], ["if"], **dict.fromkeys(names, body)))


def protobuf(field, wire, content=b""):
    """A field of a message, as it stands in a file."""
    return bytes([field << 3 | wire]) + content


def varint(number):
    found = b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])


def nested(depth):
    """A graph in an attribute of a node of a graph in an attribute of ..."""
    message = b""
    for _ in range(depth):
        message = b"\x32" + varint(len(message)) + message  # attribute.g
        message = b"\x2a" + varint(len(message)) + message  # node.attribute
        message = b"\x0a" + varint(len(message)) + message  # graph.node
    return b"\x08\x08\x3a" + varint(len(message)) + message


def link(target):
    """The model, and beside it a link by the name of its weights' file."""

    def make(path):
        path.with_name("w.bin").symlink_to(target)
        path.write_bytes(changed(outside(location="w.bin")))

    return make


def pipe(path):
    os.mkfifo(path.with_name("w.bin"))
    path.write_bytes(changed(outside(location="w.bin")))


def folder(path):
    path.with_name("w.bin").mkdir()
    path.write_bytes(changed(outside(location="w.bin")))


def shared(model):
    """A thousand tensors of a megabyte, all in the same megabyte of another file."""
    for n in range(1000):
        one = model.graph.initializer.add(name=f"t{n}", data_type=FLOAT, dims=[2**18])
        one.data_location = TensorProto.EXTERNAL
        one.external_data.add(key="location", value="w.bin")
        one.external_data.add(key="offset", value=str(4 * n))


def function(model):
    body = [helper.make_node("Identity", ["a"], ["b"])]
    model.functions.append(helper.make_function("evil", "f", ["a"], ["b"], body, [helper.make_opsetid("", 17)]))
    model.opset_import.append(helper.make_opsetid("evil", 1))
    model.graph.node.append(helper.make_node("f", ["y"], ["z"], domain="evil"))


def sparse(model):
    model.graph.sparse_initializer.append(
        helper.make_sparse_tensor(tensor("s", np.ones(1, np.float32)), tensor("i", np.array([0])), [2**40])
    )


def referring(model):
    one = model.graph.node[0].attribute.add(name="clip", ref_attr_name="evil", type=AttributeProto.FLOAT)
    assert one.ref_attr_name


RAW = M.tobytes()
TENSORS = {
    "raw data too short": constant(raw_data=RAW[:-1]),
    "raw data too long": constant(raw_data=RAW + b"\0"),
    "no data": constant(raw_data=b""),
    "dims 2**40": constant(dims=[2**40]),
    "dims 2**62 twice": constant(dims=[2**62, 2**62, 0]),
    "product 2**64 + 8": constant(dims=[2**32, 2**32, 1]),
    "negative dims": constant(dims=[-4, -2]),
    "10**5 dims": constant(dims=[1] * 10**5),
    "no dims": constant(dims=[]),
    "text": constant(data_type=TensorProto.STRING, raw_data=b"", string_data=[b"a"] * 8),
    "text as raw data": constant(data_type=TensorProto.STRING),
    "no type": constant(data_type=0),
    "type 999": constant(data_type=999),
    "complex": constant(data_type=TensorProto.COMPLEX64, dims=[4]),
    "type of eight bytes": constant(data_type=TensorProto.DOUBLE),
    "half bytes": constant(data_type=TensorProto.INT4, dims=[64]),
    "two data": constant(float_data=[1.0] * 8),
    "data of another type": constant(raw_data=b"", int64_data=[1] * 8),
    "too few numbers": constant(raw_data=b"", float_data=[1.0] * 7),
    "too many numbers": constant(raw_data=b"", float_data=[1.0] * 9),
    "numbers out of range": constant(raw_data=b"", data_type=TensorProto.INT8, int32_data=[1000] * 8),
    "segments": lambda model: setattr(model.graph.initializer[3].segment, "end", 8),
    "sparse": sparse,
    "outside: up": outside(location="../w.bin"),
    "outside: root": outside(location="/etc/passwd"),
    "outside: a folder's": outside(location="a/w.bin"),
    "outside: up by backslashes": outside(location="..\\w.bin"),
    "outside: the folder": outside(location=".."),
    "outside: nowhere": outside(location=""),
    "outside: no location": outside(offset=0),
    "outside: not there": outside(location="none.bin"),
    "outside: an address": outside(location="http://127.0.0.1/w.bin"),
    "outside: past the end": outside(location="w.bin", offset=2**20 + 8),
    "outside: offset 2**63": outside(location="w.bin", offset=2**63),
    "outside: offset -8": outside(location="w.bin", offset=-8),
    "outside: offset of text": outside(location="w.bin", offset="0x0"),
    "outside: length 2**63": outside(location="w.bin", length=2**63),
    "outside: length -1": outside(location="w.bin", length=-1),
    "outside: another length": outside(location="w.bin", length=31),
    "outside: a name that ends early": outside(location="w.bin\0.txt"),
    "outside: both": lambda model: [outside(location="w.bin")(model), constant(raw_data=RAW)(model)],
    "outside: 2**40 of it": lambda model: [outside(location="w.bin")(model), constant(dims=[2**40])(model)],
    "outside: a thousand times the same": shared,
}
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
    "an input of -3": lambda model: model.graph.input[0].CopyFrom(value("x", ["T", "B", -3])),
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
