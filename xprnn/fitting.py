"""The loop of ``fit``: a progress bar over the reports of training, an evaluation after each epoch, early stopping."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .history import EarlyStopping, History
from .losses import Loss
from .losses import get as get_loss
from .metrics import get as get_metric
from .random import Key
from .training import Data, Recipe, Report, train
from .types import Params

if TYPE_CHECKING:
    from .model import Model

Metrics = Sequence[str | Callable] | Mapping[str, Callable]

REFRESH = 0.2  # seconds between looks at the loss: each look waits for the device


def measures(loss: str | Loss, metrics: Metrics) -> dict[str, Callable]:
    """What ``evaluate`` is to compute, by name: the loss, as "loss", and metrics, under names that all differ."""
    if isinstance(metrics, str) or callable(metrics):
        raise TypeError(f"metrics are a list, such as ['accuracy'], or a dict, not {metrics!r}")
    found: dict[str, Callable] = {"loss": get_loss(loss)}
    for name in metrics:
        metric = get_metric(metrics[name] if isinstance(metrics, Mapping) else name)  # type: ignore[index]
        key = name if isinstance(name, str) else metric.name
        if key in found:
            raise ValueError(f"two measures are called {key!r}: give metrics as a dict, with a name for each")
        found[key] = metric
    return found


def judged(
    loss: str | Loss, metrics: Metrics, training: tuple, validation: Any
) -> tuple[str, dict[str, Callable], tuple[Any, Any, Any, Any]]:
    """What ``fit`` evaluates after each epoch: the prefix of its names, the measures, and (x, y, lengths, mask).

    Where there is no ``validation``, it is the metrics alone, on the data of the training.
    """
    named = measures(loss, metrics)
    if validation is None:
        del named["loss"]
        return "", named, training
    if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3, 4):
        raise ValueError("validation is a tuple, (x, y), (x, y, lengths) or (x, y, None, mask)")
    x, y, lengths, mask = (*validation, None, None)[:4]
    return "val_", named, (x, y, lengths, mask)


def updates(model: "Model", recipe: Recipe, data: Data) -> Iterator[Report]:
    """Train on from ``model.run``; after each update the model has its run and parameters, and its report comes out."""
    assert model.run is not None
    going = train(model.layer, recipe, data, model.run, Key(model.seed).fold("training"))
    while True:
        with model.backend.active():  # not while the caller has the report
            update = next(going, None)
        if update is None:
            return
        model.run, model.params = update[0], update[0].params
        yield update[1]


def check_monitor(early_stopping: EarlyStopping | None, names: tuple[str, ...]) -> None:
    """Raise ValueError unless what early stopping watches is among the ``names`` that there are numbers of."""
    if early_stopping is not None and early_stopping.monitor not in names:
        watched = early_stopping.monitor
        raise ValueError(f"early stopping watches {watched!r}, which is not measured; measured are {', '.join(names)}")


def follow(
    model: "Model",
    reports: Iterator[Report],
    measure: Callable[[], dict[str, float]],
    early_stopping: EarlyStopping | None,
    verbose: bool,
) -> History:
    """Go through ``reports``; after each epoch add the loss and what ``measure`` gives to the history returned."""
    from tqdm import tqdm

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
    check_monitor(rule, tuple(history.history))
    values = history[rule.monitor]
    if rule.best(values) == len(values) - 1:
        best = model.params
    if rule.over(values):
        history.stopped = f"{rule.monitor} has not been better since epoch {rule.best(values) + 1}"
        return best, True
    return best, False
