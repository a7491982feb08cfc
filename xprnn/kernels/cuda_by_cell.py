"""Two kernels for GPUs under one name, as the layer-normalized LSTM has one of its own."""

from dataclasses import dataclass
from typing import Any

from ..cells import LayerNormLSTM
from ..cells.base import Cell
from ..gpu import Device
from ..types import Array, Params
from .cuda import CUDA
from .cuda_norm import CUDANorm


@dataclass(frozen=True)
class ByCell:
    """``norm`` for the layer-normalized LSTM, ``common`` for all other cells, on the same device; as in ``loop``."""

    common: CUDA
    norm: CUDANorm

    @property
    def device(self) -> Device:
        """What launches kernels and owns arrays."""
        return self.common.device

    def of(self, cell: Cell) -> CUDA | CUDANorm:
        """The kernel for a cell."""
        return self.norm if type(cell) is LayerNormLSTM else self.common

    def accepts(self, cell: Cell, x: Array, mask: Array | None) -> bool:
        """Whether the cell's kernel does."""
        return self.of(cell).accepts(cell, x, mask)

    def agree(self, cell: Cell, x: Array) -> None:
        """Raise TypeError or ValueError with what was met unless the cell can be run on x, an array of the device's."""
        self.of(cell).agree(cell, x)

    def forward(
        self, cell: Cell, p: Params, x: Array, s: tuple, mask: Array | None, reverse: bool, tape: bool = True,
        outputs: bool = True,
    ) -> tuple[Array | None, tuple, Any]:  # fmt: skip
        """Walk x (T, B, D) from the state s -> ys (T, B, H) if ``outputs``, the last state, the tape if ``tape``."""
        return self.of(cell).forward(cell, p, x, s, mask, reverse, tape, outputs)

    def step(self, cell: Cell, p: Params, x: Array, s: tuple) -> tuple[Array, tuple]:
        """One step x (B, D) from the state s, without a mask or a tape -> y (B, H), its own array, the next state."""
        return self.of(cell).step(cell, p, x, s)

    def backward(
        self, cell: Cell, p: Params, tape: Any, dys: Array | None, ds: tuple, inputs: bool = True
    ) -> tuple[Array | None, tuple, Params]:
        """Walk back from the cotangents of ys (None: zero) and of the last state -> dx if ``inputs``, ds, dp."""
        return self.of(cell).backward(cell, p, tape, dys, ds, inputs)
