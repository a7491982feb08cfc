"""The limit in the GPU benchmark: a network's matrix products alone."""

import functools
from dataclasses import dataclass
from typing import Any

from gpu_peers import allow_tf32
from gpu_plan import MODES


@dataclass(frozen=True)
class Limit:
    """No network: only its matrix products, by torch into arrays that are there. It has no answer to judge."""

    forward: Any
    both: Any
    clock: Any
    says: tuple
    arithmetic: None = None

    def prepare(self, paper):
        return None

    def infer(self, question):
        return self.forward()

    def train(self, question):
        return self.both()

    def named(self, output):
        return {}


def limit(case, weights, mode, place):
    """The products in CUDA graphs, which need the host for one launch alone; on a CPU one after the other."""
    import torch

    allow_tf32(mode)
    dtype = getattr(torch, MODES[mode].stored or "float32")
    forward, both = products(case, {name: torch.from_numpy(a) for name, a in weights[0, 0].items()}, place, dtype)
    if place.device == "cuda":
        forward, both = captured(forward), captured(both)
    says = "products in a graph" if place.device == "cuda" else "products"
    return Limit(forward, both, place.clock, (says, says))


def products(case, weights, place, dtype):
    """All products forward, and all with the way back, as functions; what they read stays the same."""
    import torch

    T, B, D, H = case.sizes(0)
    Wx, Wh = (weights[name].to(place.device, dtype) for name in ("Wx", "Wh"))
    width = Wx.shape[1]

    def drawn(*shape):
        return torch.randn(shape, device=place.device, dtype=dtype)

    x, h, d = drawn(T * B, D), drawn(T, B, H), drawn(T, B, width)
    z, dx, dh, dWx, dWh = map(torch.empty_like, (d, x, h[0], Wx, Wh))
    flat_h, flat_d = h.view(T * B, H), d.view(T * B, width)

    def forward():
        torch.mm(x, Wx, out=z.view(T * B, width))
        for t in range(T):
            z[t].addmm_(h[t], Wh)

    def both():
        forward()
        for t in range(T):
            torch.mm(d[t], Wh.T, out=dh)
        for a, b, out in ((flat_d, Wx.T, dx), (x.T, flat_d, dWx), (flat_h.T, flat_d, dWh)):
            torch.mm(a, b, out=out)

    return forward, both


def captured(work):
    """A function that launches all that ``work`` launches, as one graph."""
    import torch

    with torch.cuda.stream(torch.cuda.Stream()):
        work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return functools.partial(_launch, graph, work)


def _launch(graph, work):
    """Replay what was captured; ``work`` keeps the arrays alive that the graph has by their addresses."""
    graph.replay()
