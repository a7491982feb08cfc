"""What the GPU benchmark computes: which networks, in which arithmetic, by whom, and in what order."""

import itertools
from typing import NamedTuple

from cases import CELLS, Sizes

HIDDEN = (64, 128, 192, 256, 512, 1024)
BATCH = (1, 8, 32, 128)
STEPS = 512


class Mode(NamedTuple):
    """A precision in torch's word, the arithmetic that it means, and the dtype of arrays that have 16 bits."""

    precision: str
    arithmetic: str
    stored: str | None = None


MODES = {
    "fp32": Mode("highest", "float32"),
    "tf32": Mode("high", "float32 by TF32"),
    "bf16": Mode("medium", "float32 by bfloat16", "bfloat16"),
    "fp16": Mode("highest", "float16", "float16"),
}
FLOAT32 = tuple(MODES)[:3]
# Each part's share of the time. What one leaves goes to those after it, so the longest comes last.
SHARES = {"epoch": 0.09, "loop": 0.07, "jax": 0.1, "persistent": 0.05, "packed": 0.05, "shapes": 0.16, "table": 0.48}


class Case(NamedTuple):
    """T steps of B rows with D features; H units in each of so many layers and directions; rows of all lengths."""

    cell: str
    T: int
    B: int
    D: int
    H: int
    layers: int = 1
    directions: int = 1
    ragged: bool = False

    def __str__(self):
        more = f", {self.layers} layers" * (self.layers > 1) + ", bidirectional" * (self.directions > 1)
        same = f"H={self.H}" if self.D == self.H else f"D={self.D} H={self.H}"
        return f"{self.cell} T={self.T} B={self.B} {same}{more}{', ragged' * self.ragged}"

    def sizes(self, layer):
        """What a layer meets."""
        return Sizes(self.T, self.B, self.H * self.directions if layer else self.D, self.H)

    def places(self):
        """Each layer's directions, from the input up."""
        return list(itertools.product(range(self.layers), range(self.directions)))


class Entry(NamedTuple):
    """One meeting: who computes what, forward and with the way back. A training epoch has neither case nor mode."""

    part: str
    case: Case | None
    mode: str
    names: tuple

    def __str__(self):
        return f"{self.part}: {self.case}, {self.mode}" if self.case else self.part


def plan(parts=tuple(SHARES)):
    """All meetings of these parts, in the order in which they take place."""
    made = {"epoch": [Entry("epoch", None, "fp32", ("xprnn", "torch"))]}
    made |= {name: [Entry(name, *what) for what in part()] for name, part in _PARTS.items()}
    return [entry for name in SHARES if name in parts for entry in made[name]]


def ends(parts, begin, last):
    """When each of these parts ends, so that it has its share of the time and what those before it have left."""
    whole, spent, found = sum(SHARES[part] for part in parts), 0.0, {}
    for part in (part for part in SHARES if part in parts):
        spent += SHARES[part] / whole
        found[part] = begin + spent * (last - begin)
    return found


def tiny(case):
    """A case of the same kind that takes a CPU no time, None for None."""
    return case and case._replace(T=3 + (case.T > 32) + (case.T > 512), B=3, D=6, H=6)


def _square(cell, B, H, T=STEPS, **more):
    return Case(cell, T, B, H, H, **more)


def _table():
    for cell, H, B, mode in itertools.product(("LSTM", "GRU", "RNN"), HIDDEN, BATCH, FLOAT32):
        yield _square(cell, B, H), mode, ("xprnn", *("16 bit",) * (mode == "bf16"), "torch", "limit")


def _shapes():
    some = {"T": 32}, {"T": 4096}, {"layers": 2}, {"directions": 2}, {"ragged": True}
    for cell, more, mode in itertools.product(("LSTM", "GRU", "RNN"), some, FLOAT32):
        yield _square(cell, 32, 256, **more), mode, ("xprnn", "packed" if "ragged" in more else "torch")


def _packed():
    """Where torch's rule takes its kernel for small H whatever B is; a PackedSequence keeps it from that."""
    for cell, H, B in itertools.product(("LSTM", "GRU"), (128, 192), (32, 128)):
        yield _square(cell, B, H), "tf32", ("xprnn", "torch", "packed")


def _persistent():
    """Where torch takes cuDNN's persistent kernels, which it does in float16 alone."""
    for H, B in itertools.product((256, 512, 1024), (8, 32, 128)):
        yield _square("LSTM", B, H), "fp16", ("16 bit", "torch", "limit")


def _jax():
    for cell, H, B in itertools.product(("LSTM", "GRU", "RNN"), (256, 64, 1024), (32, 1)):
        yield _square(cell, B, H), "fp32", ("xprnn", "jax")


def _loop():
    corners = [_square(cell, B, H) for cell in CELLS for B, H in ((1, 64), (32, 256), (128, 1024))]
    every = [_square("LSTM", B, H) for H, B in itertools.product(HIDDEN, BATCH)]
    for case in dict.fromkeys(corners + every):
        yield case, "fp32", ("xprnn", "loop")


_PARTS = {
    "loop": _loop, "jax": _jax, "persistent": _persistent, "packed": _packed, "shapes": _shapes, "table": _table,
}  # fmt: skip
