"""The kernel for the layer-normalized LSTM on GPUs.

What needs no state is multiplied and normalized for all steps at once; the rest is a ``NormWalk``. All sums are made
in a fixed order.
"""

from dataclasses import dataclass
from typing import Any

from ..cells import LayerNormLSTM
from ..cells.base import Cell
from ..gpu import CUPY, Device
from ..types import Array, Params
from .cuda_job import OTHERS, Job, check, check_filled, copied, dense, fit, job, or_null, rows
from .cuda_norm_steps import NormSteps, launcher, threads
from .cuda_norm_walk import KIND, Cotangents, Gains, NormWalk, Tape
from .cuda_walk import Wanted

STEPS = NormSteps()


@dataclass(frozen=True)
class CUDANorm:
    """The kernel on a device, how it multiplies float32 matrices, and how it comes from step to step.

    ``accepts`` and its like are as in ``loop``.
    """

    precision: str = "highest"
    device: Device = CUPY
    walk: NormWalk = STEPS

    def accepts(self, cell: Cell, x: Array, mask: Array | None) -> bool:
        """Whether ``cell`` is a ``LayerNormLSTM``, x on the device, float32 or float64, and the walk runs that."""
        if type(cell) is not LayerNormLSTM or not self.device.owns(x) or 0 in x.shape or x.dtype.char not in "fd":
            return False
        return not self.walk.refusal(self._wanted(cell, x))

    def agree(self, cell: Cell, x: Array) -> None:
        """Raise TypeError or ValueError with what was met unless the cell can be run on x, an array of the device's."""
        _own(cell)
        check_filled(x)
        if x.dtype.char not in "fd":
            raise TypeError(f"x holds numbers of dtype {x.dtype}, and the kernel for GPUs takes float32 or float64")
        met = self.walk.refusal(self._wanted(cell, x))
        if met:
            raise ValueError(f"{self.walk.runs}, not {met}; kernel='norm' would run it")

    def forward(
        self, cell: Cell, p: Params, x: Array, s: tuple, mask: Array | None, reverse: bool, tape: bool = True,
        outputs: bool = True,
    ) -> tuple[Array | None, tuple, Any]:  # fmt: skip
        """Walk x (T, B, D) from the state s -> ys (T, B, H) if ``outputs``, the last state, the tape if ``tape``."""
        cell, work = self._begin(cell, p, x, s, mask)
        self.agree(cell, x)
        (T, B, _), H = x.shape, cell.hidden
        states, first, last = (1, 0, 0) if not tape else (T + 1, T, 0) if reverse else (T + 1, 0, T)
        flat, gains, gates = rows(dense(self.device, x)), self._gains(cell, p), work.empty(T, B, 4 * H)
        work.multiply(flat, work.Wx, rows(gates))
        drive = (4 * H, cell.epsilon, gates, gains.gx, or_null(work.bx), gates)
        launcher(work)("normalize_rows")(T * B, threads(H), drive)
        h, c = (work.empty(states, B, H) for _ in s)
        seen = None if work.keep is None else work.empty(states, B, H)
        for a, room in zip(s, (h, c), strict=True):
            copied(self.device, a, room[first, ...])
        if seen is not None:
            work.store(h[first, ...], seen[first, ...], work.keep)
        v, norms = (work.empty(T, B, 4 * H), work.empty(T, B, 4)) if tape else (None, None)
        ys = work.empty(T, B, H) if outputs and (mask is not None or not tape) else None
        kept = Tape(flat, mask, reverse, h, c, seen, gates, v, norms)
        self.walk.there(work, gains, kept, ys)
        if outputs and ys is None:
            ys = h[:-1, ...] if reverse else h[1:, ...]
        end = tuple(copied(self.device, a[last, ...], work.empty(B, H)) for a in (h, c))
        return ys, end, kept if tape else None

    def step(self, cell: Cell, p: Params, x: Array, s: tuple) -> tuple[Array, tuple]:
        """One step x (B, D) from the state s, without a mask or a tape -> y (B, H), its own array, the next state."""
        by_steps = CUDANorm(self.precision, self.device)
        ys, end, _ = by_steps.forward(cell, p, x[None, ...], s, None, False, False)
        return ys[0, ...], end  # type: ignore[index]

    def backward(
        self, cell: Cell, p: Params, tape: Tape, dys: Array | None, ds: tuple, inputs: bool = True
    ) -> tuple[Array | None, tuple, Params]:
        """Walk back from the cotangents of ys (None: zero) and of the last state -> dx if ``inputs``, ds, dp."""
        cell, work, (states, B, H) = _own(cell), job(self.device, KIND, self.precision, None, p, tape.h), tape.h.shape
        T, gains = states - 1, self._gains(cell, p)
        if dys is not None:
            fit(self.device, "dys", dys, (T, B, H), tape.h.dtype)
        for a in ds:
            fit(self.device, "ds", a, (B, H), tape.h.dtype)
        d = Cotangents(work.empty(T, B, 4 * H), work.empty(T, B, 4 * H), work.empty(T, B, H))
        before = self.walk.back(work, gains, tape, dys, ds, d)
        dp = {name: work.empty(*a.shape) for name, a in p.items() if name != "keep"}
        return _hoisted(work, gains, tape, d, dp, inputs), before, dp

    def _begin(self, cell: Cell, p: Params, x: Array, s: tuple, mask: Array | None) -> tuple[LayerNormLSTM, Job]:
        """The cell and the job, after a look at all that is given."""
        cell = _own(cell)
        H = cell.hidden
        own = {"gx": (4 * H,), "gh": (4 * H,), "gc": (H,), "bc": (H,)}
        check(self.device, KIND, H, {name: a for name, a in p.items() if name not in own}, x, s, mask)
        for name in own.keys() & p.keys():
            fit(self.device, name, p[name], own[name], x.dtype)
        return cell, job(self.device, KIND, self.precision, None, p, x)

    def _gains(self, cell: LayerNormLSTM, p: Params) -> Gains:
        gx, gh, gc, bc = (dense(self.device, p[name]) if name in p else 0 for name in ("gx", "gh", "gc", "bc"))
        return Gains(gx, gh, gc, bc, cell.epsilon)

    def _wanted(self, cell: Cell, x: Array) -> Wanted:
        return Wanted(self.device, cell, KIND, x.dtype, self.precision, None, x.shape[-2])


