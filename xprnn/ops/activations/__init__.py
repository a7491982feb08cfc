"""Activations, got by name: "tanh", "leaky_relu(0.2)", "clip(3) tanh"."""

import functools
import re

from .families import FAMILIES, clipped
from .plain import ACTIVATIONS, Activation, sigmoid

__all__ = ["ACTIVATIONS", "FAMILIES", "Activation", "get", "sigmoid"]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_SPECIFICATION = re.compile(rf"(?:clip\(({_NUMBER})\) )?(\w+)(?:\(({_NUMBER}(?:, *{_NUMBER})*)\))?", re.ASCII)


def get(name: str | Activation) -> Activation:
    """The activation called ``name``, or ``name`` itself if it is one already; ValueError if there is none.

    name is one of ``ACTIVATIONS``; or one of ``FAMILIES`` with its numbers behind, "scaled_tanh(1.7159, 0.6667)"; and
    "clip(c) " before it holds what goes into the activation between -c and c.
    """
    if isinstance(name, Activation):
        return name
    if isinstance(name, str) and name in ACTIVATIONS:
        return ACTIVATIONS[name]
    return _parsed(str(name))


@functools.lru_cache(maxsize=256)  # a cell asks at every step
def _parsed(name: str) -> Activation:
    found = _SPECIFICATION.fullmatch(name)
    if found is None:
        raise _unknown(name)
    bound, stem, given = found.groups()
    numbers = () if given is None else tuple(float(number) for number in given.split(","))
    if numbers and stem in FAMILIES:
        make, count = FAMILIES[stem]
        if len(numbers) != count:
            plural = "" if count == 1 else "s"
            raise ValueError(f"the activation {stem} has {count} number{plural}, not {len(numbers)}: {name!r}")
        one = make(name, *numbers)
    elif not numbers and stem in ACTIVATIONS:
        one = ACTIVATIONS[stem]
    else:
        raise _unknown(name)
    return one if bound is None else clipped(name, one, float(bound))


def _unknown(name: str) -> ValueError:
    families = ", ".join(f"{stem}({', '.join('ab'[:count])})" for stem, (_, count) in sorted(FAMILIES.items()))
    return ValueError(
        f'There is no activation {name!r}; there are: {", ".join(sorted(ACTIVATIONS))}, {families}; "clip(c) " may '
        "stand before each."
    )
