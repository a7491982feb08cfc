"""What a device does beside each other, and who has waited for whom before touching an array.

All is done at once, in the order of the host. Each thing that is done knows which things are sure to be done before it;
one that touches what another has written, or writes what another touches, is an error unless it is sure of that other.
"""

import weakref
from dataclasses import dataclass

import numpy as np

from .memory import Struct


class Order:
    """The lanes 0 and 1, what each is sure of, and what was last done with each array.

    clocks:   for each lane, how many things of each lane are done before its next one.
    touched:  for the memory of each array, who has written it last, and who has read it since: (lane, number) each.
    given:    for each lane, who has last touched memory of its own that was given back, and may be given out again.
    """

    def __init__(self):
        self.lane, self.clocks, self.touched, self.given, self.homes = 0, {0: {0: 0, 1: 0}}, {}, {0: [], 1: []}, {}

    def made(self, a):
        """``a`` is new on this lane, whose memory may be that of an array that went."""
        if any(not self._sure(use) for use in self.given[self.lane]):
            raise RuntimeError("memory is given out again while it is in use beside")
        self.given[self.lane].clear()
        return self._known(a, self.lane)

    def do(self, name, arrays, function, *arguments):
        """Do it, and look whom it should have waited for."""
        if len(self.clocks) == 1:  # nothing was ever beside
            return function(*arguments)
        owners = {id(owner): self._known(owner, None) for owner in map(memory, arrays)}
        before = {key: owner.tobytes() for key, owner in owners.items()}
        function(*arguments)
        clock = self.clocks[self.lane]
        clock[self.lane] += 1
        now = self.lane, clock[self.lane]
        for key, owner in owners.items():
            wrote, reads = self.touched.get(key, (None, []))
            written = owner.tobytes() != before[key]
            for use in [wrote, *(reads if written else [])]:
                if use is not None and not self._sure(use):
                    raise RuntimeError(f"{name} {'writes' if written else 'reads'} an array in use beside: who waits?")
            self.touched[key] = (now, []) if written else (wrote, [*reads, now])
        return None

    def beside(self, function):
        """What ``function`` gives on lane 1, and where it ends there."""
        outside, start = self.lane, self.mark()
        self.clocks.setdefault(1, {0: 0, 1: 0})
        self.lane = 1
        try:
            start.wait()
            return function(), self.mark()
        except BaseException:  # who sees it has waited for all that was asked for
            self.clocks[outside][self.lane] = self.clocks[self.lane][self.lane]
            raise
        finally:
            self.lane = outside

    def mark(self):
        return Mark(self, dict(self.clocks[self.lane]))

    def _sure(self, use):
        lane, number = use
        return self.clocks[self.lane][lane] >= number

    def _known(self, owner, lane):
        """The array, whose memory is from this lane; None: from wherever."""
        if id(owner) not in self.homes:
            self.homes[id(owner)] = lane
            weakref.finalize(owner, self._gone, id(owner)).atexit = False
        return owner

    def _gone(self, key):
        wrote, reads = self.touched.pop(key, (None, []))
        self.given.get(self.homes.pop(key), []).extend(use for use in (wrote, *reads) if use is not None)


@dataclass(frozen=True)
class Mark:
    """What is done up to a place in the order."""

    order: Order
    clock: dict

    def wait(self):
        """What comes from now on is sure of that."""
        clock = self.order.clocks[self.order.lane]
        clock.update({lane: max(number, self.clock[lane]) for lane, number in clock.items()})

    def finish(self):
        """All is done."""


def memory(a):
    """The array whose memory this one shows."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


def arrays_of(arguments):
    """Those among the arguments of a kernel, structs too."""
    flat = [b for a in arguments for b in (a if isinstance(a, Struct) else (a,))]
    return [a for a in flat if isinstance(a, np.ndarray)]
