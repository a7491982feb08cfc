"""The kernel for GPUs: the common cells over a whole sequence on CuPy arrays.

What needs no state is multiplied for all steps at once: x's part of the gates on the way there, dx and all gradients of
weights on the way back. The rest is a ``Walk``: the product with Wh, gates, masks, dropout, state and output. No sum of
ours is made in an order that could change from run to run; cuBLAS promises the same of its own while one stream is
active, and with more under CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment.
"""

from dataclasses import dataclass
from typing import Any

from ..cells import GRU, LSTM, RNN, GRUResetBefore, PeepholeLSTM, Zoneout
from ..cells.base import Cell
from ..gpu import CUPY, PRECISIONS, Device
from ..types import Array, Params
from .cuda_job import OTHERS, ROOM, STORAGES, Job, Kind, check, check_filled, copied, fit, job, rows
from .cuda_steps import STEPS
from .cuda_stream import step
from .cuda_walk import Tape, Walk, Wanted
from .record import cut_up

ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu", "identity": "Identity", "linear": "Identity"}
KINDS = {
    LSTM: Kind("Memory<false>", 4),
    PeepholeLSTM: Kind("Memory<true>", 4),
    GRU: Kind("Gated", 4, first_drive=1),
    GRUResetBefore: Kind("GatedBefore", 3, late=2),
}


