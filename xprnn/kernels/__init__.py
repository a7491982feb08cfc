"""Kernels: who runs a cell over a piece of a sequence, forward and backward. One file each.

A kernel is a module with ``accepts``, ``forward``, ``step`` and ``backward`` as in ``loop``. It is asked, not tried:
one that accepts and then raises is a bug and never a reason to take another.

Those of ``KERNELS`` are asked in their order; those of ``NAMED``, forms of the one for GPUs and ``norm``, run where
they are named and nowhere else. XPRNN_KERNEL in the environment names the only one of all to ask beside ``loop``; a
form that it names runs whatever lies on a GPU, or says why it cannot. XPRNN_PRECISION says how those for GPUs multiply
float32 matrices: ``highest`` (exactly, the default), ``high`` or ``medium``.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from .. import gpu
from ..cells.base import Cell
from ..types import Array, Params, Step
from . import cpu, cuda, cuda_cluster, cuda_graph, cuda_grid, cuda_norm, cuda_norm_cluster, jax, loop
from .cuda_by_cell import ByCell
from .cuda_norm_walk import NormWalk
from .cuda_walk import Walk

First = TypeVar("First")
Second = TypeVar("Second")


class Kernel(Protocol):
    """What scan needs of a kernel; ``loop`` says what the arguments are."""

    def accepts(self, cell: Cell, x: Array, mask: Array | None) -> bool: ...

    def forward(
        self, cell: Cell, p: Params, x: Array, s: tuple, mask: Array | None, reverse: bool, tape: bool = True,
        outputs: bool = True,
    ) -> tuple[Array | None, tuple, Any]: ...  # fmt: skip

    def step(self, cell: Cell, p: Params, x: Array, s: tuple) -> tuple[Array, tuple]: ...

    def backward(
        self, cell: Cell, p: Params, tape: Any, dys: Array | None, ds: tuple, inputs: bool = True
    ) -> tuple[Array | None, tuple, Params]: ...


WALKS: dict[str, Walk] = {"graph": cuda_graph.Graph(), "cluster": cuda_cluster.Cluster(), "grid": cuda_grid.Grid()}
"""The walks of the kernel for GPUs that are not chosen by themselves."""
NORM_WALKS: dict[str, NormWalk] = {"cluster": cuda_norm_cluster.NormCluster()}
"""Those that run the layer-normalized LSTM too, each in a way of its own."""


class Listed(NamedTuple):
    """The kernels in the order in which they are asked, those by name, and the walk of these that alone may run."""

    asked: dict[str, Kernel]
    named: dict[str, Kernel]
    only: cuda.CUDA | ByCell | None = None


def _listed(asked: str | None, precision: str) -> Listed:
    """All kernels, or the one of that name and the loop."""
    built: dict[str, Kernel] = {"cpu": cpu.CPU()} if cpu.INSTRUCTIONS else {}
    every = built | {"cuda": cuda.CUDA(precision), "jax": jax, "loop": loop}
    walks: dict[str, cuda.CUDA | ByCell] = {}
    for name, walk in WALKS.items():
        walks[name] = common = cuda.CUDA(precision, walk=walk)
        if name in NORM_WALKS:
            walks[name] = ByCell(common, cuda_norm.CUDANorm(precision, walk=NORM_WALKS[name]))
    named: dict[str, Kernel] = {**walks, "norm": cuda_norm.CUDANorm(precision)}
    if not asked:
        return Listed(every, named)
    if asked not in every | named:
        raise ValueError(f"XPRNN_KERNEL={asked} in the environment, but there are {', '.join(every | named)}")
    return Listed({asked: (every | named)[asked], "loop": loop}, {}, walks.get(asked))


KERNELS, NAMED, ONLY = _listed(os.environ.get("XPRNN_KERNEL"), os.environ.get("XPRNN_PRECISION", "highest"))


def choose(cell: Cell, x: Array, mask: Array | None) -> Kernel:
    """The first kernel that accepts this cell on this input; ``loop`` comes last and takes all.

    TypeError or ValueError with what was met where there is an ``ONLY`` one that should run it and cannot.
    """
    if ONLY is not None and ONLY.device.owns(x):
        ONLY.agree(cell, x)
    for kernel in KERNELS.values():
        if kernel.accepts(cell, x, mask):
            return kernel
    raise LookupError("there is no loop among the kernels")


def stepper(cell: Cell, like: Array) -> Step:
    """A function that makes steps of ``cell`` on arrays like ``like`` (B, n), by the first kernel that accepts them."""
    kernel = choose(cell, like, None)
    return kernel.stepper(cell, like) if isinstance(kernel, cpu.CPU) else partial(kernel.step, cell)


def both(
    walks: tuple[tuple[Cell, Params], ...], x: Array, first: Callable[[], First], second: Callable[[], Second]
) -> tuple[First, Second]:
    """What the two give, which make one of the ``walks`` each over x (B, T, D), or back; neither needs the other.

    They run at once where that helps: on two threads of the compiled kernel, on two streams of a GPU if so asked.
    """
    kernel = KERNELS.get("cpu")
    if isinstance(kernel, cpu.CPU) and all(kernel.spares(cell, p, x) for cell, p in walks):
        return kernel.both(first, second)
    return gpu.both(x, first, second)


def find(kernel: str | Kernel) -> Kernel:
    """The kernel of that name; a kernel is itself."""
    if not isinstance(kernel, str):
        return kernel
    every = KERNELS | NAMED
    if kernel not in every:
        raise ValueError(f"there is no kernel {kernel!r}; there are {', '.join(every)}")
    return every[kernel]
