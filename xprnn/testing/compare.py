"""What laws compare with: trees of numbers, equal up to rounding or bit for bit."""

from typing import Any, NamedTuple, NoReturn

import numpy as np

from .. import tree


class Results(NamedTuple):
    """What a run gives: outputs, last state, and the cotangents of x, of the initial state and of the parameters."""

    y: Any
    end: Any
    dx: Any
    ds: Any
    dp: Any


def close(law: str, case: Any, got: Any, wanted: Any, tolerance: float) -> None:
    """Raise AssertionError unless the trees agree within ``tolerance`` times the largest number of a leaf, or 1."""
    for name, a, b in _pairs(law, case, got, wanted):
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b))))
        with np.errstate(invalid="ignore"):
            wrong = np.where(np.isfinite(b), np.abs(a - b), np.where(_equal(a, b), 0.0, np.inf)) / scale
        wrong = np.where(np.isnan(wrong), np.inf, wrong)
        if np.any(wrong > tolerance):
            fail(law, case, f"{name} is off by {np.max(wrong):.1e}, more than {tolerance:.0e}: {_worst(wrong, a, b)}")


def identical(law: str, case: Any, got: Any, wanted: Any) -> None:
    """Raise AssertionError unless the trees agree bit for bit; NaN equals NaN, and 0 equals -0."""
    for name, a, b in _pairs(law, case, got, wanted):
        wrong = ~_equal(a, b)
        if np.any(wrong):
            fail(law, case, f"{name} must be the same to the last bit: {_worst(wrong, a, b)}")


def finite(law: str, case: Any, got: Any) -> None:
    """Raise AssertionError unless every number of the tree is finite."""
    for name, a in flatten(got).items():
        if not np.all(np.isfinite(a)):
            fail(law, case, f"{name} has {np.sum(~np.isfinite(a))} of {a.size} numbers that are not finite")


def flatten(results: Any) -> dict[str, Any]:
    """The leaves of a tree by name."""
    return tree.flatten(results._asdict() if isinstance(results, Results) else results)


def fail(law: str, case: Any, what: str) -> NoReturn:
    """Raise the AssertionError of a broken law."""
    raise AssertionError(f"{law}, for {case}: {what}")


def _pairs(law: str, case: Any, got: Any, wanted: Any) -> list[tuple[str, np.ndarray, np.ndarray]]:
    got, wanted = flatten(got), flatten(wanted)
    if sorted(got) != sorted(wanted):
        fail(law, case, f"there are {sorted(got)}, wanted {sorted(wanted)}")
    for name, a in got.items():
        if a.shape != wanted[name].shape:
            fail(law, case, f"{name} has shape {a.shape}, wanted {wanted[name].shape}")
    return [(name, a, wanted[name]) for name, a in got.items()]


def _equal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a == b) | (np.isnan(a) & np.isnan(b))


def _worst(wrong: np.ndarray, a: np.ndarray, b: np.ndarray) -> str:
    place = np.unravel_index(np.argmax(wrong), wrong.shape)
    return f"at {tuple(map(int, place))} it is {a[place]!s}, wanted {b[place]!s}"
