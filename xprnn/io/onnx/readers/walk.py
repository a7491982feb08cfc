"""The walk through a graph: each node is computed, if it is made of constants, or read as a layer, or lost."""

import inspect
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from .. import recurrent as cells
from ..attributes import keywords
from ..graph import Graph, Node
from ..operators import find
from . import activations, axes, entries, folds, layers, padding, patterns, pools, recurrent
from .flow import Call, Flow, Known, NoLayerError, Sized, Told
from .labels import BATCH, FEATURE, INNER, TIME

FLOATS = {"float16": "float32"}
PRIMES = tuple(n for n in range(83, 1000) if all(n % k for k in range(2, 32)))
WORTH = 2**24  # numbers that constants which are computed here may have together, beside eight times the file's
# What leaves numbers as they are: none of them depends on how large the batch is.
MOVES = ("Concat", "ConstantOfShape", "Expand", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Tile",
         "Transpose", "Unsqueeze")  # fmt: skip

READERS = {
    **activations.TABLE, **axes.TABLE, **entries.TABLE, **folds.TABLE, **layers.TABLE, **padding.TABLE, **pools.TABLE,
    **dict.fromkeys(cells.OPERATORS, recurrent.operator),
}  # fmt: skip


class Lost(NamedTuple):
    """A value that no layer makes: the first node on the way to it that is none, and why."""

    place: int
    node: Node
    reason: str


def walk(graph: Graph, time_first: bool = False) -> Any:
    """What makes the graph's output: a Flow, a Lost, or something else that is no sequence of layers.

    Raises NoLayerError if the inputs are not those of a chain of layers.
    """
    values: dict[str, Any] = {name: _widened(array) for name, array in graph.constants.items()}
    values |= _inputs(graph, time_first)
    known = Known(graph.opset, values, {}, [WORTH + 8 * sum(array.size for array in graph.constants.values())])
    for place, node in enumerate(graph.nodes):
        known.makers.update(dict.fromkeys(filter(None, node.outputs), node))
        made = _read(known, place, node)
        made += (NoLayerError("this output is no layer's"),) * (len(node.outputs) - len(made))
        for name, value in zip(node.outputs, made, strict=False):
            values[name] = Lost(place, node, str(value)) if isinstance(value, NoLayerError) else value
    return values[graph.outputs[0].name]


def _inputs(graph: Graph, time_first: bool) -> dict[str, Any]:
    """The graph's inputs: steps or samples, and perhaps the lengths of the rows."""
    x, *rest = graph.inputs or (None,)
    if x is None or x.shape is None or len(rest) > 1:
        raise NoLayerError(
            f"it has {len(graph.inputs)} inputs; a chain of layers has one, and perhaps the rows' lengths"
        )
    ids = np.issubdtype(np.dtype(x.dtype), np.integer)
    names = (BATCH, TIME, INNER)[: len(x.shape) - (not ids)] + (() if ids else (FEATURE,))
    if len(names) != len(x.shape) or len(names) > 4 or not names or (rest and TIME not in names):
        raise NoLayerError(f"its input is of shape {x.shape}; wanted are (batch, time, features) or (batch, time) ids")
    names = (TIME, BATCH, *names[2:]) if time_first and TIME in names else names
    taken = {size for array in graph.constants.values() for size in (*array.shape, *_few(array))}
    free = (prime for prime in PRIMES if prime not in taken)
    sizes = {name: size if isinstance(size, int) else next(free, 0) for name, size in zip(names, x.shape, strict=True)}
    if not ids and not isinstance(x.shape[names.index(FEATURE)], int):
        raise NoLayerError(f"its input is of shape {x.shape}, and does not say how many features there are")
    if min(sizes.values()) < 1:
        raise NoLayerError(f"its input is of shape {x.shape}, or its constants have every size there is")
    found: dict[str, Any] = {x.name: Flow((None,), names, sizes, bool(ids), masked=bool(rest))}
    for value in rest:
        if value.dtype not in ("int64", "int32") or value.shape is None or len(value.shape) != 1:
            raise NoLayerError(f"its second input, {value.name!r}, is not the lengths of rows, whole numbers (batch,)")
        found[value.name] = Told("lengths", (BATCH,), sizes[TIME])
    return found


