"""The kernel for CPUs: the common cells over a whole sequence in compiled code, on NumPy arrays and torch CPU tensors.

Weights are packed once a call, the input's products are made for many steps at once, and those of a step go through
their gates while they are still in a cache. Threads split the rows of the batch, and each walks the whole sequence. A
single row of many units (about 60 of an LSTM or a GRU, 180 of an RNN, in float32 with AVX-512; never of a GRU with the
reset gate before the product) is walked forward by two, each with half of them, which meet at every step; where that is
slower, as beside other processes, one goes on alone. For a given number of threads results are the same from run to
run; with another number the gradients of the parameters are summed in another order, and the last bits of all results
may differ.

XPRNN_NATIVE=0 in the environment leaves it out, when xprnn is installed as when it is imported.
"""

import atexit
import importlib
import os
import sys
from collections.abc import Callable, Iterable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import array_api_compat

from ..arrays import is_numpy, namespace
from ..cells import GRU, LSTM, RNN, GRUResetBefore, PeepholeLSTM
from ..cells.base import Cell
from ..types import Array, Params, Step

First = TypeVar("First")
Second = TypeVar("Second")


MOST_THREADS = 2**15
"""More are never asked for, whatever is said."""


def _loaded() -> tuple[ModuleType | None, str]:
    """The compiled module, or None and why it is not there."""
    if os.environ.get("XPRNN_NATIVE") == "0":
        return None, "XPRNN_NATIVE=0 in the environment leaves it out"
    try:
        native = importlib.import_module("._native", __package__)
    except ModuleNotFoundError:
        return None, "no compiler built it when xprnn was installed"
    atexit.register(native.end)
    return native, ""


def _threads() -> tuple[int, str]:
    """How many threads are taken if nothing else is said, and why so many."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if said.isascii() and said.isdigit() and int(said) > 0:
        return min(int(said), MOST_THREADS), "as OMP_NUM_THREADS says"
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return cores, "as many as there are cores"


_native: Any
_native, MISSING = _loaded()
INSTRUCTIONS: tuple[str, ...] = tuple(_native.instruction_sets()) if _native else ()
"""The instruction sets that this machine has and the kernel was built for, the fastest first; none if it was not."""
THREADS, THREADS_REASON = _threads()

WORTH_A_THREAD = 16_000_000
"""From so many multiplications on, about a millisecond, the other direction is walked on a thread of its own."""

# The order is that of Kind in interface.h.
ACTIVATIONS = {"tanh": 0, "relu": 1, "identity": 2, "linear": 2}
KINDS = {LSTM: 3, PeepholeLSTM: 4, GRU: 5, GRUResetBefore: 6}


class Tape(NamedTuple):
    """What the walk back needs: the input, the mask, the direction, h between all steps, and what each step saved."""

    x: Array
    mask: Array | None
    reverse: bool
    states: Array
    saved: Array


@dataclass(frozen=True)
class CPU:
    """The kernel with a number of threads and an instruction set; ``accepts`` and its like are as in ``loop``.

    threads:      at most so many; None is what OMP_NUM_THREADS says, or else as many as there are cores to run on. A
                  small problem, or a batch of few rows, takes fewer.
    instructions: one of ``INSTRUCTIONS``; None is the first.
    """

    threads: int | None = None
    instructions: str | None = None

    def __post_init__(self) -> None:
        whole = isinstance(self.threads, Integral) and not isinstance(self.threads, bool)
        if self.threads is not None and not (whole and self.threads >= 1):
            raise ValueError(f"threads is a whole number, 1 or more, or None, not {self.threads!r}")

    def accepts(self, cell: Cell, x: Array, mask: Array | None) -> bool:
        """Whether ``cell`` is one of the common ones, and x an array in this machine's memory, float32 or float64."""
        return bool(INSTRUCTIONS) and _kind(cell) is not None and _readable(x) and 0 not in x.shape

    def forward(
        self, cell: Cell, p: Params, x: Array, s: tuple, mask: Array | None, reverse: bool, tape: bool = True,
        outputs: bool = True,
    ) -> tuple[Array | None, tuple, Any]:  # fmt: skip
        """Walk x (T, B, D) from the state s -> ys (T, B, H) if ``outputs``, the last state, the tape if ``tape``."""
        (T, B, _), H, empty = x.shape, cell.hidden, _allocator(x)
        end = tuple([empty((B, H)) for _ in s])
        states = empty((T + 1, B, H)) if tape else None
        saved = empty((T, B, self._saved_width(cell, x))) if tape else None
        ys = None if not outputs or (tape and mask is None) else empty((T, B, H))
        arrays = (x, mask, *_weights(p), *_pair(s), *_pair(end), ys, states, saved)
        _native.forward(*self._numbers(cell, x, reverse), *_buffers(x, arrays))
        if not tape:
            return ys, end, None
        if outputs and ys is None:
            ys = states[:-1, ...] if reverse else states[1:, ...]  # type: ignore[index]
        return ys, end, Tape(x, mask, reverse, states, saved)

    def step(self, cell: Cell, p: Params, x: Array, s: tuple) -> tuple[Array, tuple]:
        """One step x (B, D) from the state s -> y (B, H), an array of its own, the next state."""
        return self.stepper(cell, x)(p, x, s)

    def stepper(self, cell: Cell, like: Array) -> Step:
        """``step`` as a function of p, x and s, for as many rows of the same library and precision as ``like`` has.

        It is all that a stream waits for: what is known before the step is found out here.
        """
        if not is_numpy(like):
            return _shared(self.stepper(cell, _viewed(like)), namespace(like).from_numpy)
        instructions, kind, hidden, memory = self._instructions(), _kind(cell), cell.hidden, len(cell.state_sizes) > 1
        empty, shape, dtype = namespace(like).empty, (like.shape[0], hidden), like.dtype

        def step(p: Params, x: Array, s: tuple) -> tuple[Array, tuple]:
            y, h, c = empty(shape, dtype), empty(shape, dtype), empty(shape, dtype) if memory else None
            _native.step(instructions, kind, hidden, x, None, *_weights(p), *_pair(s), y, h, c)
            return y, (h, c) if memory else (h,)

        return step

    def backward(
        self, cell: Cell, p: Params, tape: Tape, dys: Array | None, ds: tuple, inputs: bool = True
    ) -> tuple[Array | None, tuple, Params]:
        """Walk back from the cotangents of ys (None: zero) and of the last state -> dx if ``inputs``, ds, dp."""
        x, mask, reverse, states, saved = tape
        empty = _allocator(x)
        dx, begin = empty(x.shape) if inputs else None, tuple([empty((x.shape[1], cell.hidden)) for _ in ds])
        dp = {name: empty(value.shape) for name, value in p.items() if name != "keep"}
        # The kernel sums the gates' cotangents for both biases; where there is none, it needs a place for them.
        dbx, dbh = [empty(p["Wx"].shape[1:]) if d is None else d for d in (dp.get("bx", dp.get("b")), dp.get("bh"))]
        gradients = (dp["Wx"], dp["Wh"], dbx, dbh, dp.get("Wc"))
        arrays = (x, mask, *_weights(p), states, saved, dys, *_pair(ds), dx, *_pair(begin), *gradients)
        _native.backward(*self._numbers(cell, x, reverse), *_buffers(x, arrays))
        return dx, begin, dp

    def both(self, first: Callable[[], First], second: Callable[[], Second]) -> tuple[First, Second]:
        """What the two give, on two threads at once; the first one's error if both raise."""
        return _native.both(partial(copy_context().run, first), partial(copy_context().run, second))

    def spares(self, cell: Cell, p: Params, x: Array) -> bool:
        """Whether a walk over x (B, T, D) is long, and leaves a thread without work, as that over a single row does."""
        if x.ndim != 3 or x.shape[0] != 1 or (self.threads or THREADS) < 2 or not is_numpy(x):
            return False
        return self.accepts(cell, x, None) and x.shape[1] * (p["Wx"].size + p["Wh"].size) >= WORTH_A_THREAD

    def _numbers(self, cell: Cell, x: Array, reverse: bool) -> tuple:
        """What both ways begin with, in the order of ``Place`` in module.cpp."""
        threads = min(self.threads or THREADS, MOST_THREADS)
        return self._instructions(), _kind(cell), threads, reverse, _format(x), *x.shape, cell.hidden

    def _instructions(self) -> str:
        return self.instructions or INSTRUCTIONS[0]

    def _saved_width(self, cell: Cell, x: Array) -> int:
        return _native.saved_width(self._instructions(), _kind(cell), _format(x), cell.hidden)


