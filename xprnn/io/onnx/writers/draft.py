"""A graph on its way to a file: nodes and constants under names of their own, each operation written once."""

from typing import Any, NamedTuple

import numpy as np

from ....types import Shape
from ..graph import Node
from ..tensors import ELEMENTS

# The number that ONNX gives a dtype; of two with the same the first.
NUMBERS = {element.dtype: number for number, element in reversed(ELEMENTS.items())}


class Value(NamedTuple):
    """What a layer is given and gives.

    shape:  one sample's, without the batch; None is an axis of any length.
    masked: whether the first axis of a sample is time that ``lengths`` cut short.
    zero:   whether it is 0 in that padding.
    ids:    whether it holds token ids, int64.
    """

    name: str
    shape: Shape
    masked: bool = False
    zero: bool = False
    ids: bool = False


class Draft(NamedTuple):
    """The nodes so far, in order, and the constants that they take; numbers are of ``dtype``."""

    dtype: str
    nodes: list[Node]
    constants: dict[str, np.ndarray]

    def add(self, op: str, inputs: tuple[str, ...], path: str, attributes: dict[str, Any] | None = None) -> str:
        """The output of an operation, which is named after the layer at ``path``."""
        return self.add_many(op, inputs, path, attributes or {}, 1)[0]

    def add_many(
        self, op: str, inputs: tuple[str, ...], path: str, attributes: dict[str, Any], outputs: int
    ) -> tuple[str, ...]:
        """The outputs of an operation; the same operation on the same inputs is there once."""
        for node in self.nodes:
            if (node.op, node.inputs, node.attributes) == (op, inputs, attributes):
                return node.outputs
        taken = {node.name for node in self.nodes}
        name = _free(f"{path}.{op}" if path else op, taken)
        named = (name, *(f"{name}.{n}" for n in range(1, outputs)))
        self.nodes.append(Node(op, name, inputs, named, attributes))
        return named

    def weight(self, name: str, array: np.ndarray) -> str:
        """A layer's parameter by its own name; a layer that is used twice has it once."""
        self.constants.setdefault(name, np.ascontiguousarray(array))
        return name

    def constant(self, values: Any, dtype: str | None = None) -> str:
        """A constant, of the draft's dtype unless told otherwise; equal ones are there once."""
        array = np.asarray(values, dtype or self.dtype)
        for name, known in self.constants.items():
            if name.startswith("constant") and _same(known, array):
                return name
        name = _free("constant", set(self.constants))
        self.constants[name] = array
        return name

    def integers(self, *values: int) -> str:
        """A constant vector of int64."""
        return self.constant(values, "int64")

    def swap(self, name: str, path: str) -> str:
        """(B, T, n) <-> (T, B, n); swapping back undoes it."""
        made = next((node for node in self.nodes if name in node.outputs), None)
        if made is not None and made.op == "Transpose" and made.attributes == {"perm": (1, 0, 2)}:
            return made.inputs[0]
        return self.add("Transpose", (name,), path, {"perm": (1, 0, 2)})


def join(path: str, name: str) -> str:
    """The name of what belongs to the layer at ``path``, which is "" for the whole model."""
    return f"{path}.{name}" if path else name


def _free(name: str, taken: set[str]) -> str:
    """``name``, or the first of name_1, name_2, ... that is not taken."""
    count = 0
    while (free := f"{name}_{count}" if count else name) in taken:
        count += 1
    return free


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
