"""What the benchmarks compute: weights, and for the CPU sizes, inputs, and the right answers in float64."""

from typing import NamedTuple

import numpy as np
import textbook

CELLS = ("RNN", "LSTM", "GRU")
PASSES = ("forward", "forward+backward")
# A limit on the largest error, by the largest number of the array.
TOLERANCE = 2e-4


GATES = {"RNN": 1, "LSTM": 4, "GRU": 3, "LayerNormLSTM": 4}


class Sizes(NamedTuple):
    """T steps of B rows with D features, H units."""

    T: int
    B: int
    D: int
    H: int


CASES = {
    "stream": Sizes(100, 1, 32, 64),
    "seedA": Sizes(250, 1, 32, 100),
    "seedA32": Sizes(250, 32, 32, 100),
    "charlm": Sizes(50, 50, 128, 128),
    "charlm512": Sizes(50, 50, 512, 512),
    "medium": Sizes(128, 64, 256, 512),
    "large": Sizes(16, 128, 1024, 1024),
    "longseq": Sizes(2000, 8, 64, 128),
}


class Job(NamedTuple):
    """A cell of a size with its weights, by our names and in our order, float32."""

    cell: str
    case: str
    sizes: Sizes
    weights: dict


class Question(NamedTuple):
    """An input x (T, B, D) and a cotangent dy (T, B, H), float32."""

    x: np.ndarray
    dy: np.ndarray


class Answer(NamedTuple):
    """y, and for training dx, dWx and dWh; float64 where it is the right one."""

    y: np.ndarray
    dx: np.ndarray | None = None
    dWx: np.ndarray | None = None
    dWh: np.ndarray | None = None


def job(cell, case):
    """The job of these names; its weights are always the same."""
    sizes = CASES[case]
    return Job(cell, case, sizes, weights(cell, sizes))


def weights(cell, sizes, *place):
    """The weights of a cell of these sizes, always the same; each ``place`` in a network has other ones."""
    gates, normal = GATES[cell] * sizes.H, cell == "LayerNormLSTM"
    rng = np.random.default_rng([list(GATES).index(cell), *sizes, *place])
    shapes = {"Wx": (sizes.D, gates), "Wh": (sizes.H, gates)}
    own = {"b": (gates,), "gx": (gates,), "gh": (gates,), "gc": (sizes.H,), "bc": (sizes.H,)}
    shapes |= own if normal else {"bx": (gates,), "bh": (gates,)}
    about = {"gx": 1.0, "gh": 0.1, "gc": 1.0}  # with a gh of 1 rounding errors would grow from step to step
    bound = sizes.H**-0.5  # as torch draws them
    return {
        name: (about.get(name, 0.0) + rng.uniform(-bound, bound, shape)).astype("float32")
        for name, shape in shapes.items()
    }


def question(sizes, number):
    """The input with this number: each has other random numbers."""
    rng = np.random.default_rng([number, *sizes])
    x = rng.standard_normal((sizes.T, sizes.B, sizes.D), dtype="float32")
    dy = rng.standard_normal((sizes.T, sizes.B, sizes.H), dtype="float32")
    return Question(x, dy)


def answer(job, question):
    """The right answer, by the textbook's cells in float64."""
    weights = {name: a.astype("float64") for name, a in job.weights.items()}
    y, tape = textbook.forward(job.cell, weights, question.x.astype("float64"))
    return Answer(y, *textbook.backward(job.cell, weights, tape, question.dy.astype("float64")))


def check(met, right):
    """Raise unless all that ``met`` has is right, as well as float32 can be."""
    for name, a, b in zip(Answer._fields, met, right, strict=True):
        if a is None:
            continue
        error = float(np.abs(np.asarray(a) - b).max()) / max(1e-3, float(np.abs(b).max()))
        if not error < TOLERANCE:
            raise AssertionError(f"{name} is wrong by {error:.1e} of its largest number")