def _shared(step: Step, tensor: Callable[[Array], Array]) -> Step:
    """A step of NumPy arrays as one of torch's tensors, which share their memory."""

    def of_tensors(p: Params, x: Array, s: tuple) -> tuple[Array, tuple]:
        y, end = step({name: _viewed(a) for name, a in p.items()}, _viewed(x), tuple(map(_viewed, s)))
        return tensor(y), tuple([tensor(a) for a in end])

    return of_tensors


def _kind(cell: Cell) -> int | None:
    """The number of a cell's kind; a class of the user's own, even a subclass, has none."""
    return ACTIVATIONS.get(cell.activation) if type(cell) is RNN else KINDS.get(type(cell))


def _readable(x: Array) -> bool:
    """Whether x is floating in a precision that there is code for, and in memory that can be handed over."""
    if is_numpy(x):
        return x.dtype.char in "fd" and x.dtype.isnative
    if not array_api_compat.is_torch_array(x):
        return False
    return x.device.type == "cpu" and not x.requires_grad and str(x.dtype) in ("torch.float32", "torch.float64")


def _format(x: Array) -> int:
    """The letter of x's numbers in the buffer protocol."""
    return ord("f" if x.dtype.itemsize == 4 else "d")


def _allocator(x: Array) -> Callable[[tuple[int, ...]], Array]:
    """A function of a shape that makes an array of x's kind."""
    return partial(namespace(x).empty, dtype=x.dtype, device="cpu")  # torch may be told of another by default


def _weights(p: Params) -> tuple:
    return p["Wx"], p["Wh"], p.get("bx", p.get("b")), p.get("bh"), p.get("Wc"), p.get("keep")


def _pair(leaves: tuple) -> tuple:
    """h and c of a state, None where there is no c."""
    return leaves if len(leaves) == 2 else (*leaves, None)


def _buffers(x: Array, arrays: tuple) -> Iterable[Array | None]:
    """The arrays as what exports a buffer."""
    return arrays if is_numpy(x) else (a if a is None else _viewed(a) for a in arrays)


def _viewed(tensor: Array) -> Array:
    """The NumPy array that shares the memory of a torch tensor; a lazily negated one is negated first."""
    return tensor.resolve_neg().numpy()
