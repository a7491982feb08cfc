"""A step done for one time after the other, on any library: what the loop's way there and its way back are."""

from collections.abc import Callable
from typing import Protocol

from ..types import Array, Namespace, Params
from .record import Record

Walked = tuple[tuple, tuple[Array, ...], tuple[Array, ...]]


class Step(Protocol):
    """What is done at each time: the next state, and what is left, from p, the state and what is there at that time."""

    def __call__(self, p: Params, s: tuple, at: tuple, /) -> tuple[tuple, tuple]: ...

    def __hash__(self) -> int: ...


Walk = Callable[[Namespace, Step, Params, tuple, tuple, int, bool, int], Walked]


def walk(xp: Namespace, step: Step, p: Params, s: tuple, slabs: tuple, T: int, reverse: bool, kept: int) -> Walked:
    """``s, out = step(p, s, at)`` T times -> the last s, the T + 1 states of the first ``kept`` leaves, all outs.

    slabs: what steps see beside p, (T, ...) arrays: at time t ``at`` is the t-th part of each, or None for one that is
    None. Time t stands between the states t and t + 1, whichever way it is walked. States and outs are (T + 1, ...) and
    (T, ...) arrays, one for each leaf; an out that is one of ``at`` stays where it is, in its slab.
    """
    ats = list(zip(*([None] * T if a is None else xp.unstack(a) for a in slabs), strict=True))
    states, outs, after = Record(xp, T + 1), Record(xp, T), 0 if reverse else 1
    states.put(T if reverse else 0, s[:kept])
    for t in range(T)[:: -1 if reverse else 1]:
        s, out = step(p, s, ats[t])
        if kept:
            states.put(t + after, s[:kept])
        if out:
            outs.put(t, out, ats[t], slabs)
    return s, states.arrays(), outs.arrays()
