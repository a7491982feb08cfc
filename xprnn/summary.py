"""A model as a table: layer, output shape, parameters, and how the count comes about."""

import math
from typing import NamedTuple

from . import tree
from .initializers import Outline
from .layers.base import Layer
from .layers.sequential import Sequential
from .types import Shape


class Part(NamedTuple):
    """One layer of a model: its name, if it has one, what it makes of a sample, and its parameters' shapes by name.

    shared: whether it stands further up already, with the same parameters.
    """

    name: str
    layer: Layer
    output: Shape
    shapes: dict[str, tuple[int, ...]]
    shared: bool = False

    @property
    def learned(self) -> int:
        """How many numbers are learned here."""
        return 0 if self.shared else sum(map(math.prod, self.shapes.values()))


def parts(layer: Layer, input_shape: Shape) -> list[Part]:
    """The layers that ``layer`` runs for samples of ``input_shape``, one after the other; nothing is drawn."""
    named = list(zip(layer.names, layer.layers, strict=True)) if isinstance(layer, Sequential) else [("", layer)]
    found: list[Part] = []
    for name, one in named:
        params, input_shape = one.init(Outline(), input_shape)  # type: ignore[arg-type]
        shapes = {path: tuple(a.shape) for path, a in tree.flatten(params).items()}
        found.append(Part(name, one, input_shape, shapes, any(name == part.name for part in found)))
    return found


def summary(layer: Layer, input_shape: Shape) -> str:
    """An aligned table of ``layer``'s parts for samples of ``input_shape``, with the total below.

    The count is written as the sum of the parameters' sizes: 1×10 + 10×10 + 10 is Wx, Wh and b of a SimpleRNN(10).
    """
    found = parts(layer, input_shape)
    rows = [("layer", "output shape", "parameters", "")]
    for part in found:
        kind = type(part.layer).__name__
        how = " + ".join("×".join(map(str, size)) for size in part.shapes.values())
        how = f"shared with {part.name} above" if part.shared else how
        rows.append((f"{part.name} ({kind})" if part.name else kind, axes(part.output), f"{part.learned:,}", how))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d}".rstrip() for a, b, c, d in rows]
    rule = "─" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:], rule, f"total parameters: {sum(part.learned for part in found):,}"])


def axes(shape: Shape) -> str:
    """The axes of a batch of samples; None is any number."""
    return f"({', '.join(['None', *(str(n) for n in shape)])})"