def _read(known: Known, place: int, node: Node) -> tuple[Any, ...]:
    """The values of a node's outputs."""
    inputs = tuple(known.values[name] if name else None for name in node.inputs)
    lost = [value for value in inputs if isinstance(value, Lost)]
    try:
        whole = patterns.find(node, known) if node.outputs[0] else None
        if whole is not None:
            return (whole,)
        if lost:
            return (min(lost, key=lambda value: value.place),) * len(node.outputs)
        if node.op == "Shape" and not isinstance(inputs[0], np.ndarray | Sized):
            return (_shape(known, node, inputs),)
        if all(value is None or isinstance(value, np.ndarray | Sized) for value in inputs):
            return _computed(known, node, inputs)
        reader = layers.embedding if node.op == "Gather" and isinstance(inputs[1], Flow) else READERS.get(node.op)
        if reader is None:
            raise NoLayerError("there is no layer for it")
        made = reader(_call(known, node, inputs))
        return made if type(made) is tuple else (made,)
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:  # what attributes and shapes may come to
        return (Lost(place, node, str(error)),) * len(node.outputs)


def _call(known: Known, node: Node, inputs: tuple[Any, ...]) -> Call:
    """A node's inputs and attributes by the names of its operator's arguments, whatever opset they are written in."""
    if node.op in cells.OPERATORS:
        given = dict(itertools.zip_longest(cells.INPUTS, inputs))
        return Call(node, inputs, given, dict(zip(cells.INPUTS, node.inputs, strict=False)))
    operator = find(node.op, known.opset)
    assert operator is not None
    signature = inspect.signature(operator.function)
    wanted = (_numbers(value) if n in operator.numbers else value for n, value in enumerate(inputs))
    bound = signature.bind(None, *wanted, **keywords(node, operator, np, FLOATS))
    bound.apply_defaults()
    return Call(node, inputs, bound.arguments, dict(zip([*signature.parameters][1:], node.inputs, strict=False)))


def _shape(known: Known, node: Node, inputs: tuple[Any, ...]) -> Any:
    """A part of a value's shape: numbers, if only its features are in it."""
    call = _call(known, node, inputs)
    part = slice(call.given["start"], call.given["end"])
    sizes = np.asarray(call.flow().shape[part], np.int64)
    return sizes if set(call.flow().axes[part]) <= {FEATURE} else Sized(sizes)


def _computed(known: Known, node: Node, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The outputs of a node that is made of constants and shapes."""
    operator = find(node.op, known.opset)
    if operator is None:
        raise NoLayerError("there is no layer for it")
    given = [value.array if isinstance(value, Sized) else value for value in inputs]
    sizes = [max(1, a.size) for n, a in enumerate(given) if a is not None and n not in operator.numbers]
    given = [_numbers(a) if n in operator.numbers else a for n, a in enumerate(given)]
    if (operator.cost(*given) if operator.cost else math.prod(sizes)) > known.room[0]:
        raise NoLayerError("it would make a very large constant")
    with np.errstate(all="ignore"):
        made = operator.function(np, *given, **keywords(node, operator, np, FLOATS))
    found = tuple(map(np.asarray, made if isinstance(made, tuple) else (made,)))
    known.room[0] -= sum(array.size for array in found)
    if not any(isinstance(value, Sized) for value in inputs):
        return found
    if node.op not in MOVES and any(a.dtype.kind == "f" for a in found):
        raise NoLayerError("it makes numbers of a size that the file leaves open")
    return tuple(map(Sized, found))


def _numbers(value: Any) -> Any:
    """A constant as a tuple of Python's numbers; anything else as it is."""
    array = value.array if isinstance(value, Sized) else value
    return tuple(array.reshape(-1).tolist()) if isinstance(array, np.ndarray) else value


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _few(array: np.ndarray) -> list[int]:
    """The whole numbers of a short constant."""
    return array.reshape(-1).tolist() if array.dtype.kind in "iu" and array.size < 64 else []
