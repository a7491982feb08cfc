"""From a graph to a list of calls: which values are constants, which live on the host, which on the device.

What is made of constants alone is computed once, here. What is made of constants and shapes stays in NumPy arrays on
the host, so that the arithmetic of shapes never waits for a device. Everything else is on the device, where constants
that it needs are put once.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ... import tree
from ...backend import Backend, BackendError, to_numpy
from ..store import FileError
from . import recurrent
from .attributes import keywords
from .graph import Graph, Node
from .operators import Operator, find

NOTHING = 0  # the slot of inputs that are left out
WORTH = 2**22
ON_HOST = ("Shape", "Size")  # these give NumPy arrays wherever their input is


class Step(NamedTuple):
    """One call: the slots of its arguments, what is done to some of these first, where the results go.

    dead: the slots that nobody needs afterwards.
    """

    node: Node
    call: Callable[..., Any]
    inputs: tuple[int, ...]
    moves: tuple[tuple[int, Callable], ...]
    outputs: tuple[int, ...]
    dead: tuple[int, ...] = ()


class Plan(NamedTuple):
    """All calls in order; ``values`` are the slots as they are before the first: constants, and None."""

    values: tuple[Any, ...]
    inputs: tuple[int, ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]


def plan(graph: Graph, backend: Backend, floats: dict[str, str]) -> Plan:
    """The calls that run a graph on a backend; ``floats`` says in which dtype each of a file's float dtypes is.

    Raises FileError for operators that are not known, and for what the file's attributes and constants contradict.
    """
    for node in graph.nodes:
        if node.op not in recurrent.OPERATORS and find(node.op, graph.opset) is None:
            raise FileError(f"{node}: the operator is not known")
    planner = _Planner(graph, backend, floats)
    inputs = tuple(planner.slot(value.name) for value in graph.inputs)
    for node in graph.nodes:
        try:
            planner.add(node)
        except BackendError:
            raise
        except Exception as error:  # whatever it is, it comes of the file's attributes and constants
            raise FileError(f"{node}: {error or type(error).__name__}") from error
    outputs = planner.results([value.name for value in graph.outputs])
    return Plan(tuple(planner.values), inputs, _with_dead(planner, outputs), outputs)


class _Planner:
    """Walks the nodes in order, and knows of each name so far whether it is a constant, on the host, on the device."""

    def __init__(self, graph: Graph, backend: Backend, floats: dict[str, str]) -> None:
        self.backend, self.floats, self.opset = backend, floats, graph.opset
        self.constants = {name: _cast(array, floats) for name, array in graph.constants.items()}
        self.device = {value.name for value in graph.inputs}
        self.values: list[Any] = [None]
        self.steps: list[Step] = []
        self._slots: dict[tuple[str, str], int] = {}
        self._moves: dict[str, Callable] = {"numbers": _numbers, "host": to_numpy, "device": self._put}
        self._room = WORTH + 8 * sum(array.size for array in self.constants.values())

    def slot(self, name: str, form: str = "") -> int:
        """Where a value stands: as it is made, or in another form. A constant is put there now."""
        if (name, form) not in self._slots:
            self._slots[name, form] = len(self.values)
            constant = self.constants.get(name)
            self.values.append(constant if constant is None or not form else self._moves[form](constant))
        return self._slots[name, form]

    def add(self, node: Node) -> None:
        """Plan a node, or compute it now if all that it needs is known."""
        if node.op in recurrent.OPERATORS:
            self._add_recurrent(node)
            return
        operator = find(node.op, self.opset)
        assert operator is not None
        if any(node.outputs[operator.outputs :]):
            raise ValueError(f"it has {len(node.outputs)} outputs; known are {operator.outputs}")
        forms = dict.fromkeys(operator.numbers, "numbers") | dict.fromkeys(operator.host, "host")
        far = any(name in self.device for n, name in enumerate(node.inputs) if n not in forms)
        xp = self.backend.xp if far else np
        call = partial(operator.function, xp, **keywords(node, operator, xp, self.floats))
        if not far and all(name in self.constants for name in node.inputs if name) and self._fold(node, operator, call):
            return
        self._append(node, call, node.inputs, forms, far)

    def results(self, names: list[str]) -> tuple[int, ...]:
        """The slots of values as arrays of the device; those made on the host move there in a last step."""
        near = [name for name in names if name not in self.device and name not in self.constants]
        for name in near:
            self.steps.append(_move(name, self._put, self.slot(name), self.slot(name, "device")))
        return tuple(self.slot(name, "" if name in self.device else "device") for name in names)

    def _append(self, node: Node, call: Callable, names: tuple[str, ...], forms: dict[int, str], far: bool) -> None:
        """A call with these values in these forms, and on the device the others too."""
        inputs, moves = [], []
        for n, name in enumerate(names):
            form = forms.get(n, "device" if far and name not in self.device else "")
            if name and form and name not in self.constants:
                moves.append((n, self._moves[form]))
                form = ""
            inputs.append(self.slot(name, form) if name else NOTHING)
        outputs = tuple(
            self.slot(name) if name else self.slot(f"{len(self.steps)} {n}", "unused")
            for n, name in enumerate(node.outputs)
        )
        self.steps.append(Step(node, call, tuple(inputs), tuple(moves), outputs))
        if far and node.op not in ON_HOST:
            self.device |= set(node.outputs) - {""}

    def _fold(self, node: Node, operator: Operator, call: Callable) -> bool:
        """Compute a node now, unless that could make more numbers than a file of this size is worth."""
        arguments: list[Any] = [self.constants[name] if name else None for name in node.inputs]
        sizes = [max(1, a.size) for n, a in enumerate(arguments) if a is not None and n not in operator.numbers]
        for n in operator.numbers:
            if n < len(arguments) and arguments[n] is not None:
                arguments[n] = _numbers(arguments[n])
        if (operator.cost(*arguments) if operator.cost else math.prod(sizes)) > self._room:
            return False
        with np.errstate(all="ignore"):
            made = call(*arguments)
        for name, array in zip(node.outputs, made if isinstance(made, tuple) else (made,), strict=False):
            self.constants[name] = np.asarray(array)
            self._room -= self.constants[name].size
        return True

    def _add_recurrent(self, node: Node) -> None:
        recurrent.check(node)
        x, w, r, b, lengths, h, c, p = (*node.inputs, *("",) * len(recurrent.INPUTS))[: len(recurrent.INPUTS)]
        layout, weights, rest = node.attributes.get("layout", 0), (w, r, b, p), (x, lengths, h, c)
        if all(name in self.constants for name in weights if name):
            parts = recurrent.parts(node, *(self.constants.get(name) for name in weights))
            parts = [part._replace(params=tree.map(self._put, part.params)) for part in parts]
            self._append(node, partial(recurrent.run, parts, layout), rest, {1: "numbers"}, True)
            return

        def call(w: Any, r: Any, b: Any, p: Any, *rest: Any) -> tuple:
            return recurrent.run(recurrent.parts(node, w, r, b, p), layout, *rest)

        self._append(node, call, weights + rest, {5: "numbers"}, True)

    def _put(self, array: np.ndarray) -> Any:
        return self.backend.asarray(array, array.dtype.name)


def _with_dead(planner: _Planner, outputs: tuple[int, ...]) -> tuple[Step, ...]:
    """The steps, each with the slots that nothing reads after it."""
    kept = {NOTHING, *outputs, *(n for n, value in enumerate(planner.values) if value is not None)}
    steps = []
    for step in reversed(planner.steps):
        dead = {*step.inputs, *step.outputs} - kept
        kept |= dead
        steps.append(step._replace(dead=tuple(dead)))
    return tuple(reversed(steps))


def _move(name: str, call: Callable, source: int, target: int) -> Step:
    return Step(Node("Identity", "", (name,), (name,), {}), call, (source,), (), (target,))


def _cast(array: np.ndarray, floats: dict[str, str]) -> np.ndarray:
    return array.astype(floats.get(array.dtype.name, array.dtype.name), copy=False)


def _numbers(array: Any) -> tuple:
    """The numbers of an array of any library as Python has them."""
    return tuple(to_numpy(array).reshape(-1).tolist())
