"""Trees of arrays on their way to a GPU: as many leaves as a launch takes, and what it is told of them."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..gpu import dense
from ..types import Array

MANY = 32
"""The leaves that leaves.cuh takes at once."""


class Group(NamedTuple):
    """Some of the leaves, in columns.

    size:    the numbers in a column.
    ends:    where each leaf ends in a column, as a device makes a struct of.
    columns: of each tree its leaves, dense.
    """

    size: int
    ends: tuple
    columns: list[list[Array]]


def groups(rows: Sequence[Sequence[Array]]) -> Iterator[Group]:
    """The rows, each of arrays of one shape, in groups of as many as a launch takes; those without elements are not."""
    full = [row for row in rows if math.prod(row[0].shape)]
    for start in range(0, len(full), MANY):
        some = full[start : start + MANY]
        ends = tuple(itertools.accumulate(math.prod(row[0].shape) for row in some))
        filled = ends + (ends[-1],) * (MANY - len(ends))
        yield Group(ends[-1], filled, [[dense(a) for a in column] for column in zip(*some, strict=True)])


def table(*columns: Sequence[Array]) -> tuple:
    """The columns of a group, each filled up to what a launch takes, as a device makes a struct of."""
    return tuple(itertools.chain.from_iterable((*column, *(0,) * (MANY - len(column))) for column in columns))
