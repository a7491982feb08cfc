"""Zoneout: units that keep their state for a step, by chance."""

import itertools
from dataclasses import dataclass

from ..types import Array, Generator, Namespace, Params
from .base import Cell


@dataclass(frozen=True)
class Zoneout(Cell):
    """``cell`` with zoneout: each unit of its state s goes on to the cell's new state ŝ, or stays as it was.

        s' = m ⊙ ŝ + (1 - m) ⊙ s                              for each leaf of the state

    cell:  the cell. rates: how likely a unit is to stay, for each leaf of the cell's state: (h, c) of an LSTM.
    m is 0 with probability ``rate`` and else 1, for each unit, step and row anew; 1 - rate, its expectation, where
    nothing is drawn. It is handed in with x (N, D + Σ n): behind the D features a column for each unit of each leaf.
    Parameters and state are those of the cell. Raises ValueError for rates outside [0, 1), or not one for each leaf.
    Source: Krueger et al., Zoneout: regularizing RNNs by randomly preserving hidden activations (2017).
    A step in the loop: 18 array operations and 6 copies forward, 15 and 0 back, with an LSTM.
    """

    cell: Cell
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.cell, Cell) or self.cell.zoneout:
            raise TypeError(f"Zoneout wants a cell that has none yet, not {self.cell!r}")
        count = len(self.cell.state_sizes)
        if not isinstance(self.rates, tuple) or len(self.rates) != count or not all(0 <= r < 1 for r in self.rates):
            raise ValueError(
                f"Zoneout of {self.cell} has a rate from 0 to below 1 for each leaf of its state, a tuple of {count}, "
                f"not {self.rates!r}"
            )

    @property
    def hidden(self) -> int:  # type: ignore[override]
        return self.cell.hidden

    @property
    def takes_dropout(self) -> bool:  # type: ignore[override]
        return self.cell.takes_dropout

    @property
    def zoneout(self) -> tuple[float, ...]:
        return self.rates

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return self.cell.state_sizes

    def init(self, rng: Generator, features: int) -> Params:
        return self.cell.init(rng, features)

    def project(self, xp: Namespace, p: Params, x: Array) -> Array:
        own, m = self._cut(x)
        return xp.concat([self.cell.project(xp, p, own), m], axis=-1)

    def prepare(self, xp: Namespace, p: Params) -> Params:
        return self.cell.prepare(xp, p)

    def step(self, xp: Namespace, p: Params, u: Array, s: tuple) -> tuple[tuple, tuple]:
        own, m = self._cut(u)
        new, saved = self.cell.step(xp, p, own, s)
        mixed = tuple(part * b + (1 - part) * a for part, a, b in zip(self._leaves(m), s, new, strict=True))
        return mixed, (m, *new, *saved)

    def linearize(self, xp: Namespace, p: Params, s: tuple, new: tuple, saved: tuple) -> tuple:
        m, own, rest = saved[0], saved[1 : len(s) + 1], saved[len(s) + 1 :]
        change = xp.concat([b - a for a, b in zip(s, own, strict=True)], axis=-1)
        return (m, change, *self.cell.linearize(xp, p, s, own, rest))

    def prepare_vjp(self, xp: Namespace, p: Params) -> Params:
        return self.cell.prepare_vjp(xp, p)

    def step_vjp(self, xp: Namespace, p: Params, k: tuple, ds: tuple) -> tuple[tuple, tuple]:
        m, dm, *rest = k
        dm *= xp.concat(ds, axis=-1)
        own = tuple(part * d for part, d in zip(self._leaves(m), ds, strict=True))
        before, delta = self.cell.step_vjp(xp, p, tuple(rest), own)
        stay = (a + (d - b) for a, b, d in zip(before, own, ds, strict=True))
        return tuple(stay), (dm, *delta)

    def project_vjp(
        self, xp: Namespace, p: Params, x: Array, s: tuple, k: tuple, delta: tuple
    ) -> tuple[Array, Params]:
        dx, dp = self.cell.project_vjp(xp, p, self._cut(x)[0], s, k[2:], delta[1:])
        return xp.concat([dx, delta[0]], axis=-1), dp

    def _cut(self, a: Array) -> tuple[Array, Array]:
        """What is the cell's own, and m."""
        edge = a.shape[-1] - sum(self.state_sizes)
        return a[..., :edge], a[..., edge:]

    def _leaves(self, m: Array) -> tuple[Array, ...]:
        """m's part for each leaf of the state."""
        ends = itertools.accumulate(self.state_sizes)
        return tuple(m[..., end - n : end] for n, end in zip(self.state_sizes, ends, strict=True))
