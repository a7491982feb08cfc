"""An ONNX graph that runs on any array library."""

from dataclasses import replace
from typing import Any

from ...backend import Backend
from ...backend import backend as open_backend
from ...types import Array
from .attributes import dtype as dtype_of
from .graph import Graph, Value
from .plan import plan

# The dtypes that floats of a file have here.
FLOATS = {"float16": "float32", "float32": "float32", "float64": "float64"}


class OnnxModel:
    """A graph of ONNX's operators on a backend: call it with the file's inputs, get its outputs, in the file's axes.

    Floats have the dtypes that the file says, but float16 is computed in float32; with ``dtype``, or where ``backend``
    is a Backend and so has a dtype, all of them have that one. A model never changes, and its calls share nothing.
    Raises FileError, before anything runs, if an operator is not known or cannot be what the file wants of it.
    """

    def __init__(self, graph: Graph, backend: str | Backend = "numpy", dtype: str | None = None) -> None:
        self._dtype = dtype or (backend.dtype if isinstance(backend, Backend) else None)
        self._floats = {name: self._dtype or here for name, here in FLOATS.items()}
        wide = any(value.dtype == "float64" for value in graph.inputs)
        self.graph = graph
        self.backend = open_backend(backend, self._dtype or ("float64" if wide else "float32"))
        with self.backend.active():
            self._plan = plan(graph, self.backend, self._floats)

    @property
    def inputs(self) -> tuple[Value, ...]:
        """What the model is called with, in the file's words."""
        return self.graph.inputs

    @property
    def outputs(self) -> tuple[Value, ...]:
        """What it gives, in the file's words."""
        return self.graph.outputs

    def __call__(self, *inputs: Array, **named: Array) -> Any:
        """The output, or the tuple of all where there are several, of the inputs in the file's order or by name.

        Raises BackendError, TypeError or ValueError unless they are the backend's and of the file's types and shapes,
        and ValueError, with the node's name, where a node cannot be computed or takes too much memory.
        Integers are widened to the file's; an axis to which the file gives no number may have any size.
        """
        values = list(self._plan.values)
        with self.backend.active():
            for slot, array in zip(self._plan.inputs, self._enter(inputs, named), strict=True):
                values[slot] = array
            for step in self._plan.steps:
                arguments = [values[slot] for slot in step.inputs]
                try:
                    for n, move in step.moves:
                        arguments[n] = move(arguments[n])
                    made = step.call(*arguments)
                except Exception as error:
                    reason = str(error) or type(error).__name__
                    raise ValueError(f"{step.node} cannot be computed: {reason}") from error
                for slot, array in zip(step.outputs, made if isinstance(made, tuple) else (made,), strict=False):
                    values[slot] = array
                for slot in step.dead:
                    values[slot] = None
            # Of arrays without axes NumPy makes scalars of its own.
            found = tuple(self.backend.xp.asarray(values[slot]) for slot in self._plan.outputs)
        return found if len(found) > 1 else found[0]

    def to(self, backend: str | Backend) -> "OnnxModel":
        """The same model on another backend."""
        return OnnxModel(self.graph, backend, self._dtype)

    def summary(self) -> str:
        """The model, and a line for each node: what it takes and what it makes."""
        width = max((len(node.op) for node in self.graph.nodes), default=0)
        nodes = (
            f"  {node.op:<{width}}  {', '.join(filter(None, node.inputs))} -> {', '.join(filter(None, node.outputs))}"
            for node in self.graph.nodes
        )
        return "\n".join([repr(self), *nodes])

    def __repr__(self) -> str:
        inputs, outputs = (", ".join(map(_described, values)) for values in (self.inputs, self.outputs))
        return f"OnnxModel({inputs} -> {outputs}; {len(self.graph.nodes)} nodes on {self.backend})"

    def _enter(self, inputs: tuple[Array, ...], named: dict[str, Array]) -> list[Array]:
        """The inputs in the file's order, checked."""
        names = [value.name for value in self.inputs]
        ordered = dict(zip(names, inputs, strict=False))
        if len(inputs) > len(names) or ordered.keys() & named.keys() or {*ordered, *named} != set(names):
            met = ", ".join([f"{len(inputs)} in order", *(f"{name} by name" for name in named)])
            raise TypeError(f"the model takes {', '.join(names)}, each once; it is given {met}")
        return [self._check(value, (ordered | named)[value.name]) for value in self.inputs]

    def _check(self, value: Value, x: Array) -> Array:
        """The input if it is what the file says; integers in the file's type."""
        wanted = self._floats.get(value.dtype, value.dtype)
        backend = replace(self.backend, dtype=wanted) if value.dtype in FLOATS else self.backend
        backend.check(x, value.name)
        xp = backend.xp
        dtype = dtype_of(xp, wanted)
        if x.dtype != dtype:
            whole = xp.isdtype(x.dtype, "integral") and xp.isdtype(dtype, "integral")
            if not whole or not xp.can_cast(x.dtype, dtype):
                raise TypeError(f"`{value.name}` is of dtype {x.dtype}; the file wants {wanted}")
            x = xp.astype(x, dtype)
        axes = (None,) * x.ndim if value.shape is None else value.shape
        if len(axes) != x.ndim or any(isinstance(n, int) and n != size for n, size in zip(axes, x.shape, strict=True)):
            raise ValueError(f"`{value.name}` is of shape {tuple(x.shape)}; the file wants {_shape(axes)}")
        return x


def _described(value: Value) -> str:
    """ "x (batch, 5) float32" """
    return f"{value.name} {'of any shape' if value.shape is None else _shape(value.shape)} {value.dtype}"


def _shape(axes: tuple[int | str | None, ...]) -> str:
    """A shape as a tuple is written, names without quotes, "?" for what is left open."""
    words = ["?" if axis is None else str(axis) for axis in axes]
    return f"({', '.join(words)}{',' if len(words) == 1 else ''})"
