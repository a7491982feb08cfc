"""PyTorch, as an array library."""

from typing import Any

import array_api_compat
import numpy as np

from ..types import Array
from .base import Library, fresh


class Torch(Library):
    """PyTorch as an array library; devices "cpu", "cuda:0", "meta" (shapes only), ... as PyTorch writes them."""

    name, title, module, install = "torch", "PyTorch", "torch", "pip install torch"

    def owns(self, x: Any) -> bool:
        return array_api_compat.is_torch_array(x)

    def handle(self, device: str) -> Any:
        import torch

        return torch.device(device or "cpu")

    def where(self, x: Array) -> str:
        return str(x.device)

    def put(self, x: np.ndarray, handle: Any) -> Array:
        import torch

        return torch.from_numpy(fresh(x)).to(handle)

    def get(self, x: Array) -> np.ndarray:
        import torch

        dtype = torch.float32 if x.dtype is torch.bfloat16 else x.dtype
        return x.detach().to("cpu", dtype, copy=True).numpy()

    def objection(self, x: Array) -> str:
        # Autograd would record every step: the reverse is written by hand, and nobody would ever free that graph.
        return "records its gradient (requires_grad): use {what}.detach()" if x.requires_grad else ""

    def remedy(self, problem: str) -> str:
        return "install a PyTorch built for this device (https://pytorch.org)" if problem else self.install
