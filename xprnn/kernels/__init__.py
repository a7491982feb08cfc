"""Kernels: who runs a cell over a piece of a sequence, forward and backward. One file each.

A kernel is a module with ``accepts``, ``forward``, ``step`` and ``backward`` as in ``loop``. It is asked, not tried:
one that accepts and then raises is a bug and never a reason to take another.

XPRNN_KERNEL in the environment names the only one to ask beside ``loop``, and XPRNN_PRECISION how that for GPUs
multiplies float32 matrices: ``highest`` (exactly, the default), ``high`` or ``medium``.
"""

import os
from typing import Any, Protocol

from ..cells.base import Cell
from ..types import Array, Params
from . import cpu, cuda, jax, loop


class Kernel(Protocol):
    """What scan needs of a kernel; ``loop`` says what the arguments are."""

    def accepts(self, cell: Cell, x: Array, mask: Array | None) -> bool: ...

    def forward(
        self, cell: Cell, p: Params, x: Array, s: tuple, mask: Array | None, reverse: bool, tape: bool = True
    ) -> tuple[Array, tuple, Any]: ...

    def step(self, cell: Cell, p: Params, x: Array, s: tuple) -> tuple[Array, tuple]: ...

    def backward(
        self, cell: Cell, p: Params, tape: Any, dys: Array | None, ds: tuple
    ) -> tuple[Array, tuple, Params]: ...


def _listed(asked: str | None, precision: str) -> dict[str, Kernel]:
    """The kernels in the order in which they are asked, or the one of that name and the loop."""
    built: dict[str, Kernel] = {"cpu": cpu.CPU()} if cpu.INSTRUCTIONS else {}
    every = built | {"cuda": cuda.CUDA(precision), "jax": jax, "loop": loop}
    if not asked:
        return every
    if asked not in every:
        raise ValueError(f"XPRNN_KERNEL={asked} in the environment, but there are {', '.join(every)}")
    return {asked: every[asked], "loop": loop}


KERNELS = _listed(os.environ.get("XPRNN_KERNEL"), os.environ.get("XPRNN_PRECISION", "highest"))


def choose(cell: Cell, x: Array, mask: Array | None) -> Kernel:
    """The first kernel that accepts this cell on this input; ``loop`` comes last and takes all."""
    for kernel in KERNELS.values():
        if kernel.accepts(cell, x, mask):
            return kernel
    raise LookupError("there is no loop among the kernels")


def find(kernel: str | Kernel) -> Kernel:
    """The kernel of that name; a kernel is itself."""
    if not isinstance(kernel, str):
        return kernel
    if kernel not in KERNELS:
        raise ValueError(f"there is no kernel {kernel!r}; there are {', '.join(KERNELS)}")
    return KERNELS[kernel]
