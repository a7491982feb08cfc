"""A sequence in pieces, and where its steps or pieces are written down one after the other."""

from ..arrays import device, writeable
from ..types import Array, Namespace


def cut_up(length: int, size: int) -> list[slice]:
    """An axis of ``length`` in cuts of ``size`` ≥ 1, from its start on; the last one is as long as what is left."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


class Record:
    """Tuples of arrays, one tuple a step, that become one (steps, ...) array a leaf.

    Where the library can write, each leaf has one array from the start and steps fill its slices, which needs half the
    memory; where it cannot, steps are kept and stacked. Each step is put exactly once.
    """

    def __init__(self, xp: Namespace, steps: int) -> None:
        self._xp, self._steps = xp, steps
        self._slabs: list = []
        self._written: list[tuple[int, Array]] = []
        self._kept: list[tuple[int, list]] = []

    def put(self, step: int, leaves: tuple[Array, ...], views: tuple = (), slabs: tuple = ()) -> None:
        """Write down ``leaves``, which have the same shapes at every step.

        A leaf that is one of ``views`` is a step of one of ``slabs`` and stays there.
        """
        if not self._slabs:
            for leaf in leaves:
                self._begin(leaf, views, slabs)
        for n, slab in self._written:
            slab[step, ...] = leaves[n]
        for n, steps in self._kept:
            steps[step] = leaves[n]

    def arrays(self) -> tuple[Array, ...]:
        """All that was put, a (steps, ...) array for each leaf."""
        return tuple(self._xp.stack(slab) if isinstance(slab, list) else slab for slab in self._slabs)

    def _begin(self, leaf: Array, views: tuple, slabs: tuple) -> None:
        """Find a place for the leaf that comes next."""
        own = [slab for view, slab in zip(views, slabs, strict=True) if view is leaf]
        if own:
            self._slabs.append(own[0])
            return
        if writeable(leaf):
            slab = self._xp.empty((self._steps, *leaf.shape), dtype=leaf.dtype, device=device(leaf))
            self._written.append((len(self._slabs), slab))
        else:
            slab = [None] * self._steps
            self._kept.append((len(self._slabs), slab))
        self._slabs.append(slab)


class Pieces:
    """Cuts of an array over time that become the whole (steps, ...) array; each step is in one of them.

    Where the library can write, they fill one array from the start, so nothing is held twice.
    """

    def __init__(self, xp: Namespace, steps: int) -> None:
        self._xp, self._steps = xp, steps
        self._parts: dict[int, Array] = {}

    def put(self, cut: slice, part: Array) -> None:
        """Write down ``part``, the steps of ``cut``. The only piece, all steps, is the whole array."""
        if part.shape[0] == self._steps or not writeable(part):
            self._parts[cut.start] = part
            return
        if not self._parts:
            self._parts[0] = self._xp.empty((self._steps, *part.shape[1:]), dtype=part.dtype, device=device(part))
        self._parts[0][cut, ...] = part

    def array(self) -> Array:
        """The whole array."""
        parts = [self._parts[start] for start in sorted(self._parts)]
        return parts[0] if len(parts) == 1 else self._xp.concat(parts)
