"""The law of all reverses: what they say is the derivative is the derivative."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .. import tree
from . import compare

LIMIT = 1e-7
STEPS = (3e-5, 1e-6)


def slope(f: Callable[[float], float], step: float) -> float:
    """df(h)/dh at 0, by the central difference of fourth order; its error is about 1e-15 / step times |f|."""
    near, far = f(step) - f(-step), f(2 * step) - f(-2 * step)
    return (8 * near - far) / (12 * step)


def check(case: Any, inputs: Any, loss: Any, grads: Any, rng: np.random.Generator) -> float:
    """Raise AssertionError unless ``grads`` is the derivative of ``loss`` at ``inputs``; the relative error otherwise.

    ``inputs`` and ``grads`` are trees of float64 host arrays with the same leaves; loss(inputs) is a number. All leaves
    are moved at once along a random direction; where that goes wrong, each by itself, to name those that are wrong.
    """
    v = tree.map(lambda a: rng.normal(size=a.shape), inputs)
    along, said = tree.flatten(v), tree.flatten(grads)
    if sorted(said) != sorted(along):
        compare.fail("gradient", case, f"there are gradients of {sorted(said)}, wanted {sorted(along)}")
    slopes = {name: float(np.sum(said[name] * w)) for name, w in along.items()}
    # A step across the corner of a relu measures no derivative; the second step is far less likely to cross it too.
    for step in STEPS:
        numeric = slope(partial(_along, loss, inputs, v), step)
        error = abs(sum(slopes.values()) - numeric) / (max(map(abs, (numeric, *slopes.values()))) or 1.0)
        if error <= LIMIT:
            return error
    wrong = []
    for name, analytic in slopes.items():
        alone = tree.fill(v, {other: w * (other == name) for other, w in along.items()})
        measured = slope(partial(_along, loss, inputs, alone), step)
        if not abs(analytic - measured) <= LIMIT * max(abs(analytic), abs(measured), 1e-3 * abs(numeric)):
            wrong.append(f"{name} {analytic:.9g} (numerically {measured:.9g})")
    compare.fail("gradient", case, f"relative error {error:.1e}, at most {LIMIT:.0e}; wrong: {', '.join(wrong)}")


def _along(loss: Callable[[Any], float], inputs: Any, v: Any, h: float) -> float:
    return loss(tree.map(lambda a, b: a + h * b, inputs, v))
