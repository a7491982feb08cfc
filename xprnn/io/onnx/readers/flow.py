"""What is known of a value of the graph while it is read: which layers made it, and what each of its axes means.

Nothing is computed here. Axes that the file leaves open have a number of their own, a prime that occurs nowhere in the
file: what is reckoned with a shape is reckoned with it, and is a ``Sized`` array, which no layer takes for a weight.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ....layers.base import Layer
from ....types import Params
from ..graph import Node
from ..operators.base import position
from .labels import BATCH, FEATURE, INNER, ONE, SIDE, TIME

MOST = 1000  # layers that a model is made of here: to name them all takes a second


class NoLayerError(ValueError):
    """A node is no layer, or the part of none; the message says why."""


@dataclass(frozen=True, eq=False)
class Step:
    """A layer with its parameters, and the names of these in the file; ``None`` is what is to become one: ``pending``.

    by_step: whether it sees each step by itself, so that it may stand in a TimeDistributed.
    last:    of a Direction or a Bidirectional, whether it gives its last output alone.
    """

    layer: Layer | None
    params: Params
    weights: tuple[str, ...] = ()
    by_step: bool = False
    last: bool = False
    pending: str = ""


@dataclass(frozen=True, eq=False)
class Chain:
    """The layers so far. Steps that only are one layer together, each step of a sequence as a sample, are one link.

    wrapped: they are such a layer also if there is only one of them.
    """

    before: "Chain | None"
    steps: tuple[Step, ...]
    wrapped: bool = False


class Padding(NamedTuple):
    """What stands behind the end of each row, or, where time is gone, in rows without a step.

    ours:   whether the model that is made has 0 there.
    theirs: the number that the graph has there, None if there may be any.
    same:   whether the two have the same there.
    """

    ours: bool = False
    theirs: float | None = None
    same: bool = True


ZERO = Padding(True, 0.0, True)


class Flow(NamedTuple):
    """A value that layers have made of the input: ``parts`` along the axis SIDE, one if there is no such axis.

    sizes:  how long the axes BATCH, TIME, INNER and FEATURE are.
    masked: whether the graph is told where each row ends.
    outer:  where steps are samples, that which they are steps of.
    """

    parts: tuple[Chain | None, ...]
    axes: tuple[str, ...]
    sizes: dict[str, int]
    ids: bool = False
    masked: bool = False
    padding: Padding = Padding()
    outer: "Flow | None" = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes in their order."""
        return tuple({SIDE: len(self.parts), ONE: 1}.get(axis) or self.sizes[axis] for axis in self.axes)

    @property
    def chain(self) -> Chain | None:
        """The layers, which are the same for all of the value."""
        if SIDE in self.axes:
            raise NoLayerError("it takes the directions of a recurrent layer before they are one output")
        return self.parts[0]

    def along(self, axis: int, parts: tuple[Chain | None, ...]) -> "Flow":
        """These parts as the entries of an axis; one alone makes it an axis that means nothing."""
        label = SIDE if len(parts) > 1 else ONE
        return self._replace(parts=parts, axes=(*self.axes[:axis], label, *self.axes[axis + 1 :]))

    @property
    def padded(self) -> bool:
        """Whether there is padding in it."""
        return self.masked and TIME in self.axes

    @property
    def made_by(self) -> Step | None:
        """The last of the layers."""
        return self.chain.steps[-1] if self.chain else None


class Sized(NamedTuple):
    """Numbers that were made of a shape, which the file leaves open."""

    array: np.ndarray


class Told(NamedTuple):
    """What was made of the rows' lengths: these themselves, "real" steps, "any" step, or the "count" of steps.

    time: how many steps there are in all.
    """

    what: str
    axes: tuple[str, ...]
    time: int


def are_lengths(value: Any) -> bool:
    """Whether a value is the lengths of the rows, (B,)."""
    return isinstance(value, Told) and (value.what, value.axes) == ("lengths", (BATCH,))


class Known(NamedTuple):
    """What is known of the graph so far: what each value is, and which node has made it.

    room: how many numbers constants that are computed may still have together, in a list.
    """

    opset: int
    values: dict[str, Any]
    makers: dict[str, Node]
    room: list[float]


class Call(NamedTuple):
    """A node with its arguments by the names that its operator's function has for them, and those of the file."""

    node: Node
    inputs: tuple[Any, ...]
    given: dict[str, Any]
    names: dict[str, str]

    def flow(self, name: str | None = None) -> Flow:
        """An argument that layers have made, the first unless named."""
        value = self.inputs[0] if name is None else self.given[name]
        if not isinstance(value, Flow):
            raise NoLayerError("its input is not what a layer gives")
        return value

    def labelled(self) -> Any:
        """The first input, which layers or lengths have made."""
        if not isinstance(self.inputs[0], Flow | Told):
            raise NoLayerError("its input is not what a layer gives")
        return self.inputs[0]

    def weight(self, name: str) -> np.ndarray:
        """An argument that is a constant of the file."""
        value = self.given[name]
        if not isinstance(value, np.ndarray):
            raise NoLayerError(f"its {name} is no constant")
        return value


def append(flow: Flow, step: Step, padding: Padding = ZERO) -> Flow:
    """``flow`` with one layer more, of steps of features."""
    if flow.ids or INNER in flow.axes:
        raise NoLayerError(f"its input is ({', '.join(flow.axes)}), and not steps of features")
    return flow._replace(parts=(Chain(flow.chain, (step,)),), padding=padding)


def by_step(flow: Flow, step: Step, width: int | None = None) -> Flow:
    """``flow`` with one layer more that sees each step by itself.

    The model has 0 in the padding that such a layer sees; where the graph has not, two layers can be one in the model,
    which then sees the padding between them as the graph does.
    """
    chain, padding, wrapped = flow.chain, flow.padding, INNER in flow.axes
    follows = chain is not None and all(one.by_step for one in chain.steps) and chain.wrapped == wrapped
    dirty = flow.padded and padding.theirs != 0
    if chain and len(chain.steps) == MOST:
        raise NoLayerError(f"there are {MOST} layers before it")
    if flow.ids != bool(step.layer and step.layer.takes_ids):
        raise NoLayerError("it takes ids for numbers" if flow.ids else "it takes numbers for ids")
    if chain is not None and follows and (dirty or (wrapped and not flow.padded)):
        link = Chain(chain.before, (*chain.steps, step), wrapped)
    else:
        link = Chain(chain, (step,), wrapped)
    same = padding.same and follows if dirty else padding.same or flow.padded
    sizes = flow.sizes if width is None else flow.sizes | {FEATURE: width}
    return flow._replace(parts=(link,), sizes=sizes, padding=Padding(same=same), ids=False)


def instead(flow: Flow, step: Step) -> Flow:
    """``flow`` with another layer in place of the last."""
    assert flow.chain
    return flow._replace(parts=(Chain(flow.chain.before, (*flow.chain.steps[:-1], step), flow.chain.wrapped),))


def check_features(flow: Flow, axis: int) -> None:
    """Raise unless an axis is that of the features, and the last."""
    if position(axis, len(flow.axes)) != len(flow.axes) - 1 or flow.axes[-1] != FEATURE:
        raise NoLayerError("it goes over other axes than the features alone")
