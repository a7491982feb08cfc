"""What a graph makes of the rows' lengths: masks of real steps, and values without what stands in padding."""

from typing import Any

import numpy as np

from .flow import Call, Flow, NoLayerError, Sized, Told
from .labels import BATCH, ONE, TIME


def where(call: Call) -> Any:
    """A number in place of padding, or of rows without a step."""
    told, flow, number = call.inputs
    if not (isinstance(told, Told) and isinstance(flow, Flow) and isinstance(number, np.ndarray) and number.size == 1):
        raise NoLayerError("it chooses by what are not the lengths of rows")
    value = float(number.reshape(()))
    known = told.what == ("real" if flow.padded else "any") and _aligned(told, flow)
    if not known or value not in (0, -np.inf):
        raise NoLayerError("it chooses something else than 0 in padding")
    theirs = flow.padding
    return flow._replace(padding=theirs._replace(theirs=value, same=value == 0 and theirs.ours))


def less(call: Call) -> Told:
    """steps < lengths: which are real."""
    steps, told = call.inputs
    array = steps.array if isinstance(steps, Sized) else steps
    if not isinstance(array, np.ndarray) or not isinstance(told, Told) or told.what != "lengths":
        raise NoLayerError("it compares what are not steps with what are not lengths")
    if array.size != told.time or not np.array_equal(array.reshape(-1), np.arange(told.time)):
        raise NoLayerError("it compares lengths with what are not the steps in order")
    axes = [ONE] * array.ndim
    axes[max(n for n, size in enumerate(array.shape) if size == told.time)] = TIME
    return told._replace(what="real", axes=_broadcast(tuple(axes), told.axes))


def greater(call: Call) -> Told:
    """lengths > 0: whether there is any step."""
    told, zero = call.inputs
    return _lengths_with(told, zero, 0)._replace(what="any")


def maximum(call: Call) -> Told:
    """How many steps there are, but 1 for none."""
    told, one = call.inputs if isinstance(call.inputs[0], Told) else call.inputs[::-1]
    return _lengths_with(told, one, 1)._replace(what="count")


def _lengths_with(told: Any, number: Any, wanted: int) -> Told:
    known = isinstance(told, Told) and told.what == "lengths" and isinstance(number, np.ndarray)
    if not known or number.size != 1 or number.reshape(()) != wanted:
        raise NoLayerError("it reckons with lengths as nothing here does")
    return told


def _broadcast(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    """The axes of two values together."""
    rank = max(len(a), len(b))
    a, b = ((ONE,) * (rank - len(axes)) + axes for axes in (a, b))
    if any(ONE not in pair and pair[0] != pair[1] for pair in zip(a, b, strict=True)):
        raise NoLayerError(f"it sets {a} against {b}")
    return tuple(one if other == ONE else other for one, other in zip(a, b, strict=True))


def _aligned(told: Told, flow: Flow) -> bool:
    """Whether each of the mask's axes stands where the value has it."""
    wanted = {BATCH, TIME} if told.what == "real" else {BATCH}
    if len(told.axes) > len(flow.axes) or set(told.axes) - {ONE} != wanted:
        return False
    behind = flow.axes[len(flow.axes) - len(told.axes) :]
    return all(one in (ONE, other) for one, other in zip(told.axes, behind, strict=True))


TABLE = {"Greater": greater, "Less": less, "Max": maximum, "Where": where}
