"""The loop of ``fit``: a progress bar over the reports of training, an evaluation after each epoch, early stopping."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tqdm import tqdm

from .history import EarlyStopping, History
from .training import Report
from .types import Params

if TYPE_CHECKING:
    from .model import Model

REFRESH = 0.2  # seconds between looks at the loss: each look waits for the device


def follow(
    model: "Model",
    reports: Iterator[Report],
    measure: Callable[[], dict[str, float]],
    early_stopping: EarlyStopping | None,
    verbose: bool,
) -> History:
    """Go through ``reports``; after each epoch add the loss and what ``measure`` gives to the history returned."""
    history, best, looked = History(), model.params, 0.0
    with tqdm(disable=not verbose, unit="update", file=sys.stderr) as bar:
        for report in reports:
            bar.total = report.epochs * report.updates
            bar.n = (report.epoch - 1) * report.updates + report.update
            if report.last:
                history.append({"loss": report.loss} | measure())
            if report.last or time.monotonic() - looked > REFRESH:
                latest = {name: values[-1] for name, values in history.history.items()} if report.last else {}
                shown = "  ".join(f"{name} {value:.4g}" for name, value in ({"loss": report.loss} | latest).items())
                bar.set_description_str(f"epoch {report.epoch}/{report.epochs}  {shown}", refresh=False)
                bar.refresh()
                looked = time.monotonic()
            if report.last and early_stopping is not None:
                best, over = _judge(model, history, early_stopping, best)
                if over:
                    break
    if early_stopping is not None and early_stopping.restore_best:
        model.params = best
    return history


def _judge(model: "Model", history: History, rule: EarlyStopping, best: Params | None) -> tuple[Params | None, bool]:
    """The best epoch's parameters so far, and whether ``rule`` says to stop."""
    if rule.monitor not in history.history:
        names = ", ".join(history.history)
        raise ValueError(f"early stopping watches {rule.monitor!r}, which there is not; there is {names}")
    values = history[rule.monitor]
    if rule.best(values) == len(values) - 1:
        best = model.params
    if rule.over(values):
        history.stopped = f"{rule.monitor} has not been better since epoch {rule.best(values) + 1}"
        return best, True
    return best, False
