"""To the backend of a case and back: inputs that cannot be written to, results as float64."""

from typing import Any

import numpy as np

from .. import tree
from ..backend import Backend
from . import compare


def place(backend: Backend, inputs: Any) -> Any:
    """Copies of the tree's host arrays on the backend, read-only on NumPy; floats in its dtype."""
    return tree.map(lambda a: _place(backend, a), inputs)


def copies(case: Any, results: Any) -> Any:
    """The tree, whose leaves must be arrays of the case's backend, as float64 arrays of their own on the host."""
    of_backend("alike", case, results)
    return tree.map(lambda a: case.backend.to_numpy(a).astype(np.float64), results)


def of_backend(law: str, case: Any, results: Any) -> None:
    """Raise AssertionError unless every leaf is of the case's backend: its library, device and dtype."""
    for name, a in compare.flatten(results).items():
        try:
            case.backend.check(a, name)
        except RuntimeError as error:
            compare.fail(law, case, str(error))


def _place(backend: Backend, a: np.ndarray) -> Any:
    placed = backend.asarray(np.array(a))
    if isinstance(placed, np.ndarray):
        placed.flags.writeable = False
    return placed
