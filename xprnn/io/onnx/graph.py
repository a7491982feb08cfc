"""An ONNX graph in plain Python and NumPy: what ``read`` makes of a file, all that the rest of this package sees."""

from typing import Any, NamedTuple

import numpy as np


class Value(NamedTuple):
    """An input or output: its name, its dtype by NumPy's name, its shape; an axis is a number, a name, or None."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None


class Node(NamedTuple):
    """One operation. An optional input that is left out has the name "".

    attributes: ints, floats, strings, tuples of these, and NumPy arrays, by ONNX's names; only those the file has.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return f"{shown(self.op)[1:-1]} node {shown(self.name or '->'.join(self.outputs))}"


class Graph(NamedTuple):
    """What a file holds: each node stands after those whose outputs it takes; no name has two makers.

    inputs:    what a caller gives: the file's inputs without those that have a constant.
    constants: the file's initializers.
    opset:     the version of ONNX's operators that the file speaks.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    constants: dict[str, np.ndarray]
    opset: int


def shown(name: str) -> str:
    """A name out of a file for a message: in quotes, printable, and not too long."""
    return repr(name if len(name) <= 60 else f"{name[:57]}...")
