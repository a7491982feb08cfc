"""Activations, got by name: "tanh", "leaky_relu(0.2)", "clip(3) tanh"."""

import functools
import math
import re
from typing import NamedTuple

from .families import FAMILIES, clipped
from .plain import ACTIVATIONS, Activation, sigmoid

__all__ = ["ACTIVATIONS", "FAMILIES", "Activation", "Name", "get", "parse", "sigmoid"]

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?"  # each text matches in one way, so in linear time
_SPECIFICATION = re.compile(rf"(?:clip\(({_NUMBER})\) )?(\w+)(?:\(({_NUMBER}(?:, *{_NUMBER})*)\))?", re.ASCII)


class Name(NamedTuple):
    """An activation's name in its parts: "clip(3) leaky_relu(0.2)" has a bound of 3.0, the stem, the number 0.2."""

    bound: float | None
    stem: str
    numbers: tuple[float, ...]


def get(name: str | Activation) -> Activation:
    """The activation called ``name``, or ``name`` itself if it is one already; ValueError if there is none.

    name is one of ``ACTIVATIONS``; or one of ``FAMILIES`` with its numbers behind, "scaled_tanh(1.7159, 0.6667)"; and
    "clip(c) " before it holds what goes into the activation between -c and c.
    """
    if isinstance(name, Activation):
        return name
    return ACTIVATIONS.get(str(name)) or _parsed(str(name))


def parse(name: str) -> Name:
    """The parts of the name of an activation that there is; ValueError for any other name."""
    found = _SPECIFICATION.fullmatch(name)
    if found is None:
        raise _unknown(name)
    bound, stem, given = found.groups()
    numbers = () if given is None else tuple(float(number) for number in given.split(","))
    if numbers and stem in FAMILIES:
        _, count = FAMILIES[stem]
        if len(numbers) != count:
            plural = "" if count == 1 else "s"
            raise ValueError(f"the activation {stem} has {count} number{plural}, not {len(numbers)}: {name!r}")
    elif numbers or stem not in ACTIVATIONS:
        raise _unknown(name)
    limit = None if bound is None else float(bound)
    if not all(map(math.isfinite, (*numbers, limit or 0.0))):
        raise ValueError(f"the numbers of an activation are finite: {name!r}")
    return Name(limit, stem, numbers)


@functools.lru_cache(maxsize=256)  # a cell asks at every step
def _parsed(name: str) -> Activation:
    bound, stem, numbers = parse(name)
    one = FAMILIES[stem][0](name, *numbers) if numbers else ACTIVATIONS[stem]
    return one if bound is None else clipped(name, one, bound)


def _unknown(name: str) -> ValueError:
    families = ", ".join(f"{stem}({', '.join('ab'[:count])})" for stem, (_, count) in sorted(FAMILIES.items()))
    return ValueError(
        f'There is no activation {name!r}; there are: {", ".join(sorted(ACTIVATIONS))}, {families}; "clip(c) " may '
        "stand before each."
    )
