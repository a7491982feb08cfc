"""ONNX files read without executing anything in them: what is strange is refused, with the file and the reason."""

import os
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from .. import store
from . import schemas, tensors
from .graph import Graph, Node, Value, shown
from .package import package

OLDEST_OPSET = 7
LARGEST_FILE = 2**31 - 1  # protobuf's own limit
STANDARD = ("", "ai.onnx")  # two names of the domain of ONNX's own operators

# The kinds of attributes by ONNX's numbers: the field, and whether it holds many.
_KINDS = {
    1: ("f", False), 2: ("i", False), 3: ("s", False), 4: ("t", False), 6: ("floats", True), 7: ("ints", True),
    8: ("strings", True), 9: ("tensors", True),
}  # fmt: skip
_REFUSED = {5: "a graph of its own", 10: "graphs of its own", 11: "a sparse tensor", 12: "sparse tensors", 13: "a type"}


class _Made(NamedTuple):
    """Who has made which name so far."""

    names: dict[str, str]

    def add(self, name: str, maker: str) -> None:
        if not name:
            raise ValueError(f"{maker} has no name")
        if name in self.names:
            raise ValueError(f"{shown(name)} is made twice, by {self.names[name]} and by {maker}")
        self.names[name] = maker


def read(path: str | os.PathLike, empty: bool = False) -> Graph:
    """The graph in an ONNX file, with its numbers, also those in external files beside it.

    empty: leave the numbers of its initializers alone, for whoever only wants to look: they are ``hollow`` then.
    Raises FileNotFoundError if there is no file, ImportError without the ``onnx`` package, and FileError where the
    file is damaged, contradicts itself, or holds what is not read: other domains, functions, subgraphs, sequences,
    sparse tensors, strings as numbers, opsets before 7. float16 stays, bfloat16 becomes float32.
    """
    onnx = package()
    with store.opened(path, "an ONNX model") as file:
        model = _parsed(onnx, file)
        return _graph(model, tensors.Outside(Path(path).parent), onnx.defs.onnx_opset_version(), empty)


def _parsed(onnx: Any, file: BinaryIO) -> Any:
    """The file as a ModelProto."""
    from google.protobuf.message import DecodeError

    size = os.fstat(file.fileno()).st_size
    if size > LARGEST_FILE:
        raise ValueError(f"it has {size} bytes; a model without its external data has {LARGEST_FILE} at most")
    try:
        model = onnx.ModelProto.FromString(file.read(size))
    except DecodeError as error:
        raise ValueError(f"it is damaged or no ONNX file ({error})") from error
    if not model.ir_version or not model.HasField("graph"):
        raise ValueError("it is damaged or no ONNX file (there is no version or no graph)")
    return model


def _graph(model: Any, outside: tensors.Outside, newest: int, empty: bool) -> Graph:
    opset, proto = _opset(model, newest), model.graph
    if model.functions:
        raise ValueError(f"it defines functions ({shown(model.functions[0].name)}), which are not read")
    if proto.sparse_initializer:
        raise ValueError("it has sparse tensors, which are not read")
    made, constants = _Made({}), {}
    for tensor in proto.initializer:
        made.add(tensor.name, "an initializer")
        constants[tensor.name] = _told(f"tensor {shown(tensor.name)}", tensors.decode, tensor, outside, empty)
    inputs = [value for value in proto.input if value.name not in constants]
    for value in inputs:
        made.add(value.name, "an input")
    later = {name for node in proto.node for name in node.output}
    nodes = tuple(_node(node, made, later, outside) for node in proto.node)
    for node in nodes:
        _told(str(node), schemas.check, node, opset)
    outputs = _values("output", proto.output)
    for value in outputs:
        if value.name not in made.names:
            raise ValueError(f"its output {shown(value.name)} is made by nobody")
    if not outputs:
        raise ValueError("it has no outputs")
    return Graph(_values("input", inputs), outputs, nodes, constants, opset)


def _opset(model: Any, newest: int) -> int:
    """The version of ONNX's own operators that a model speaks."""
    versions = {entry.version for entry in model.opset_import if entry.domain in STANDARD}
    if len(versions) != 1:
        raise ValueError(f"it says {len(versions)} times, not once, of which version ONNX's operators are")
    (opset,) = versions
    if not OLDEST_OPSET <= opset <= newest:
        raise ValueError(f"its operators are of version {opset}; read are {OLDEST_OPSET} to {newest}")
    return opset


def _values(what: str, protos: Any) -> tuple[Value, ...]:
    names = [proto.name for proto in protos]
    if len(set(names)) != len(names):
        raise ValueError(f"two of its {what}s have the same name")
    return tuple(_told(f"{what} {shown(proto.name)}", _value, proto) for proto in protos)


def _value(proto: Any) -> Value:
    if proto.type.WhichOneof("value") != "tensor_type":
        raise ValueError("it is no tensor")
    dtype, shape = tensors.kind(proto.type.tensor_type.elem_type).dtype, proto.type.tensor_type.shape
    if not proto.type.tensor_type.HasField("shape"):
        return Value(proto.name, dtype, None)
    tensors.dimensions([size.dim_value for size in shape.dim])
    axes = (size.dim_value if size.HasField("dim_value") else size.dim_param or None for size in shape.dim)
    return Value(proto.name, dtype, tuple(axes))


def _node(proto: Any, made: _Made, later: set[str], outside: tensors.Outside) -> Node:
    """A node whose inputs have been made before; what it makes is added to ``made``."""
    node = Node(proto.op_type, proto.name, tuple(proto.input), tuple(proto.output), {})
    if proto.domain not in STANDARD:
        raise ValueError(f"{node} is of the domain {shown(proto.domain)}, of which no operators are known")
    for name in node.inputs:
        if name and name not in made.names:
            why = "made by it or a later node: there is a cycle" if name in later else "made by nobody"
            raise ValueError(f"{node} takes {shown(name)}, which is {why}")
    for name in filter(None, node.outputs):
        made.add(name, str(node))
    for attribute in proto.attribute:
        if attribute.name in node.attributes:
            raise ValueError(f"{node} has its attribute {shown(attribute.name)} twice")
        what = f"{node}, attribute {shown(attribute.name)}"
        node.attributes[attribute.name] = _told(what, _attribute, attribute, outside)
    return node


def _attribute(proto: Any, outside: tensors.Outside) -> Any:
    if proto.ref_attr_name:
        raise ValueError("it refers to an attribute of a function")
    if proto.type not in _KINDS:
        raise ValueError(f"it is {_REFUSED.get(proto.type, 'of an unknown kind')}, which is not read")
    field, many = _KINDS[proto.type]
    values = getattr(proto, field)
    return tuple(_plain(value, outside) for value in values) if many else _plain(values, outside)


def _plain(value: Any, outside: tensors.Outside) -> Any:
    """An attribute's value as Python has it."""
    if isinstance(value, bytes):
        return value.decode()
    return value if isinstance(value, int | float) else tensors.decode(value, outside)


def _told(what: str, function: Any, *arguments: Any) -> Any:
    """The function's result; where it raises, the reason says of what."""
    try:
        return function(*arguments)
    except (ValueError, OSError) as error:
        raise ValueError(f"{what}: {error}") from error
