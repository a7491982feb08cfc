"""Optimizers' rules on trees: leaf by leaf, or on a GPU on all leaves at once."""

from collections.abc import Callable, Sequence

from .. import tree
from ..gpu import Device, device_for, grid, real
from ..types import Array, Params
from .leaves import groups, table

Numbers = tuple[float, ...]
Rule = Callable[..., tuple[Array, ...]]
"""rule(numbers, p, g, *slots) gives the p and the slots after the update."""


def leafwise(name: str, rule: Rule, numbers: Numbers, params: Params, grads: Params, *slots: Params) -> list[Params]:
    """The parameters and the slots after one update, all in the structure of ``params``.

    name: what the rule is called in optimizers.cu, where it takes the same numbers.
    """
    flat = [tree.flatten(branch) for branch in (params, grads, *slots)]
    rows = [[leaves[path] for leaves in flat] for path in flat[0]]
    device = device_for(*(leaf for row in rows for leaf in row))
    moved = [rule(numbers, *row) for row in rows] if device is None else _at_once(device, name, numbers, rows)
    results = (dict(zip(flat[0], (row[n] for row in moved), strict=True)) for n in range(1 + len(slots)))
    return [tree.fill(params, result) for result in results]


def _at_once(device: Device, name: str, numbers: Numbers, rows: Sequence[Sequence[Array]]) -> list[list[Array]]:
    """``rule`` on all rows (p, g, *slots), in one launch for every so many of them."""
    update = device.kernel("optimizers.cu", "update", (("RULE", name), *real(rows[0][0])))
    moved = [[device.empty(a.shape, a.dtype) for a in (p, *slots)] for p, _, *slots in rows]
    pairs = [[*before, *after] for before, after in zip(rows, moved, strict=True)]
    for size, ends, columns in groups(pairs):
        before, after = columns[: len(rows[0])], columns[len(rows[0]) :]
        update(*grid(size), (size, *map(device.struct, (ends, table(*before), table(*after), numbers))))
    return moved
