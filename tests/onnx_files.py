"""ONNX files, good ones and each with one thing wrong: how they are made, and what reading them has to say."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

X = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3])
Y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
W = np.arange(6, dtype="float32").reshape(3, 2)


def node(op="MatMul", inputs=("x", "w"), outputs=("y",), **attributes):
    return helper.make_node(op, inputs, outputs, name="n", **attributes)


def tensor(dtype=TensorProto.FLOAT, dims=(3, 2), name="w", **fields):
    """A tensor with these fields, whether they fit or not."""
    made = TensorProto(name=name, data_type=dtype, dims=dims)
    for field, value in fields.items():
        setattr(made, field, value) if field == "raw_data" else getattr(made, field).extend(value)
    return made


def outside(size=24, **entries):
    """A tensor (3, 2) whose numbers are in another file."""
    made = tensor(dims=(size // 8, 2))
    made.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        made.external_data.add(key=key, value=value)
    return made


def model(nodes=None, tensors=None, inputs=(X,), outputs=(Y,), opsets=(("", 18),), change=None):
    nodes = [node()] if nodes is None else nodes
    tensors = [numpy_helper.from_array(W, "w")] if tensors is None else tensors
    graph = helper.make_graph(nodes, "g", list(inputs), list(outputs), tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid(*one) for one in opsets], ir_version=9)
    if change:
        change(made)
    return made


def typed(elem=TensorProto.FLOAT, shape=(2,), name="x"):
    return helper.make_tensor_value_info(name, elem, shape)


def subgraph():
    """A node that has a graph of its own."""
    inner = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "inner", [], [typed(name="z")])
    return node("If", ["x"], then_branch=inner)


def deep(depth=200):
    """Nested graphs, deeper than protobuf follows them."""
    inner = b""
    for _ in range(depth):
        attribute = b"\x32" + length(inner) + inner  # AttributeProto.g
        inner = b"\x2a" + length(attribute) + attribute  # NodeProto.attribute
        inner = b"\x0a" + length(inner) + inner  # GraphProto.node
    return b"\x08\x09\x3a" + length(inner) + inner  # ir_version, ModelProto.graph


def length(data):
    """The length of data as protobuf writes it."""
    n, out = len(data), b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


GOOD = {
    "plain": lambda: model(),
    "typed data": lambda: model(tensors=[tensor(float_data=range(6))]),
    "nothing in a tensor": lambda: model([node("Identity", ["x"])], [tensor(dims=(0, 2**40))]),
    "another domain that nobody uses": lambda: model(opsets=(("", 18), ("com.example", 1))),
    "the domain's other name": lambda: model(opsets=(("ai.onnx", 18),)),
    "an initializer that is an input too": lambda: model(inputs=(X, typed(shape=(3, 2), name="w"))),
    "external data": lambda: model(tensors=[outside(location="w.bin", offset="8", length="24")]),
    "external data without a length": lambda: model(tensors=[outside(location="w.bin")]),
    "half": lambda: model([node("Identity", ["x"])], [tensor(TensorProto.FLOAT16, int32_data=[15360] * 6)]),
}
# Name -> how the file is made, and what the reason says.
BAD = {
    "empty": (lambda: b"", "no ONNX file"),
    "no protobuf": (lambda: b"\xff" * 100, "no ONNX file"),
    "truncated": (lambda: model().SerializeToString()[:-20], "no ONNX file"),
    "no graph": (lambda: b"\x08\x09", "no graph"),
    "too deep": (deep, "no ONNX file"),
    "no opset": (lambda: model(opsets=(("com.example", 1),)), "0 times, not once"),
    "two opsets": (lambda: model(opsets=(("", 18), ("ai.onnx", 17))), "2 times, not once"),
    "old opset": (lambda: model(opsets=(("", 6),)), "of version 6; read are 7 to"),
    "future opset": (lambda: model(opsets=(("", 2**40),)), "of version 1099511627776"),
    "another domain": (lambda: model([node(domain="com.example")]), "MatMul node 'n' is of the domain 'com.example'"),
    "functions": (lambda: model(change=lambda m: m.functions.add(name="f", domain="d")), "defines functions .'f'."),
    "a subgraph": (lambda: model([subgraph()]), "attribute 'then_branch': it is a graph of its own"),
    "sparse": (lambda: model(change=lambda m: m.graph.sparse_initializer.add()), "sparse tensors"),
    "a sparse attribute": (lambda: model([node("Constant", [], sparse_value=helper.make_sparse_tensor(
        tensor(dims=(1,), float_data=[1]), tensor(TensorProto.INT64, (1,), int64_data=[0]), [2]))]), "a sparse tensor"),
    "strings": (lambda: model(tensors=[tensor(TensorProto.STRING, (1,), string_data=[b"a"])]),
        "tensor 'w': its element"),
    "an unknown type": (lambda: model(tensors=[tensor(99)]), "type has the number 99; known are bool, float16"),
    "a sequence": (lambda: model(inputs=[helper.make_tensor_sequence_value_info("x", 1, None)]), "input 'x': it is no"),
    "no type": (lambda: model(inputs=[onnx.ValueInfoProto(name="x")]), "input 'x': it is no tensor"),
    "a negative axis": (lambda: model(inputs=[typed(shape=(-1, 3))]), r"input 'x': no array has the shape \(-1, 3\)"),
    "negative dims": (lambda: model(tensors=[tensor(dims=(-3, -2), float_data=range(6))]), "no array has the shape"),
    "vast dims": (lambda: model(tensors=[tensor(dims=(2**62, 2**62), raw_data=b"")]), "no array has the shape"),
    "many axes": (lambda: model(tensors=[tensor(dims=[1] * 10**5, raw_data=b"1234")]), "100000 axes, more than 32"),
    "claims more": (lambda: model(tensors=[tensor(dims=(2**40,), raw_data=b"1234")]),
        "takes 4398046511104 bytes, it has 4"),
    "claims less": (lambda: model(tensors=[tensor(raw_data=bytes(28))]), "takes 24 bytes, it has 28"),
    "too few numbers": (lambda: model(tensors=[tensor(float_data=range(5))]), "takes 6 numbers, it has 5"),
    "no numbers": (lambda: model(tensors=[tensor()]), "takes 6 numbers, it has 0"),
    "another field": (lambda: model(tensors=[tensor(int32_data=range(6))]), "float_data, not as int32_data"),
    "two fields": (lambda: model(tensors=[tensor(raw_data=bytes(24), float_data=[1])]),
        "not as raw_data and float_data"),
    "out of range": (lambda: model(tensors=[tensor(TensorProto.INT8, (1,), int32_data=[300])]), "that are no int8"),
    "segments": (lambda: model(change=lambda m: m.graph.initializer[0].segment.SetInParent()), "stored in segments"),
    "made twice": (lambda: model([node(), node()]), "'y' is made twice, by MatMul node 'n' and by MatMul node 'n'"),
    "made by two": (lambda: model([node(outputs=("w",))]), "'w' is made twice, by an initializer and by MatMul"),
    "two initializers": (lambda: model(tensors=[tensor(float_data=range(6))] * 2), "'w' is made twice"),
    "two inputs": (lambda: model(inputs=(X, X)), "'x' is made twice"),
    "two outputs": (lambda: model(outputs=(Y, Y)), "two of its outputs have the same name"),
    "no outputs": (lambda: model(outputs=()), "no outputs"),
    "no name": (lambda: model(inputs=(typed(name=""),)), "an input has no name"),
    "made by nobody": (lambda: model(tensors=[]), "MatMul node 'n' takes 'w', which is made by nobody"),
    "an output made by nobody": (lambda: model(outputs=(typed(name="z"),)), "its output 'z' is made by nobody"),
    "a cycle": (lambda: model([node(inputs=("x", "z")), node("Neg", ["y"], ["z"])]), "a later node: there is a cycle"),
    "itself": (lambda: model([node(inputs=("x", "y"))]), "takes 'y', which is made by it"),
    "too many inputs": (lambda: model([node(inputs=("x", "w", "w"))]), "has 3 inputs, and takes 2"),
    "an input left out": (lambda: model([node(inputs=("", "w"))]), "its input A is left out"),
    "too many outputs": (lambda: model([node(outputs=("y", "z"))]), "has 2 outputs, and takes 1"),
    "no such attribute": (lambda: model([node(axis=1)]), "MatMul node 'n': it has no attribute 'axis'"),
    "an attribute of another type": (lambda: model([node("Softmax", ["x"], axis="1")]),
        "'axis' is of another type than INT"),
    "a missing attribute": (lambda: model([node("Cast", ["x"])]), "its attribute 'to' is missing"),
    "an attribute twice": (lambda: model(change=lambda m: m.graph.node[0].attribute.extend(
        [helper.make_attribute("a", 1)] * 2)), "has its attribute 'a' twice"),
    "a reference": (lambda: model(change=lambda m: m.graph.node[0].attribute.add(name="a", ref_attr_name="b", type=1)),
        "it refers to an attribute of a function"),
    "an attribute of no type": (lambda: model(change=lambda m: m.graph.node[0].attribute.add(name="a")),
        "unknown kind"),
    "no text": (lambda: model([node("LSTM", ["x", "w", "w"], direction=b"\xff")]), "can't decode"),
    "a path": (lambda: model(tensors=[outside(location="../w.bin")]),
        "a file beside the model only, not from '../w.bin'"),
    "an absolute path": (lambda: model(tensors=[outside(location="/etc/passwd")]), "beside the model only"),
    "a folder": (lambda: model(tensors=[outside(location="folder/w.bin")]), "beside the model only"),
    "another system's path": (lambda: model(tensors=[outside(location="..\\w.bin")]), "beside the model only"),
    "the folder itself": (lambda: model(tensors=[outside(location="..")]), "beside the model only"),
    "no location": (lambda: model(tensors=[outside()]), "beside the model only, not from ''"),
    "no such file": (lambda: model(tensors=[outside(location="v.bin")]), "is in no file beside the model"),
    "a link": (lambda: model(tensors=[outside(location="link.bin")]),
        "'link.bin' is a link that leaves the model's folder"),
    "a folder for a file": (lambda: model(tensors=[outside(location="folder")]), "is in no file beside the model"),
    "an offset beyond": (lambda: model(tensors=[outside(location="w.bin", offset="9")]), "has 32 bytes: 24 from 9 on"),
    "a negative offset": (lambda: model(tensors=[outside(location="w.bin", offset="-1")]),
        "the offset of its external"),
    "a vast offset": (lambda: model(tensors=[outside(location="w.bin", offset="9" * 5000)]),
        "no number of bytes: '999"),
    "another length": (lambda: model(tensors=[outside(location="w.bin", length="8")]),
        "take 24 bytes, its external data has a"),
    "overlapping": (lambda: model([node("Identity", ["x"])], [outside(location="w.bin"), overlapping()]),
        "beside 24 that"),
    "both": (lambda: model(change=lambda m: m.graph.initializer[0].__setattr__("data_location", 1)), "and raw_data"),
}  # fmt: skip


def overlapping():
    made = outside(location="w.bin", offset="4")
    made.name = "v"
    return made
