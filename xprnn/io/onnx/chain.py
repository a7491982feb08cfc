"""From a graph of ONNX's operators back to a Model, where it is a chain of layers."""

import numpy as np

from ... import tree
from ...backend import Backend
from ...backend import backend as choose_backend
from ...layers.activation import Activation
from ...model import Model
from ..store import FileError
from .graph import Graph
from .readers.build import sequential
from .readers.flow import Flow, NoLayerError, Step, by_step
from .readers.labels import BATCH, FEATURE, INNER, TIME
from .readers.walk import Lost, walk


class NoChainError(FileError):
    """A graph that is no chain of layers; ``place`` is the number of the node where that shows."""

    def __init__(self, message: str, place: int) -> None:
        super().__init__(message)
        self.place = place


def to_model(
    graph: Graph, backend: str | Backend = "numpy", dtype: str | None = None, *, time_first: bool = False
) -> Model:
    """The Model that a graph is, if it is a chain of layers of one input, perhaps with the rows' lengths, and output.

    Axes may change places, directions stand apart and come together, and shapes be reckoned with on the way: what
    counts is what each node does to what its axes mean. ``lengths`` of the model are the file's second input.
    A node's two biases stay two if the second is not 0, an initial state is a parameter if it is not 0, weights that
    the file has once are one layer's. What is the same layer in other words comes back in one: a stack as its layers,
    an activation behind a dense layer as the dense layer's.

    dtype:      the file's unless given (float16 becomes "float32").
    time_first: the file's input is (time, batch, features), and its output (time, batch, ...) or (batch, ...); the
                model's have the batch first all the same.
    Raises NoChainError, a FileError, with the first node that is no layer, and why.
    """
    try:
        layer, params = sequential(_flow(graph, time_first).chain)
    except NoLayerError as error:
        raise NoChainError(str(error), len(graph.nodes)) from error
    on = choose_backend(backend, dtype or (None if isinstance(backend, Backend) else _dtype(graph)))
    arrays = tree.map(lambda a: np.array(a, on.dtype), params)
    return Model(layer, on, input_shape=_sample(graph, time_first), params=arrays)


def _flow(graph: Graph, time_first: bool) -> Flow:
    """What the layers make of the graph's input, if that is its output."""
    if len(graph.outputs) != 1:
        raise NoLayerError(f"it has {len(graph.outputs)} outputs; a chain of layers has one")
    flow = walk(graph, time_first)
    if isinstance(flow, Lost):
        raise NoChainError(f"{flow.node} is no layer: {flow.reason}", flow.place)
    first = (TIME, BATCH) if time_first else (BATCH, TIME)
    if isinstance(flow, Flow) and flow.outer is not None:
        raise NoLayerError("its output has each step as a sample")
    if not isinstance(flow, Flow) or flow.axes not in ((*first, FEATURE), (*first, INNER, FEATURE), (BATCH, FEATURE)):
        met = ", ".join(flow.axes) if isinstance(flow, Flow) else "what no layer makes"
        raise NoLayerError(f"its output is ({met}), and not ({', '.join(first)}, features) or (batch, features)")
    if flow.padded and flow.padding.theirs == 0 and not flow.padding.same:  # a layer that only makes padding 0
        flow = by_step(flow, Step(Activation("identity"), {}))
    if flow.masked and not flow.padding.same:
        raise NoLayerError("what its output has in padding is not what a Model has there")
    return flow


def _dtype(graph: Graph) -> str:
    """The widest dtype that the file's numbers have."""
    kinds = [graph.inputs[0].dtype, *(array.dtype.name for array in graph.constants.values())]
    return "float64" if "float64" in kinds else "float32"


def _sample(graph: Graph, time_first: bool) -> tuple[int | None, ...]:
    """The shape of one sample: None where the file leaves an axis open."""
    axes = graph.inputs[0].shape or ()
    order = (axes[1], axes[0], *axes[2:]) if time_first and len(axes) > 1 else axes
    return tuple(size if isinstance(size, int) else None for size in order[1:])
