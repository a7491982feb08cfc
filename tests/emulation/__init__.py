"""A device that runs the CUDA sources of the package on the CPU, over NumPy arrays."""

import itertools
from dataclasses import dataclass, field

import numpy as np

from xprnn.gpu.device import check_room, check_shared
from xprnn.gpu.sources import source

from .build import MISSING, built
from .memory import Struct, run
from .order import Order, arrays_of
from .products import Products
from .recorder import Recorder

__all__ = ["MISSING", "Emulated"]

MOST_SHARED = {80: 163 << 10, 90: 227 << 10}
"""The bytes of shared memory that a block can be given, by the compute capability."""


@dataclass(frozen=True)
class Emulated:
    """A ``Device`` over NumPy arrays.

    seed:       decides the order of threads, another for each launch.
    edits:      (file, old, new), which damage what is compiled of a file.
    generation: the compute capability that it shows.
    blocks:     how many blocks of a kernel are there at once.

    Fresh arrays are full of NaN, and there is a margin of NaN around each array that a kernel is given: a kernel that
    writes there raises, and what it reads there is seen in its results.
    """

    seed: int = 0
    edits: tuple[tuple[str, str, str], ...] = ()
    generation: int = 90
    blocks: int = 132
    launches: itertools.count = field(default_factory=itertools.count, compare=False, repr=False)
    order: Order = field(default_factory=Order, compare=False, repr=False)
    recorder: Recorder = field(default_factory=Recorder, compare=False, repr=False)

    def owns(self, x):
        return type(x) is np.ndarray

    def empty(self, shape, dtype):
        dtype = np.dtype(dtype)
        self.recorder.refuse("an array is made")
        return self.order.made(np.full(shape, {"f": np.nan, "b": True}.get(dtype.kind) or np.iinfo(dtype).max, dtype))

    def struct(self, values):
        return Struct(values)

    def kernel(self, file, name, defines=(), shared=0, together=False):
        function = built(edited(file, self.edits), defines)[f"run_{name}"]
        check_shared(name, shared, MOST_SHARED[self.generation])

        def launch(blocks, threads, arguments):
            if together:
                check_room(name, blocks, threads, shared, self.room(file, name, defines, threads, shared))
            self.recorder.do(once, blocks, threads, arguments)

        def once(blocks, threads, arguments):
            seed = self.seed * 1_000_003 + next(self.launches)
            what = f"{name} of {file}"
            given = what, function, arguments, blocks, threads, seed, shared, together
            self.order.do(what, arrays_of(arguments), run, *given)

        return launch

    def room(self, file, name, defines, threads, shared=0):
        return self.blocks if shared <= MOST_SHARED[self.generation] else 0

    def architecture(self):
        return self.generation

    def read(self, a):
        return a.tolist()

    def product(self, precision="highest"):
        return Products(precision, self)

    def record(self, bind, precision="highest"):
        return self.recorder.record(bind(Products(precision, self, True)))

    def mark(self):
        return self.order.mark()

    def beside(self, function):
        return self.order.beside(function)

    def place(self):
        return 0, self.order.lane > 0


def edited(file, edits):
    """The text of a source after the edits that are meant for it; each must find what it changes."""
    text = source(file)
    for name, old, new in edits:
        if name == file:
            assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
            text = text.replace(old, new)
    return text
