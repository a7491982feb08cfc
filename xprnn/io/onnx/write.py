"""Models as ONNX files: opset 17, the first that has LayerNormalization, and version 8 of the format, as old."""

import os
from typing import Any

import numpy as np

from ... import tree
from ...backend import to_numpy
from ...door import has_time
from ...layers.base import Layer
from ...types import Params, Shape, Sizes, State
from ..store import atomic
from .graph import Graph, Node, Value
from .package import package
from .writers import draft as drafts
from .writers.padding import LENGTHS
from .writers.simple import Place
from .writers.table import write

OPSET, FORMAT = 17, 8
LARGEST = 2**31 - 1
LEAVES = ("h", "c")


def save(
    path: str | os.PathLike,
    layer: Layer,
    input_shape: Shape,
    params: Params,
    dtype: str,
    *,
    lengths: bool = False,
    states: bool = False,
) -> None:
    """Write a layer and its parameters as an ONNX file, atomically and with the same bytes each time.

    The file's input is "x", (batch, time, features) with any batch, and any time where ``input_shape`` leaves it open,
    or int64 token ids (batch, time); its output is "y".

    lengths: a second input "lengths" (batch,), int64: how many steps of each row are real; y is what the model gives.
    states:  initial states as inputs "state.…" and the last ones as outputs "last_state.…", for going on in a later
             call: behind the dot stand the places in the structure of the model's state, then h or c: each (batch, n).
    Raises TypeError or ValueError, and writes nothing, for a layer or a cell that ONNX has not; ImportError without the
    package onnx.
    """
    package()
    atomic(path, encode(to_graph(layer, input_shape, params, dtype, lengths=lengths, states=states)))


def to_graph(
    layer: Layer, input_shape: Shape, params: Params, dtype: str, *, lengths: bool = False, states: bool = False
) -> Graph:
    """The graph that ``save`` writes."""
    timed = has_time(layer, input_shape)
    if lengths and not timed:
        raise ValueError(f"lengths=True is for models of sequences, not for samples of shape {input_shape}")
    if states and not tree.leaves(layer.state_sizes):
        raise ValueError("states=True is for models with a state: there is no recurrent layer in this one")
    draft = drafts.Draft(dtype, [], {})
    begin = _named(layer.state_sizes, "state") if states else None
    x = drafts.Value("x", input_shape, masked=lengths, ids=layer.takes_ids)
    y, end = write(draft, layer, Place("", to_numpy(params), begin), x)
    names = {"y": y.name}
    inputs = [Value("x", "int64" if x.ids else dtype, _axes(input_shape, timed))]
    outputs = [Value("y", dtype, _axes(y.shape, timed and len(y.shape) > 1))]
    inputs += [Value(LENGTHS, "int64", ("batch",))] if lengths else []
    if states:
        sizes = tree.leaves(layer.state_sizes)
        named = list(zip(tree.leaves(begin), tree.leaves(end), sizes, strict=True))
        inputs += [Value(name, dtype, ("batch", n)) for name, _, n in named]
        outputs += [Value(f"last_{name}", dtype, ("batch", n)) for name, _, n in named]
        names |= {f"last_{name}": last for name, last, _ in named}
    nodes = _needed(draft.nodes, names)
    taken = {name for node in nodes for name in node.inputs}
    constants = {name: array for name, array in draft.constants.items() if name in taken}
    return Graph(tuple(inputs), tuple(outputs), nodes, constants, OPSET)


def encode(graph: Graph) -> bytes:
    """The bytes of a graph's file."""
    onnx = package()
    size = sum(array.nbytes for array in graph.constants.values())
    if size > LARGEST:
        raise ValueError(f"an ONNX file holds at most {LARGEST} bytes, the model's parameters are {size}")
    proto = onnx.helper.make_graph(
        [_node(onnx, node) for node in graph.nodes],
        "xprnn",
        [_value(onnx, value) for value in graph.inputs],
        [_value(onnx, value) for value in graph.outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in graph.constants.items()],
    )
    opset = onnx.helper.make_opsetid("", graph.opset)
    model = onnx.helper.make_model(proto, producer_name="xprnn", ir_version=FORMAT, opset_imports=[opset])
    return model.SerializeToString(deterministic=True)


def _needed(nodes: list[Node], outputs: dict[str, str]) -> tuple[Node, ...]:
    """The nodes that the outputs hang on, which make them under their public names; others' outputs are left out."""
    wanted, kept = set(outputs.values()), []
    for node in reversed(nodes):
        if wanted.isdisjoint(node.outputs):
            continue
        made = tuple(name if name in wanted else "" for name in node.outputs)
        while not made[-1]:
            made = made[:-1]
        kept.append(node._replace(outputs=made))
        wanted |= set(node.inputs)
    identities = (Node("Identity", name, (own,), (name,), {}) for name, own in outputs.items())
    return (*reversed(kept), *identities)


def _node(onnx: Any, node: Node) -> Any:
    return onnx.helper.make_node(node.op, node.inputs, node.outputs, node.name, **node.attributes)


def _value(onnx: Any, value: Value) -> Any:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
    return onnx.helper.make_tensor_value_info(value.name, kind, value.shape)


def _axes(shape: Shape, timed: bool) -> tuple[int | str | None, ...]:
    """The axes of a batch of samples by name where they are open."""
    names = ("time", "steps", "more") if timed else ("a", "b", "c")
    return ("batch", *(name if n is None else n for n, name in zip(shape, names, strict=False)))


def _named(sizes: Sizes, prefix: str) -> State:
    """A name for each leaf of the state: state.1.0.h is h of the first layer of the stack at place 1."""
    return tuple(
        f"{prefix}.{LEAVES[n]}" if isinstance(size, int) else _named(size, f"{prefix}.{n}")
        for n, size in enumerate(sizes)
    )