def _hoisted(work: Job, gains: Gains, tape: Tape, d: Cotangents, dp: Params, inputs: bool) -> Array | None:
    """What needs no state, for all steps at once: dx, if wanted, and all gradients of parameters into ``dp``."""
    (T, B, H), (N, D) = d.dm.shape, tape.x.shape
    launch, width, epsilon = launcher(work), threads(H), gains.epsilon
    n, du, dx = work.empty(N, 4 * H), work.empty(N, 4 * H), work.empty(T, B, D) if inputs else None
    work.multiply(tape.x, work.Wx, n)
    launch("normalize_rows_back")(N, width, (4 * H, epsilon, gains.gx, d.dz, n, du))
    if dx is not None:
        work.multiply(du, work.Wx.T, rows(dx))
    work.multiply(tape.x.T, du, dp["Wx"])
    old, new = (slice(1, T + 1), slice(0, T)) if tape.reverse else (slice(0, T), slice(1, T + 1))
    work.multiply(rows((tape.h if tape.seen is None else tape.seen)[old, ...]).T, rows(d.dv), dp["Wh"])
    work.sum_rows(rows(d.dz), n, dp["gx"])
    launch("normalize_rows")(N, width, (4 * H, epsilon, or_null(tape.v), 0, 0, n))
    work.sum_rows(rows(d.dz), n, dp["gh"])
    inner = work.empty(N, H)
    launch("normalize_rows")(N, width, (H, epsilon, tape.c[new, ...], 0, 0, inner))
    work.sum_rows(rows(d.dm), inner, dp["gc"])
    if "b" in dp:
        work.sum_rows(rows(d.dz), None, dp["b"])
        work.sum_rows(rows(d.dm), None, dp["bc"])
    return dx


def _own(cell: Cell) -> LayerNormLSTM:
    if type(cell) is not LayerNormLSTM:
        raise TypeError(f"the kernel for the layer-normalized LSTM on GPUs does not run {cell}; {OTHERS}")
    return cell
