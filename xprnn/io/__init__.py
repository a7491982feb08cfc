"""The outside world: files, and the models of others, in ``io.torch``, ``io.keras`` and ``io.onnx``."""

import importlib
from types import ModuleType

_DOORS = ("keras", "onnx", "torch")


def __getattr__(name: str) -> ModuleType:
    if name not in _DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; there are {', '.join(_DOORS)}")
    return importlib.import_module(f".{name}", __name__)
