"""The kernel for the layer-normalized LSTM on GPUs: one product and one launch a step, a block of threads for each row.

What needs no state is multiplied and normalized for all steps at once. All sums are made in a fixed order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..cells import LayerNormLSTM
from ..cells.base import Cell
from ..gpu import CUPY, Device, Launch, real
from ..types import Array, Params
from .cuda_job import Job, Kind, check, copied, dense, fit, job, or_null, rows

KIND = Kind("", 4)
MOST = 256
"""The threads of a block, which has a row, at most."""


class Tape(NamedTuple):
    """What the walk back needs: x (T·B, D), mask, order, T + 1 states, h as products see it, gates, h Wh."""

    x: Array
    mask: Array | None
    reverse: bool
    h: Array
    c: Array
    seen: Array | None
    gates: Array
    v: Array


@dataclass(frozen=True)
class CUDANorm:
    """The kernel on a device, and how it multiplies float32 matrices; ``accepts`` and its like are as in ``loop``."""

    precision: str = "highest"
    device: Device = CUPY

    def accepts(self, cell: Cell, x: Array, mask: Array | None) -> bool:
        """Whether ``cell`` is a ``LayerNormLSTM``, and x on the device, float32 or float64."""
        return type(cell) is LayerNormLSTM and self.device.owns(x) and 0 not in x.shape and x.dtype.char in "fd"

    def forward(
        self, cell: Cell, p: Params, x: Array, s: tuple, mask: Array | None, reverse: bool, tape: bool = True
    ) -> tuple[Array, tuple, Any]:
        """Walk x (T, B, D) from the state s -> ys (T, B, H), the last state, the tape (None unless ``tape``)."""
        cell, work = self._begin(cell, p, x, s, mask)
        (T, B, _), H = x.shape, cell.hidden
        first, last = (T, 0) if reverse else (0, T)
        flat, gates = rows(dense(self.device, x)), work.empty(T, B, 4 * H)
        work.multiply(flat, work.Wx, rows(gates))
        gx, gh, gc, bc = self._gains(p)
        launch, width = _launcher(work), _width(H)
        launch("normalize_rows")(T * B, width, (4 * H, cell.epsilon, gates, gx, or_null(work.bx), gates))
        h, c = (work.empty(T + 1, B, H) for _ in s)
        seen = None if work.keep is None else work.empty(T + 1, B, H)
        for a, room in zip(s, (h, c), strict=True):
            copied(self.device, a, room[first, ...])
        if seen is not None:
            work.store(h[first, ...], seen[first, ...], work.keep)
        product, v = work.empty(B, 4 * H), work.empty(T, B, 4 * H) if tape else None
        ys = None if mask is None else work.empty(T, B, H)
        multiply = work.multiply.each(h if seen is None else seen, work.Wh, product)
        run = launch("norm_step")
        given = (gates, product, or_null(v), gh, gc, bc, or_null(work.keep), *work.strided(mask), h, c)
        outputs = or_null(seen), or_null(ys)
        for t in range(T)[:: -1 if reverse else 1]:
            before, after = (t + 1, t) if reverse else (t, t + 1)
            multiply(before)
            run(B, width, (t, before, after, B, H, cell.epsilon, *given, *outputs))
        if ys is None:
            ys = h[:-1, ...] if reverse else h[1:, ...]
        end = tuple(copied(self.device, a[last, ...], work.empty(B, H)) for a in (h, c))
        return ys, end, None if v is None else Tape(flat, mask, reverse, h, c, seen, gates, v)

    def step(self, cell: Cell, p: Params, x: Array, s: tuple) -> tuple[Array, tuple]:
        """One step x (B, D) from the state s, without a mask or a tape -> y (B, H), its own array, the next state."""
        ys, end, _ = self.forward(cell, p, x[None, ...], s, None, False, False)
        return ys[0, ...], end

    def backward(self, cell: Cell, p: Params, tape: Tape, dys: Array | None, ds: tuple) -> tuple[Array, tuple, Params]:
        """Walk back from the cotangents of ys (None: zero) and of the last state -> dx, ds, dp."""
        epsilon, work = _own(cell).epsilon, job(self.device, KIND, self.precision, None, p, tape.h)
        dz, dv, dm, before = self._walk_back(epsilon, p, work, tape, dys, ds)
        (T, B, H), D, N = dm.shape, tape.x.shape[1], tape.x.shape[0]
        gx, launch, width = self._gains(p)[0], _launcher(work), _width(H)
        n, du = work.empty(N, 4 * H), work.empty(N, 4 * H)
        work.multiply(tape.x, work.Wx, n)
        launch("normalize_rows_back")(N, width, (4 * H, epsilon, gx, dz, n, du))
        dx, dp = work.empty(T, B, D), {name: work.empty(*a.shape) for name, a in p.items() if name != "keep"}
        work.multiply(du, work.Wx.T, rows(dx))
        work.multiply(tape.x.T, du, dp["Wx"])
        old, new = (slice(1, T + 1), slice(0, T)) if tape.reverse else (slice(0, T), slice(1, T + 1))
        work.multiply(rows((tape.h if tape.seen is None else tape.seen)[old, ...]).T, rows(dv), dp["Wh"])
        work.sum_rows(rows(dz), n, dp["gx"])
        launch("normalize_rows")(N, width, (4 * H, epsilon, tape.v, 0, 0, n))
        work.sum_rows(rows(dz), n, dp["gh"])
        inner = work.empty(N, H)
        launch("normalize_rows")(N, width, (H, epsilon, tape.c[new, ...], 0, 0, inner))
        work.sum_rows(rows(dm), inner, dp["gc"])
        if "b" in p:
            work.sum_rows(rows(dz), None, dp["b"])
            work.sum_rows(rows(dm), None, dp["bc"])
        return dx, before, dp

    def _walk_back(
        self, epsilon: float, p: Params, work: Job, tape: Tape, dys: Array | None, ds: tuple
    ) -> tuple[Array, Array, Array, tuple]:
        """The cotangents of the gates' sums, of h Wh, of what bends to h, and of the first state."""
        (states, B, H), (_, gh, gc, bc) = tape.h.shape, self._gains(p)
        T = states - 1
        if dys is not None:
            fit(self.device, "dys", dys, (T, B, H), tape.h.dtype)
        for a in ds:
            fit(self.device, "ds", a, (B, H), tape.h.dtype)
        dz, dv, dm, through = (work.empty(*shape) for shape in ((T, B, 4 * H), (T, B, 4 * H), (T, B, H), (B, H)))
        dh, dc = (dense(self.device, a) for a in ds)
        new_dh, new_dc = before = work.empty(B, H), work.empty(B, H)
        multiply = work.multiply.each(dv, work.Wh.T, through)
        run, width, arriving = _launcher(work)("norm_step_back"), _width(H), 0
        given = (tape.gates, tape.v, gh, gc, bc, or_null(work.keep), *work.strided(tape.mask), tape.c)
        above = work.strided(dys)
        for t in range(T)[:: 1 if tape.reverse else -1]:
            now, after = (t + 1, t) if tape.reverse else (t, t + 1)
            states_and_sums = (arriving, dh, new_dh, dc, new_dc, dz, dv, dm)
            run(B, width, (t, now, after, B, H, epsilon, *given, *above, *states_and_sums))
            multiply(t)
            arriving, dh, dc = through, new_dh, new_dc
        work.add_through(new_dh, through, new_dh)
        return dz, dv, dm, before

    def _begin(self, cell: Cell, p: Params, x: Array, s: tuple, mask: Array | None) -> tuple[LayerNormLSTM, Job]:
        """The cell and the job, after a look at all that is given."""
        cell = _own(cell)
        H = cell.hidden
        own = {"gx": (4 * H,), "gh": (4 * H,), "gc": (H,), "bc": (H,)}
        check(self.device, KIND, H, {name: a for name, a in p.items() if name not in own}, x, s, mask)
        for name in own.keys() & p.keys():
            fit(self.device, name, p[name], own[name], x.dtype)
        return cell, job(self.device, KIND, self.precision, None, p, x)

    def _gains(self, p: Params) -> tuple:
        """gx, gh, gc and bc, without gaps; a null pointer where there is no bc."""
        return tuple(dense(self.device, p[name]) if name in p else 0 for name in ("gx", "gh", "gc", "bc"))


def _own(cell: Cell) -> LayerNormLSTM:
    if type(cell) is not LayerNormLSTM:
        raise TypeError(f"the kernel for the layer-normalized LSTM on GPUs does not run {cell}")
    return cell


def _width(H: int) -> int:
    """The threads of a block: a power of two, whole warps, with a thread for each unit while that is not too many."""
    return min(MOST, max(32, 1 << (H - 1).bit_length()))


def _launcher(work: Job) -> Callable[[str], Launch]:
    """The kernels of norm.cu by name."""
    defines = *real(work.Wh), ("THREADS", str(_width(work.Wh.shape[0])))
    return lambda name: work.device.kernel("norm.cu", name, defines)
