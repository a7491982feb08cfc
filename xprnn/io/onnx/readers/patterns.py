"""Layers that a graph has in several nodes: found again by the expressions that they are."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..bends import COMPOSED, NUMBERS, X, short, spelled
from ..graph import Node
from .activations import bent
from .flow import Flow, Known
from .labels import FEATURE
from .layers import normed

_COMMUTES = ("Add", "Mul")
_CENTRED = ("Sub", X, ("ReduceMean", X))


def _norm(square: tuple) -> tuple:
    """x less its mean, over its standard deviation; ``square`` is one way to write the former's."""
    return "Div", _CENTRED, ("Sqrt", ("Add", ("ReduceMean", square), "epsilon"))


# Expressions beside those that are written, which others write.
_ERF = ("Add", ("Erf", ("Div", X, 1.4142135623730951)), 1.0)
_MORE: tuple[tuple[str, tuple], ...] = (
    ("gelu", ("Mul", ("Mul", X, _ERF), 0.5)),
    ("gelu", ("Mul", ("Mul", X, 0.5), _ERF)),
    ("softsign", ("Div", X, ("Add", ("Abs", X), 1.0))),
)
_NORMS = (_norm(("Mul", _CENTRED, _CENTRED)), _norm(("Pow", _CENTRED, 2.0)))
_ENDS = {expression[0] for expression in (*_NORMS, *COMPOSED.values(), *(expression for _, expression in _MORE))}


def find(node: Node, known: Known) -> Flow | None:
    """The output of a node that ends an expression of ``COMPOSED`` or the like; None for others."""
    if node.op not in _ENDS:
        return None
    for expression in _NORMS:
        for found in _matches(expression, node.outputs[0], {}, known):
            flow = known.values[found[X]]
            if found["axes"] in ((-1,), (len(flow.axes) - 1,)) and flow.axes[-1] == FEATURE:
                return normed(flow, known.values[found["epsilon"]])
    for name, expression in (*COMPOSED.items(), *_MORE):
        for found in _matches(expression, node.outputs[0], {}, known):
            numbers = tuple(short(known.values[found[one]]) for one in NUMBERS if one in found)
            return bent(known.values[found[X]], spelled(name, numbers))
    return None


def _matches(part: Any, name: str, found: dict[str, Any], known: Known) -> Iterator[dict[str, Any]]:
    """All ways in which a part of an expression can be the value called ``name``, given what has been found.

    What is found: the names of X and of the expression's own numbers, and the axes over which means are taken.
    """
    value, node = known.values.get(name), known.makers.get(name)
    if isinstance(part, tuple):
        if node is None or node.op != part[0]:
            return
        inputs = node.inputs
        if node.op == "ReduceMean":
            axes, inputs = _mean_axes(node, known), inputs[:1]
            if found.get("axes", axes) != axes:
                return
            found = found | {"axes": axes}
        for order in (part[1:], part[:0:-1]) if node.op in _COMMUTES else (part[1:],):
            yield from _all(order, inputs, found, known)
    elif part == X:
        if isinstance(value, Flow) and found.get(X, name) == name:
            yield found | {X: name}
    elif isinstance(value, np.ndarray) and value.size == 1 and (isinstance(part, str) or _near(value.item(), part)):
        yield found | {part: name}


def _all(parts: tuple, names: tuple[str, ...], found: dict[str, Any], known: Known) -> Iterator[dict[str, Any]]:
    """All ways in which the parts can be the values of these names, each its own."""
    if len(parts) != len(names):
        return
    if not parts:
        yield found
        return
    for more in _matches(parts[0], names[0], found, known):
        yield from _all(parts[1:], names[1:], more, known)


def _near(value: float, wanted: float) -> bool:
    """Whether a number is the one wanted, perhaps in float32."""
    return math.isclose(value, wanted, rel_tol=1e-6)


def _mean_axes(node: Node, known: Known) -> Any:
    """The axes that a mean goes over and keeps, as the file has them."""
    if not node.attributes.get("keepdims", 1):
        return None
    axes = known.values.get(node.inputs[1]) if len(node.inputs) > 1 else node.attributes.get("axes")
    return tuple(axes.tolist()) if isinstance(axes, np.ndarray) else axes
