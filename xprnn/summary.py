"""A model as a table: layer, output shape, parameters, and how the count comes about."""

from . import tree
from .initializers import Outline
from .layers.base import Layer
from .layers.sequential import Sequential
from .types import Shape


def summary(layer: Layer, input_shape: Shape) -> str:
    """An aligned table of ``layer``'s parts for samples of ``input_shape``, with the total below.

    The count is written as the sum of the parameters' sizes: 1×10 + 10×10 + 10 is Wx, Wh and b of a SimpleRNN(10).
    """
    parts = list(zip(layer.names, layer.layers, strict=True)) if isinstance(layer, Sequential) else [("", layer)]
    rows, total, shape, seen = [("layer", "output shape", "parameters", "")], 0, input_shape, set()
    for name, part in parts:
        params, shape = part.init(Outline(), shape)  # type: ignore[arg-type]
        sizes = [a.shape for a in tree.leaves(params)]
        count = sum(a.size for a in tree.leaves(params))
        how = " + ".join("×".join(map(str, size)) for size in sizes)
        if name in seen:
            count, how = 0, f"shared with {name} above"
        seen.add(name)
        total += count
        kind = type(part).__name__
        rows.append((f"{name} ({kind})" if name else kind, _axes(shape), f"{count:,}", how))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d}".rstrip() for a, b, c, d in rows]
    rule = "─" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:], rule, f"total parameters: {total:,}"])


def _axes(shape: Shape) -> str:
    """The output's axes with the batch in front; None is any number."""
    return f"({', '.join(['None', *(str(n) for n in shape)])})"
