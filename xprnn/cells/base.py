"""What a cell is: functions of its parameters, each with its reverse, which are called in the reverse order."""

from abc import ABC, abstractmethod
from numbers import Integral
from typing import ClassVar

from ..types import Array, Generator, Namespace, Params


class Cell(ABC):
    """One recurrent step and its reverse, written for a library that is handed in as ``xp``.

        u         = project(xp, p, x)                        all steps at once: x (N, D) → u (N, G), N = T·B
        s, saved  = step(xp, prepare(xp, p), u, s)           one step: u (B, G), s a tuple of (B, n)
        k         = linearize(xp, p, s, new, saved)          all steps at once: the states before and after each, saved
        ds, delta = step_vjp(xp, prepare_vjp(xp, p), k, ds)  one step back, linear in ds
        dx, dp    = project_vjp(xp, p, x, s, k, delta)       all steps at once: every weight gradient

    The outer functions and ``linearize`` see time folded into the batch, so they are plain matrix algebra, done once
    per sequence, as ``prepare`` and ``prepare_vjp`` are. A cell is a frozen dataclass, and refuses what its fields
    cannot be, in ``__post_init__`` with ValueError or TypeError; it holds no arrays and never meets lengths, directions
    or time. Rows never meet: row b of each result depends on row b of the arguments alone. Nothing that comes in is
    changed, but for one thing: ``step_vjp`` may write into what ``linearize`` has made, and return that as its delta
    (``project_vjp`` then looks at the delta only). ``a += b`` may change the array or make a new one, as where arrays
    cannot be written to: go on with ``a``. ``step`` and ``step_vjp`` do the same at every time: where nothing hangs on
    an array's numbers, the loop on NumPy runs them once and does again what they have done. So they draw no random
    numbers, count no calls, and leave a matrix as it is once they have multiplied by it.
    What a step costs in the loop, each cell says: the operations that compute arrays, adding dy among them, and the
    copies of results to where they are kept. NumPy's loop, which does again what it has done, makes no more operations,
    and copies in places of its own.
    Names in ``p`` are the cell's own, but for "keep", which is recurrent dropout's, and "state0", "state1", ..., which
    are a learned initial state's.
    """

    hidden: int
    takes_dropout: ClassVar[bool] = False
    """Whether the steps send h through ``ops.gates.drop`` on its way into the recurrent weights: recurrent dropout."""

    def __post_init__(self) -> None:
        """Raise ValueError unless each leaf of the state is a whole number of units wide, 1 or more."""
        for n in self.state_sizes:
            if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
                raise ValueError(f"{type(self).__name__} has a whole number of units, 1 or more, not {n!r}")

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The width of each leaf of the state; the first leaf is the output."""
        return (self.hidden,)

    @property
    def zoneout(self) -> tuple[float, ...]:
        """The rates at which units keep their state, for each leaf, or none; ``Zoneout`` says what x has then."""
        return ()

    @abstractmethod
    def init(self, rng: Generator, features: int) -> Params:
        """Fresh parameters for ``features`` inputs: a dict of float64 NumPy arrays."""

    @abstractmethod
    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        """The drive u (N, G): all that the steps see of x (N, D)."""

    def prepare(self, xp: Namespace, p: Params) -> Params:
        """The parameters as ``step`` wants them; by default as they are."""
        return p

    @abstractmethod
    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        """The state after one step, and what the way back needs beside the state before it."""

    def linearize(self, xp: Namespace, p: Params, s: tuple, new: tuple, saved: tuple) -> tuple:
        """The coefficients of ``step_vjp``, (N, n) arrays; by default (*s, *saved)."""
        return (*s, *saved)

    def prepare_vjp(self, xp: Namespace, p: Params) -> Params:
        """The parameters as ``step_vjp`` wants them; by default as they are."""
        return p

    @abstractmethod
    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        """From the cotangent of the state after a step, that of the state before it, and what the weights will need."""

    @abstractmethod
    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        """dx (N, D), and the gradients of ``p`` summed over all N rows."""
