"""One step of a stream on a GPU: one launch from the weights as they are, into the outputs and nothing else."""

from ..gpu import Device
from ..types import Array, Params
from .cuda_job import REALS, Kind, copied, dense

ROWS = 4
"""The rows that a block makes together, where there are that many."""


def step(device: Device, kind: Kind, p: Params, x: Array, s: tuple) -> tuple[Array, tuple]:
    """One step x (B, D) from the state s -> y (B, H), its own array, the next state.

    A cell whose reset comes before the product takes three launches, and what lies between them is in the outputs.
    """
    B, D, H, together = x.shape[0], p["Wx"].shape[0], s[0].shape[1], 1 if x.shape[0] == 1 else ROWS
    y, end = device.empty((B, H), x.dtype), tuple(device.empty((B, H), x.dtype) for _ in s)
    size = -(-H // 32) * -(-B // together), 256
    defines = ("CELL", kind.cell), ("REAL", REALS[x.dtype.char]), ("ROWS", str(together))
    given = p["Wx"], p["Wh"], p.get("bx", p.get("b")), p.get("bh"), p.get("Wc"), p.get("keep"), *s
    Wx, Wh, bx, bh, Wc, keep, h, *c = (0 if a is None else dense(device, a) for a in given)
    x = dense(device, x)
    first = (B, D, H, x, x.shape[1], Wx, Wh, bx, bh)
    run = device.kernel("stream.cu", "stream_step", defines)
    memory = (h, c[0]) if c else (h, 0)
    new = (end[0], end[1]) if c else (end[0], 0)
    if not kind.late:
        run(*size, (*first, Wc, keep, *memory, 0, y, *new))
        return y, end
    device.kernel("stream.cu", "stream_reset", defines)(*size, (*first, keep, h, y, end[0]))
    run(*size, (*first, Wc, keep, *memory, y, 0, *new))
    return copied(device, end[0], y), end
