"""How far training is: a bar where someone is looking, a line for each epoch where the output goes to a file."""

import math
import sys
import time
from types import TracebackType

from tqdm import tqdm

from ..training import Report, Run
from .options import Options

REFRESH = 0.2  # seconds between looks at the loss: each look waits for the device


def bits(nats: float) -> float:
    """A loss in nats, in bits."""
    return nats / math.log(2)


class Progress:
    """A context in which ``update`` is told of each update and ``epoch`` of each epoch, all on stderr.

    shape is that of the data, (rows, steps); run is where training begins.
    """

    def __init__(self, chosen: Options, shape: tuple[int, int], run: Run | None) -> None:
        self._rows, self._steps, self._chunk = *shape, chosen.chunk
        self._first = self._done = self._characters(run.epoch, run.update) if run else 0
        self._total = self._characters(chosen.epochs, 0)
        self._bar = tqdm(
            total=self._total, initial=self._done, unit="char", unit_scale=True, dynamic_ncols=True,
            file=sys.stderr, disable=not sys.stderr.isatty(),
            bar_format="{desc} {percentage:3.0f}% |{bar}| {rate_fmt}  {remaining} left",
        )  # fmt: skip
        self._started, self._looked = time.monotonic(), 0.0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def update(self, report: Report) -> None:
        """Another update is done."""
        before, self._done = self._done, self._characters(report.epoch - 1, report.update)
        if self._bar.disable:
            return
        if time.monotonic() - self._looked > REFRESH:
            text = f"epoch {report.epoch}/{report.epochs}  {bits(report.loss):.3f} bits/char"
            self._bar.set_description_str(text, refresh=False)
            self._looked = time.monotonic()
        self._bar.update(self._done - before)

    def epoch(self, report: Report, training: float, held_out: float) -> None:
        """An epoch is over, with so many bits per character."""
        speed = (self._done - self._first) / (time.monotonic() - self._started)
        left = (self._total - self._done) / speed
        line = (
            f"epoch {report.epoch}/{report.epochs}   training {training:.3f}   held-out {held_out:.3f} bits/char   "
            f"{speed:,.0f} char/s   {_clock(left)} left"
        )
        tqdm.write(line, file=sys.stderr)

    def _characters(self, epochs: int, updates: int) -> int:
        """How many characters so many epochs and so many updates of the next go through."""
        return self._rows * (epochs * self._steps + min(updates * self._chunk, self._steps))


def _clock(seconds: float) -> str:
    """Seconds as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
