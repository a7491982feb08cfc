"""The right answers for the GPU benchmark: the textbook's cells in float64, on the arrays that are asked about.

Rows never meet. So a network is walked once, over many rows, and a question is some of these rows; only the weights'
gradients are sums over rows, and they are made for each question from the cotangents of all gates.
"""

from typing import NamedTuple

import cases
import numpy as np
import textbook

QUESTIONS = 3
# The largest error of an array as a part of the right one's norm: three times what such operands cost or more, and less
# than what narrower ones do: 3e-7, 4e-4 (float16 too) and 3e-3. Arrays of 16 bits are rounded ever again besides.
TOLERANCES = {
    "float32": 2e-5,
    "float32 by TF32": 1.5e-3,
    "float32 by bfloat16": 1.2e-2,
    "float16": 5e-3,
    "bfloat16": 5e-2,
}


class Walk(NamedTuple):
    """What the gradients of one layer's one direction are sums of.

    x, h: what came in, (T, R, D), and the states before, (T, R, H). into_x, into_h: each gate's cotangent on either
    side, (T, R, H). rest: what a cell has besides, by name, (T, R, n).
    """

    x: np.ndarray
    h: np.ndarray
    into_x: list
    into_h: list
    rest: dict


class Exam(NamedTuple):
    """A network with its weights for each (layer, direction), and ``QUESTIONS`` times B rows with what is right.

    x (T, R, D), dy (T, R, directions·H) and ``lengths`` are given; the rest is float64.
    """

    case: object
    weights: dict
    x: np.ndarray
    dy: np.ndarray
    lengths: np.ndarray | None
    y: np.ndarray
    dx: np.ndarray
    walks: dict


class Paper(NamedTuple):
    """A question, x (T, B, D) and dy, with or without lengths, and all that is right, by name."""

    x: np.ndarray
    dy: np.ndarray
    lengths: np.ndarray | None
    right: dict


class Cotangents:
    """In place of the textbook's sums: what they are sums of."""

    def __init__(self, weights, gates):
        self.gates = textbook.blocks(weights, gates)
        self.h, self.sides, self.rest = [], [([], []) for _ in range(gates)], {}

    def add(self, gate, x, h, dx_side, dh_side):
        """Keep a gate's of one step -> what it sends to x and to h."""
        if gate == 0:
            self.h.append(h)
        for kept, side in zip(self.sides[gate], (dx_side, dh_side), strict=True):
            kept.append(side)
        Wx, Wh, _, _ = self.gates[gate]
        return dx_side @ Wx.T, dh_side @ Wh.T

    def sum(self, **named):
        """Keep what one step adds to the gradients of these names."""
        for name, a in named.items():
            self.rest.setdefault(name, []).append(a)

    def all(self, dx):
        """dx, the states, each gate's cotangents on the side of x and on that of h, and the rest by name."""
        into_x, into_h = zip(*self.sides, strict=True)
        x_sides = [_in_order(side) for side in into_x]
        h_sides = [a if same(x, h) else _in_order(h) for a, x, h in zip(x_sides, into_x, into_h, strict=True)]
        return dx, _in_order(self.h), x_sides, h_sides, {name: _in_order(a) for name, a in self.rest.items()}


def same(some, others):
    """Whether the two lists hold the very same arrays."""
    return all(a is b for a, b in zip(some, others, strict=True))


def _in_order(steps):
    return np.stack(steps[::-1])


def exam(case, xp):
    """The exam for a network; ``case.B`` is the rows of a question, ``xp`` the arrays' library."""
    rng, R = xp.random.default_rng(0), QUESTIONS * case.B
    x = rng.standard_normal((case.T, R, case.D), dtype="float32")
    dy = rng.standard_normal((case.T, R, case.directions * case.H), dtype="float32")
    lengths, real = None, 1
    if case.ragged:
        lengths = np.random.default_rng(0).integers(case.T // 4 + 1, case.T, R, endpoint=True)
        real = xp.arange(case.T)[:, None, None] < xp.asarray(lengths)[None, :, None]
        dy = dy * real  # after its end a row's y is 0, whatever x is
    weights = {place: cases.weights(case.cell, case.sizes(place[0]), *place) for place in case.places()}
    doubled = {
        place: {name: xp.asarray(a).astype("float64") for name, a in each.items()} for place, each in weights.items()
    }
    y, tapes = _forward(case, doubled, x.astype("float64"))
    dx, walks = _backward(case, doubled, tapes, dy.astype("float64"))
    return Exam(case, weights, x, dy, lengths, y * real, dx, walks)


def _forward(case, weights, y):
    tapes = {}
    for layer in range(case.layers):
        x, ys = y, []
        for direction in range(case.directions):
            way = slice(None, None, -1 if direction else 1)
            y, tapes[layer, direction] = textbook.forward(case.cell, weights[layer, direction], x[way])
            ys.append(y[way])
        y = np.concatenate(ys, axis=-1)
    return y, tapes


def _backward(case, weights, tapes, dy):
    walks = {}
    for layer in reversed(range(case.layers)):
        parts = []
        for direction, part in enumerate(np.split(dy, case.directions, axis=-1)):
            way, place = slice(None, None, -1 if direction else 1), (layer, direction)
            tape = tapes.pop(place)
            dx, *sides = textbook.backward(case.cell, weights[place], tape, part[way], Cotangents)
            walks[place] = Walk(tape[0], *sides)
            parts.append(dx[way])
        dy = sum(parts)
    return dy, walks


def papers(exam, case):
    """The questions of ``case.B`` rows each, with their answers."""
    for number in range(QUESTIONS):
        rows = slice(number * exam.case.B, number * exam.case.B + case.B)
        x, dy = (a[:, rows].copy() for a in (exam.x, exam.dy))
        right = {"y": exam.y[:, rows], "dx": exam.dx[:, rows]}
        for (layer, direction), walk in exam.walks.items():
            found = _gradients(walk, rows)
            right |= {f"{layer}.{direction}.{name}": a for name, a in found.items()}
        yield Paper(x, dy, None if exam.lengths is None else exam.lengths[rows], right)


def _gradients(walk, rows):
    """The weights' gradients for these rows."""

    def flat(a):
        return a[:, rows].reshape(-1, a.shape[2])

    x, h = flat(walk.x), flat(walk.h)
    found = {"Wx": [], "Wh": [], "bx": [], "bh": []}
    for into_x, into_h in zip(walk.into_x, walk.into_h, strict=True):
        dx_side, dh_side = flat(into_x), flat(into_h)
        found["Wx"].append(x.T @ dx_side)
        found["Wh"].append(h.T @ dh_side)
        found["bx"].append(dx_side.sum(axis=0))
        found["bh"].append(dh_side.sum(axis=0))
    joined = {name: np.concatenate(parts, axis=-1) for name, parts in found.items()}
    return joined | {name: flat(a).sum(axis=0) for name, a in walk.rest.items()}


def errors(met, right):
    """How far each array that was met is from what is right, as a part of that one's norm."""
    found = {}
    for name, a in met.items():
        if a.shape != right[name].shape:
            raise ValueError(f"{name} has the shape {a.shape}, not {right[name].shape}")
        found[name] = float(np.linalg.norm(np.ravel(a - right[name])) / np.linalg.norm(np.ravel(right[name])))
    return found


def wrong(found, arithmetic):
    """The names of the arrays whose errors are above what the arithmetic explains, NaN included."""
    return [name for name, error in found.items() if not error <= TOLERANCES[arithmetic]]
