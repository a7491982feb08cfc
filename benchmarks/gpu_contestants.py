"""Who takes part in the GPU benchmark, and xprnn among them. All runs on a CPU as well, for a dry run.

``enter`` makes a contestant for a case, with its weights for each (layer, direction), a mode and a place; all that
needs doing once is done then, and what is imported is imported then.
"""

import functools
from dataclasses import dataclass
from typing import Any, Protocol

import gpu_limit
import gpu_peers
from cases import Job
from contestants import parameters
from gpu_plan import MODES

from xprnn.kernels import NORM_WALKS, WALKS


class Refused(Exception):
    """A case that a kernel does not run on this GPU."""


class Contestant(Protocol):
    """What is timed, and what is done around it.

    clock:      how it is timed. says: the algorithm it takes forward, and with the way back.
    arithmetic: the key of its tolerances; None where there is nothing to judge.
    """

    clock: Any
    says: tuple
    arithmetic: str | None

    def prepare(self, paper):
        """What ``infer`` and ``train`` take."""

    def infer(self, question):
        """y, in a form of its own."""

    def train(self, question):
        """y, dx and the weights' gradients, in a form of its own."""

    def named(self, output):
        """The arrays of an output by the judge's names."""


@dataclass(frozen=True)
class XPRNN:
    """A Model, as a user calls it; its arrays are time-first in memory, as all others have them."""

    case: Any
    model: Any
    kernel: Any
    clock: Any
    says: tuple
    arithmetic: str
    streams: int

    def prepare(self, paper):
        return paper.x.swapaxes(0, 1), paper.dy.swapaxes(0, 1), paper.lengths

    def infer(self, question):
        x, _, lengths = question
        ask(self.kernel, self.streams)
        return self.model(x, lengths=lengths), None, {}

    def train(self, question):
        x, dy, lengths = question
        ask(self.kernel, self.streams)
        y, _, tape = self.model.forward(x, lengths=lengths)
        dx, _, gradients = self.model.backward(tape, dy)
        return y, dx, gradients

    def named(self, output):
        y, dx, gradients = output
        found = {"y": y.swapaxes(0, 1)} | ({} if dx is None else {"dx": dx.swapaxes(0, 1)})
        for layer, direction in self.case.places() if gradients else ():
            each = gradients[str(layer)]
            each = each[("forward", "backward")[direction]] if self.case.directions == 2 else each
            found |= {f"{layer}.{direction}.{'bx' if name == 'b' else name}": a for name, a in each.items()}
        return found


def ask(kernel, streams):
    """Let CuPy's arrays meet this kernel, and work be done on so many streams."""
    from xprnn import gpu, kernels

    kernels.KERNELS["cuda"], gpu.STREAMS = kernel, streams


def xprnn(case, weights, mode, place, storage=None, streams=1):
    """The kernel for GPUs, in the mode's precision; the layer-normalized LSTM has one of its own."""
    from xprnn.kernels.cuda import CUDA
    from xprnn.kernels.cuda_norm import CUDANorm

    precision, arithmetic = MODES[mode].precision, storage or MODES[mode].arithmetic
    kernel = CUDANorm(precision) if case.cell == "LayerNormLSTM" else CUDA(precision, storage)
    return _model(case, weights, place, kernel, arithmetic, streams=streams)


def stored(case, weights, mode, place):
    """The same with arrays in 16 bits."""
    return xprnn(case, weights, mode, place, MODES[mode].stored)


def walked(walk, case, weights, mode, place, streams=1):
    """The kernel for GPUs with a walk of its own, which runs where it is named; what it keeps goes with it."""
    from xprnn.kernels.cuda import CUDA
    from xprnn.kernels.cuda_norm import CUDANorm

    of, walks = (CUDANorm, NORM_WALKS) if case.cell == "LayerNormLSTM" else (CUDA, WALKS)
    kernel = of(MODES[mode].precision, walk=type(walks[walk])())
    return _model(case, weights, place, kernel, MODES[mode].arithmetic, walk, streams)


def loop(case, weights, mode, place):
    """The loop kernel, which runs any cell anywhere."""
    from xprnn.kernels import loop

    return _model(case, weights, place, loop, MODES[mode].arithmetic)


def _model(case, weights, place, kernel, arithmetic, called="cuda", streams=1):
    import xprnn as xr
    from xprnn import cells, kernels

    ours = {at: parameters(Job(case.cell, "", case.sizes(at[0]), each)) for at, each in weights.items()}
    params = {str(n): ours[n, 0] for n in range(case.layers)}
    if case.directions == 2:
        params = {str(n): {"forward": ours[n, 0], "backward": ours[n, 1]} for n in range(case.layers)}
    layer = getattr(xr, case.cell)(case.H, case.layers, bidirectional=case.directions == 2)
    model = xr.Model(layer, place.backend, input_shape=(None, case.D), params=params)
    ask(kernel, streams)
    x = place.xp.zeros((1, case.B, case.D), dtype="float32")
    chosen = kernels.choose(getattr(cells, case.cell)(case.H), x, None)
    if place.device == "cuda" and chosen is not kernel:
        raise Refused(f"{kernel.walk.runs}; not {case} on this GPU")
    (name,) = {name for name, each in kernels.KERNELS.items() if each is chosen} - {"cuda"} or {"cuda"}
    if name == "cuda":
        stored = f", {kernel.storage}" if case.cell != "LayerNormLSTM" and kernel.storage else ""
        name = f"{called} {kernel.precision}{stored}{', 2 streams' * (streams > 1)}"
    return XPRNN(case, model, kernel, place.clock, (name, name), arithmetic, streams)


ALL = {
    "xprnn": xprnn, "16 bit": stored, "loop": loop, "torch": gpu_peers.torch, "packed": gpu_peers.packed,
    "jax": gpu_peers.jax, "limit": gpu_limit.limit, **{walk: functools.partial(walked, walk) for walk in WALKS},
    "xprnn on 2 streams": functools.partial(xprnn, streams=2),
    "cluster on 2 streams": functools.partial(walked, "cluster", streams=2),
}  # fmt: skip


def enter(name, case, weights, mode, place):
    """The contestant of this name."""
    return ALL[name](case, weights, mode, place)
