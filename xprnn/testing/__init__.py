"""Checks for cells, layers and kernels of your own: the laws that the library's own obey.

    from xprnn.testing import check_cell

    check_cell(MyCell(5))
    check_cell(MyCell(5), namespaces=("numpy", "torch", "array_api_strict:device1"))

Each law is a function of a case, in ``CELL_LAWS`` and ``LAYER_LAWS``. A broken one raises AssertionError that names the
law, the case and the numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..backend import Backend, backend
from ..cells.base import Cell
from ..kernels import Kernel
from ..layers.base import Layer
from ..types import Shape
from .case import Case
from .cell_laws import LAWS as CELL_LAWS
from .compare import Results
from .layer_case import LayerCase
from .layer_laws import LAWS as LAYER_LAWS

__all__ = [
    "CELL_LAWS",
    "CELL_SETTINGS",
    "LAYER_LAWS",
    "LAYER_SETTINGS",
    "Case",
    "LayerCase",
    "Results",
    "check_cell",
    "check_kernel",
    "check_layer",
    "hold",
]

# How a cell is run: each setting with each value of another at least once.
CELL_SETTINGS: tuple[dict, ...] = (
    {},
    {"reverse": True, "padding": "ragged", "dropout": 0.4},
    {"padding": "holes", "segment": 3, "dropout": 0.4},
    {"reverse": True, "padding": "holes", "segment": 3},
)
LAYER_SETTINGS: tuple[dict, ...] = (
    {},
    {"padding": "ragged", "training": True},
    {"padding": "holes", "begun": False},
)


def check_cell(
    cell: Cell, features: int = 4, *, namespaces: Sequence[str | Backend] = ("numpy",), seed: int = 0
) -> None:
    """Raise AssertionError unless ``cell``, on ``features`` inputs, obeys every law on every one of ``namespaces``.

    A namespace is a backend, or the name of one for both precisions: "numpy", "torch", "array_api_strict:device1", ...
    """
    for chosen in _backends(namespaces):
        _check_cell(Case(cell, chosen, features=features, seed=seed))


def check_kernel(
    kernel: Kernel, cell: Cell, features: int = 4, *, namespaces: Sequence[str | Backend] = ("numpy",), seed: int = 0
) -> None:
    """Raise AssertionError unless ``kernel`` obeys every law wherever it accepts ``cell``, and accepts it somewhere."""
    cases = [Case(cell, chosen, kernel, features=features, seed=seed) for chosen in _backends(namespaces)]
    if not any([_check_cell(case) for case in cases]):
        raise AssertionError(f"kernel: it does not accept {cell} anywhere on {list(namespaces)}")


def check_layer(layer: Layer, shape: Shape, *, namespaces: Sequence[str | Backend] = ("numpy",), seed: int = 0) -> None:
    """Raise AssertionError unless ``layer`` obeys every law on every one of ``namespaces``.

    shape: that of one sample, (None, D) for (time, features), (D,), or (None,) for token ids, which will be below 3.
    """
    for chosen in _backends(namespaces):
        for setting in LAYER_SETTINGS:
            for law in LAYER_LAWS:
                hold(law, LayerCase(layer, shape, chosen, seed=seed, **setting))


def hold(law: str, case: Case | LayerCase) -> float | None:
    """Raise AssertionError unless the law of that name holds for the case; the relative error of a "gradient".

    Derivatives are measured in float64 only; in float32 the law "namespaces" compares gradients with those of float64.
    """
    if law == "gradient" and case.backend.dtype != "float64":
        return None
    with case.backend.active():
        return CELL_LAWS[law](case) if isinstance(case, Case) else LAYER_LAWS[law](case)


def _check_cell(case: Case) -> bool:
    """Every law in every setting that the case's kernel accepts; whether there was one."""
    chosen = [one for one in (replace(case, **setting) for setting in CELL_SETTINGS) if one.accepted()]
    for one in chosen:
        for law in CELL_LAWS:
            hold(law, one)
    return bool(chosen)


def _backends(namespaces: Sequence[str | Backend]) -> Iterator[Backend]:
    for name in namespaces:
        if isinstance(name, Backend):
            yield name
        else:
            yield from (backend(name, dtype) for dtype in ("float64", "float32"))
