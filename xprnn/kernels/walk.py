"""A step done for one time after the other, on any library: what a loop kernel's two ways have in common."""

from collections.abc import Callable

from ..types import Array, Namespace
from .record import Record

Step = Callable[[tuple, tuple], tuple[tuple, tuple]]
Walked = tuple[tuple, tuple, tuple]


def walk(xp: Namespace, step: Step, s: tuple, slabs: tuple, T: int, reverse: bool, kept: int) -> Walked:
    """T times ``s, out = step(s, at)`` -> the last s, the T + 1 states of the first ``kept`` leaves, all outs.

    slabs: what the steps see: (T, ...) arrays, of which ``at`` has step t's slice, or None, which stays None.
    An out that is one of ``at`` stays where it is, in its slab; states and outs are (T + 1, ...) and (T, ...) arrays.
    Step t stands between the states t and t + 1, whichever way it is walked.
    """
    parts = [[None] * T if a is None else xp.unstack(a) for a in slabs]
    states, outs, after = Record(xp, T + 1), Record(xp, T), 0 if reverse else 1
    states.put(T if reverse else 0, s[:kept])
    for t in range(T)[:: -1 if reverse else 1]:
        at = tuple(part[t] for part in parts)
        s, out = step(s, at)
        states.put(t + after, s[:kept])
        outs.put(t, out, at, slabs)
    return s, states.arrays(), outs.arrays()
