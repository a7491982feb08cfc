"""Kernels: who runs a cell over a piece of a sequence, forward and backward. One file each.

A kernel is a module with ``accepts``, ``forward``, ``step`` and ``backward`` as in ``loop``. It is asked, not tried:
one that accepts and then raises is a bug and never a reason to take another.
"""

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


KERNELS: dict[str, Kernel] = {"cpu": cpu.CPU()} if cpu.INSTRUCTIONS else {}
KERNELS |= {"cuda": cuda.CUDA(), "jax": jax, "loop": loop}


def choose(cell: Cell, x: Array, mask: Array | None) -> Kernel:
    """The first kernel that accepts this cell on this input; ``loop`` comes last and takes all."""
    for kernel in KERNELS.values():
        if kernel.accepts(cell, x, mask):
            return kernel
    raise LookupError("there is no loop among the kernels")