@dataclass(frozen=True)
class CUDA:
    """The kernel with its options; ``accepts`` and its like are as in ``loop``.

    precision: how float32 matrices are multiplied, in PyTorch's words: "highest" exactly, "high" by TF32 operands,
               "medium" by bfloat16 ones. float64 is always exact.
    storage:   "float16" or "bfloat16" to hold x, weights, gates and their cotangents so, while states, sums and results
               stay float32; None for all in x's dtype. float16 ends at 65504 and at 6e-8: cotangents as well must fit.
    device:    what launches kernels and owns arrays.
    walk:      how it comes from step to step; it may take less than the kernel does.
    """

    precision: str = "highest"
    storage: str | None = None
    device: Device = CUPY
    walk: Walk = STEPS

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, not {self.precision!r}")
        if self.storage not in STORAGES:
            raise ValueError(f"storage is None, 'float16' or 'bfloat16', not {self.storage!r}")

    def accepts(self, cell: Cell, x: Array, mask: Array | None) -> bool:
        """Whether ``cell`` is one of the common ones, x on the device, float32 or, without storage, float64, and the
        walk runs all of that.
        """
        kind = kind_of(cell)
        if kind is None or not self.device.owns(x) or 0 in x.shape or self._dtype_refused(x):
            return False
        return not self.walk.refusal(self._wanted(cell, kind, x))

    def forward(
        self, cell: Cell, p: Params, x: Array, s: tuple, mask: Array | None, reverse: bool, tape: bool = True,
        outputs: bool = True,
    ) -> tuple[Array | None, tuple, Any]:  # fmt: skip
        """Walk x (T, B, D) from the state s -> ys (T, B, H) if ``outputs``, the last state, the tape if ``tape``."""
        kind = self._kind(cell)
        check(self.device, kind, cell.hidden, p, x, s, mask)
        self.agree(cell, x)
        (T, B, _), H, work = x.shape, cell.hidden, self._job(cell, p, x)
        if not tape:
            return self._untaped(work, x, s, mask, reverse, outputs)
        first, last = (T, 0) if reverse else (0, T)
        saved = work.many(T, B, kind.columns * H)
        flat = _drive(work, x, saved)
        h, c, seen = _begin(work, s, T + 1, first)
        reset = work.many(T, B, H) if kind.late else None
        kept = Tape(flat, mask, reverse, h, c, seen, reset, saved)
        ys = None if mask is None or not outputs else work.empty(T, B, H)
        self.walk.there(work, kept, ys)
        if outputs and ys is None:
            ys = h[:-1, ...] if reverse else h[1:, ...]
        end = tuple(copied(self.device, a[last, ...], work.empty(B, H)) for a in (h, c) if a is not None)
        return ys, end, kept if kind.saves else kept._replace(saved=None)

    def _untaped(
        self, work: Job, x: Array, s: tuple, mask: Array | None, reverse: bool, outputs: bool
    ) -> tuple[Array | None, tuple, None]:
        """``forward`` without a tape: one state, in whose place each comes, and a part of the steps at a time."""
        (T, B, _), H, kind = x.shape, s[0].shape[1], work.kind
        h, c, seen = _begin(work, s, 1, 0)
        ys, reset = work.empty(T, B, H) if outputs else None, work.many(1, B, H) if kind.late else None
        size = min(T, max(1, ROOM // (B * kind.columns * H)))
        room = work.many(size, B, kind.columns * H)
        for cut in cut_up(T, size)[:: -1 if reverse else 1]:
            saved = room[: cut.stop - cut.start, ...]
            flat = _drive(work, x[cut, ...], saved)
            part = None if mask is None else mask[cut, ...]
            made = None if ys is None else ys[cut, ...]
            self.walk.there(work, Tape(flat, part, reverse, h, c, seen, reset, saved), made)
        return ys, tuple(a[0, ...] for a in (h, c) if a is not None), None

    def step(self, cell: Cell, p: Params, x: Array, s: tuple) -> tuple[Array, tuple]:
        """One step x (B, D) from the state s, without a mask or a tape -> y (B, H), its own array, the next state.

        It is exact whatever the precision, and takes the weights as they are whatever the storage.
        """
        kind = self._kind(cell)
        check(self.device, kind, cell.hidden, p, x, s)
        return step(self.device, kind, p, x, s)

    def backward(
        self, cell: Cell, p: Params, tape: Tape, dys: Array | None, ds: tuple, inputs: bool = True
    ) -> tuple[Array | None, tuple, Params]:
        """Walk back from the cotangents of ys (None: zero) and of the last state -> dx if ``inputs``, ds, dp."""
        (states, B, H), work = tape.h.shape, self._job(cell, p, tape.h)
        T, kind, features = states - 1, work.kind, tape.x.shape[1]
        if dys is not None:
            fit(self.device, "dys", dys, (T, B, H), tape.h.dtype)
        for a in ds:
            fit(self.device, "ds", a, (B, H), tape.h.dtype)
        d = work.many(T, B, kind.columns * H)
        before = self.walk.back(work, tape, p["Wh"], dys, ds, d)
        flat = rows(d)
        driven = flat[:, kind.first_drive * H : kind.sums * H]
        dx = work.empty(T, B, features + kind.zones * H) if inputs else None
        if dx is not None:
            work.multiply(driven, work.Wx.T, rows(dx)[:, :features])
        if dx is not None and kind.zones:
            work.load(flat[:, kind.sums * H :], rows(dx)[:, features:])
        dp = {name: work.empty(*value.shape) for name, value in p.items() if name != "keep"}
        work.multiply(tape.x.T, driven, dp["Wx"])
        old = slice(1, states) if tape.reverse else slice(0, T)
        seen = rows((tape.h if tape.seen is None else tape.seen)[old, ...])
        for source, target, takes_reset in kind.recurrent_blocks(H):
            left = rows(tape.reset) if takes_reset else seen
            work.multiply(left.T, flat[:, source], dp["Wh"][:, target])
        _sums(work, tape, flat, dp)
        return dx, before, dp

    def _job(self, cell: Cell, p: Params, x: Array) -> Job:
        return job(self.device, self._kind(cell), self.precision, self.storage, p, x)

    def agree(self, cell: Cell, x: Array) -> None:
        """Raise TypeError or ValueError with what was met unless the cell can be run on x, an array of the device's."""
        kind = self._kind(cell)
        check_filled(x)
        if self._dtype_refused(x):
            room = "float32 or float64" if self.storage is None else f"float32 where it is stored as {self.storage}"
            raise TypeError(f"x holds numbers of dtype {x.dtype}, and the kernel for GPUs takes {room}")
        met = self.walk.refusal(self._wanted(cell, kind, x))
        if met:
            raise ValueError(f"{self.walk.runs}, not {met}; kernel='cuda' would run it")

    def _dtype_refused(self, x: Array) -> bool:
        return x.dtype.char not in ("fd" if self.storage is None else "f")

    def _wanted(self, cell: Cell, kind: Kind, x: Array) -> Wanted:
        return Wanted(self.device, cell, kind, x.dtype, self.precision, self.storage, x.shape[-2])

    def _kind(self, cell: Cell) -> Kind:
        kind = kind_of(cell)
        if kind is None:
            raise TypeError(f"the kernel for GPUs does not run {cell}; {OTHERS}")
        return kind


def _begin(work: Job, s: tuple, states: int, first: int) -> tuple[Array, Array | None, Array | None]:
    """Room for so many states h, c, and h as the products see it where that is another array, with s as the first."""
    h, *c = (work.empty(states, *a.shape) for a in s)
    for room, a in zip((h, *c), s, strict=True):
        copied(work.device, a, room[first, ...])
    seen = None
    if work.keep is not None or work.storage is not None:
        seen = work.many(states, *s[0].shape)
        work.store(h[first, ...], seen[first, ...], work.keep)
    return h, c[0] if c else None, seen


def _drive(work: Job, x: Array, saved: Array) -> Array:
    """x's part of the sums, and what zoneout does, into ``saved``; x's features as they are stored, (T·B, D)."""
    kind, (D, _), H = work.kind, work.Wx.shape, work.Wh.shape[0]
    flat, out = rows(work.stored(x))[:, :D], rows(saved)
    work.multiply(flat, work.Wx, out[:, kind.first_drive * H : kind.sums * H])
    if kind.zones:
        work.store(x[:, :, D:], out[:, kind.sums * H :])
    return flat


def _sums(work: Job, tape: Tape, flat: Array, dp: Params) -> None:
    """The gradients of what nothing is multiplied with: biases and peepholes, summed over all steps and rows."""
    T, H = tape.h.shape[0] - 1, tape.h.shape[2]
    for name in dp.keys() & {"b", "bx"}:
        work.sum_rows(flat[:, work.kind.first_drive * H : work.kind.sums * H], None, dp[name])
    if "bh" in dp:
        for source, target, _ in work.kind.recurrent_blocks(H):
            work.sum_rows(flat[:, source], None, dp["bh"][target])
    if "Wc" in dp:
        low, high = rows(tape.c[:T, ...]), rows(tape.c[1:, ...])  # type: ignore[index]
        old, new = (high, low) if tape.reverse else (low, high)
        for n, (gate, c) in enumerate(((0, old), (1, old), (3, new))):
            work.sum_rows(flat[:, gate * H : (gate + 1) * H], c, dp["Wc"][n * H : (n + 1) * H])


def kind_of(cell: Cell) -> Kind | None:
    """How the sources run a cell; a class of the user's own, even a subclass, they do not."""
    if type(cell) is Zoneout:
        inner, zones = kind_of(cell.cell), len(cell.rates)
        if inner is None or type(cell.cell) is PeepholeLSTM:  # whose gradient needs a c that no state is
            return None
        return inner._replace(cell=f"Zoned<{inner.cell}>", columns=inner.columns + zones, saves=True, zones=zones)
    if type(cell) is RNN:
        name = ACTIVATIONS.get(cell.activation)
        return Kind(f"Elman<{name}>", 1, saves=False) if name else None
    return KINDS.get(type(cell))
