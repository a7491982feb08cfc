"""Learning rates that change: small frozen functions of the step, the number of updates already made (0 at first).

They compare, print and consist of numbers, so that a model's file can hold them. Any function of the step will do too.
"""

import math
from dataclasses import dataclass

from .base import check_count, check_number


@dataclass(frozen=True)
class Constant:
    """The same ``rate`` at every step."""

    rate: float

    def __post_init__(self) -> None:
        check_number(self, "rate")

    def __call__(self, step: int) -> float:
        """rate."""
        return self.rate


@dataclass(frozen=True)
class Exponential:
    """initial · decay^(step / steps); with ``staircase`` the exponent is rounded down, so it falls every ``steps``."""

    initial: float
    decay: float
    steps: int = 1
    staircase: bool = False

    def __post_init__(self) -> None:
        check_number(self, "initial")
        check_number(self, "decay", above=0.0)
        check_count(self, "steps")

    def __call__(self, step: int) -> float:
        """initial · decay^(step / steps)."""
        return self.initial * self.decay ** (step // self.steps if self.staircase else step / self.steps)


@dataclass(frozen=True)
class Piecewise:
    """rates[i], where i counts the ``boundaries`` that the step has reached.

    boundaries: steps, each above the one before.
    rates: one more than there are boundaries.
    """

    boundaries: tuple[int, ...]
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        object.__setattr__(self, "rates", tuple(float(rate) for rate in self.rates))
        if len(self.rates) != len(self.boundaries) + 1:
            counts = f"{len(self.boundaries)} boundaries and {len(self.rates)} rates"
            raise ValueError(f"Piecewise: {counts}; wanted one rate more than boundaries")
        if any(later <= earlier for earlier, later in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError(f"Piecewise: boundaries={self.boundaries}; wanted each above the one before")
        if not all(0.0 <= rate < math.inf for rate in self.rates):
            raise ValueError(f"Piecewise: rates={self.rates}; wanted finite numbers of at least 0")

    def __call__(self, step: int) -> float:
        """The rate of the piece that ``step`` is in."""
        return self.rates[sum(step >= boundary for boundary in self.boundaries)]


@dataclass(frozen=True)
class Warmup:
    """A straight rise, peak · (step + 1) / steps, over the first ``steps`` steps, then ``peak``. It is never 0."""

    peak: float
    steps: int

    def __post_init__(self) -> None:
        check_number(self, "peak")
        check_count(self, "steps")

    def __call__(self, step: int) -> float:
        """peak · min(1, (step + 1) / steps)."""
        return self.peak * min(1.0, (step + 1) / self.steps)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from ``peak`` to ``end`` (Loshchilov and Hutter 2017), after a straight rise of ``warmup`` steps.

    steps: when ``end`` is reached, the rise included; the rate stays there.
    """

    peak: float
    steps: int
    warmup: int = 0
    end: float = 0.0

    def __post_init__(self) -> None:
        check_number(self, "peak")
        check_number(self, "end")
        check_count(self, "steps")
        check_count(self, "warmup", 0)
        if self.warmup >= self.steps:
            raise ValueError(f"Cosine: warmup={self.warmup} of steps={self.steps}; wanted fewer than steps")

    def __call__(self, step: int) -> float:
        """peak · (step + 1) / warmup in the rise, then end + (peak − end) (1 + cos π q) / 2, with q the part done."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        done = min(1.0, (step - self.warmup) / (self.steps - self.warmup))
        return self.end + (self.peak - self.end) * (1.0 + math.cos(math.pi * done)) / 2.0
