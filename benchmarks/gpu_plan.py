"""What the GPU benchmark computes: which networks, in which arithmetic, by whom, and in what order.

A part's time may end before its meetings do, so those that tell the most come first, and all cells at one size.
"""

import itertools
from typing import NamedTuple

from cases import Sizes

from xprnn.kernels import NORM_WALKS, WALKS

CELLS = ("LSTM", "GRU", "RNN")  # the most used first
HIDDEN = (256, 64, 1024, 512, 128, 192)  # those between others last
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
SHARES = {
    "epoch": 0.09, "loop": 0.07, "norm": 0.04, "jax": 0.1, "persistent": 0.05, "packed": 0.05, "shapes": 0.18,
    "table": 0.42,
}  # fmt: skip


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


def walks(case):
    """xprnn's kernels that run where they are named, in the cases that each is for."""
    units = {"cluster": range(1, 513), "grid": range(512, 1281)}
    there = NORM_WALKS if case.cell == "LayerNormLSTM" else WALKS
    return tuple(name for name in there if name not in units or case.H in units[name])


def _square(cell, B, H, T=STEPS, **more):
    return Case(cell, T, B, H, H, **more)


def _table():
    """Meetings of one cell and H are together, as they have one exam."""
    for H, cell, B, mode in itertools.product(HIDDEN, CELLS, BATCH, FLOAT32):
        case = _square(cell, B, H)
        yield case, mode, ("xprnn", *walks(case), *("16 bit",) * (mode == "bf16"), "torch", "limit")


def _shapes():
    some = {"layers": 2}, {"directions": 2}, {"ragged": True}, {"T": 32}, {"T": 4096}
    for more, cell, mode in itertools.product(some, CELLS, FLOAT32):
        case = _square(cell, 32, 256, **more)
        streams = ("xprnn on 2 streams", "cluster on 2 streams") * (case.layers * case.directions > 1)
        yield case, mode, ("xprnn", *walks(case), *streams, "packed" if case.ragged else "torch")


def _packed():
    """Where torch's rule takes its kernel for small H whatever B is; a PackedSequence keeps it from that."""
    for H, cell, B in itertools.product((128, 192), ("LSTM", "GRU"), (32, 128)):
        yield _square(cell, B, H), "tf32", ("xprnn", "torch", "packed")


def _persistent():
    """Where torch takes cuDNN's persistent kernels, which it does in float16 alone."""
    for H, B in itertools.product((256, 512, 1024), (8, 32, 128)):
        yield _square("LSTM", B, H), "fp16", ("16 bit", "torch", "limit")


def _norm():
    """What cuDNN has not; the loop, which takes long, at the first size alone."""
    for H, mode, B in itertools.product((256, 512, 128), FLOAT32, (32, 1)):
        case = _square("LayerNormLSTM", B, H)
        yield case, mode, ("xprnn", *walks(case), *("loop",) * (mode == "fp32" and H == 256))


def _jax():
    for H, cell, B in itertools.product((256, 64, 1024), CELLS, (32, 1)):
        yield _square(cell, B, H), "fp32", ("xprnn", "jax")


def _loop():
    """With fewer steps: the loop takes long, and as long for each."""
    corners = [_square(cell, B, H, 128) for B, H in ((32, 256), (1, 64), (128, 1024)) for cell in CELLS]
    every = [_square("LSTM", B, H, 128) for H, B in itertools.product(HIDDEN, BATCH)]
    for case in dict.fromkeys(corners + every):
        yield case, "fp32", ("xprnn", "loop")


_PARTS = {
    "loop": _loop, "norm": _norm, "jax": _jax, "persistent": _persistent, "packed": _packed, "shapes": _shapes,
    "table": _table,
}  # fmt: skip
