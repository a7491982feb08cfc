"""What ``fit`` returns, and when it stops early."""

import math
from dataclasses import dataclass, field


@dataclass
class History:
    """Each epoch's numbers by name, ``history["loss"]``, ``history["val_loss"]``; ``stopped`` says why if early."""

    history: dict[str, list[float]] = field(default_factory=dict)
    stopped: str = ""

    @property
    def epochs(self) -> int:
        """How many epochs there are numbers of."""
        return len(self.history.get("loss", []))

    def __getitem__(self, name: str) -> list[float]:
        return self.history[name]

    def append(self, numbers: dict[str, float]) -> None:
        """Add an epoch's numbers."""
        for name, value in numbers.items():
            self.history.setdefault(name, []).append(value)


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when ``monitor`` has not been better by more than ``min_delta`` for ``patience`` epochs.

    mode: whether better is "min" or "max". restore_best: end with the parameters of the best epoch.
    ValueError for another mode, a patience that is no whole number of 0 or more, a min_delta below 0.
    """

    monitor: str = "val_loss"
    patience: int = 0
    min_delta: float = 0.0
    mode: str = "min"
    restore_best: bool = False

    def __post_init__(self) -> None:
        if self.mode not in ("min", "max"):
            raise ValueError(f"mode is 'min' or 'max', not {self.mode!r}")
        if isinstance(self.patience, bool) or not isinstance(self.patience, int) or self.patience < 0:
            raise ValueError(f"patience is a whole number of epochs, 0 or more, not {self.patience!r}")
        if not 0 <= self.min_delta < math.inf:
            raise ValueError(f"min_delta is a number, 0 or more, not {self.min_delta!r}")

    def best(self, values: list[float]) -> int:
        """The epoch, from 0, after which none was better."""
        sign = 1.0 if self.mode == "min" else -1.0
        best, at = math.inf, 0
        for epoch, value in enumerate(values):
            if sign * value < best - self.min_delta:
                best, at = sign * value, epoch
        return at

    def over(self, values: list[float]) -> bool:
        """Whether it is time to stop after these epochs."""
        waited = len(values) - 1 - self.best(values)
        return waited > 0 and waited >= self.patience
