"""PyTorch's modules and weights, in and out.

PyTorch itself is imported by ``to_module`` alone; a file of its weights is read without it.

    model = from_module(module)                      a model from a module, with its weights
    load_state_dict(model, read("m.safetensors"))    weights from a file, without PyTorch
    to_module(model, module)                         and back, bit for bit
"""

from .modules import from_module
from .read import read
from .state import Loaded, load_state_dict, state_dict, to_module

__all__ = ["Loaded", "from_module", "load_state_dict", "read", "state_dict", "to_module"]
