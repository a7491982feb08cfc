"""An ONNX file from its definition, and what can be changed in it."""

import os

import numpy as np
from onnx import AttributeProto, TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
W, R, B = (np.full(shape, 0.5, np.float32) for shape in ((1, 16, 3), (1, 16, 4), (1, 32)))
M = np.full((4, 2), 0.5, np.float32)
RAW = M.tobytes()


def tensor(name, a):
    return numpy_helper.from_array(a, name)


def value(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def good_model():
    """An LSTM over steps of three features, its last state, and a dense layer."""
    nodes = [
        helper.make_node(
            "LSTM", ["x", "w", "r", "b"], ["", "h", ""], name="lstm", hidden_size=4, direction="forward", layout=1
        ),
        helper.make_node("Squeeze", ["h", "axes"], ["last"], name="squeeze"),
        helper.make_node("MatMul", ["last", "m"], ["y"], name="dense"),
    ]
    constants = [tensor("w", W), tensor("r", R), tensor("b", B), tensor("m", M), tensor("axes", np.array([1]))]
    graph = helper.make_graph(nodes, "g", [value("x", ["B", "T", 3])], [value("y", ["B", 2])], constants)
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
