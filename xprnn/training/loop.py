"""Training as an iterator: one report an update, and the run as it stands after it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..layers.base import Layer
from ..random import Key
from ..types import Array
from .data import Data, mean, pick, plan, shuffled, weight
from .step import Recipe, Run, step


@dataclass(frozen=True)
class Report:
    """Where training stands after an update: ``epoch`` of ``epochs``, ``update`` of ``updates`` (both from 1).

    mean is the loss over the epoch so far as a 0-d array; reading ``loss`` waits for the device.
    metrics holds the validation's results after the last update of an epoch, where there is a validation.
    """

    epoch: int
    epochs: int
    update: int
    updates: int
    mean: Array
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """The mean loss over the epoch so far."""
        return float(self.mean)

    @property
    def last(self) -> bool:
        """Whether this update ends the epoch."""
        return self.update == self.updates

    def __str__(self) -> str:
        where = f"epoch {self.epoch}/{self.epochs}  update {self.update}/{self.updates}"
        numbers = {"loss": self.loss, **self.metrics}
        return "  ".join([where, *(f"{name} {value:.4f}" for name, value in numbers.items())])


def train(layer: Layer, recipe: Recipe, data: Data, run: Run, key: Key) -> Iterator[tuple[Run, Report]]:
    """Go on from ``run`` until recipe.epochs are done. What is random hangs on ``key``, epoch and update alone."""
    cuts = plan(data, recipe.batch_size, recipe.chunk)
    while run.epoch < recipe.epochs:
        epoch = run.epoch
        mixed = recipe.shuffle and data.x.shape[0] > recipe.batch_size
        samples = shuffled(data, key.fold("order").fold(epoch)) if mixed else data
        for update, cut in list(enumerate(cuts))[run.update :]:
            batch = pick(samples, cut)
            start = run._replace(state=None) if cut.first else run
            here = key.fold("dropout").fold(epoch).fold(update)
            params, optimizer, state, value = step(layer, recipe, start, batch, here)
            share = weight(batch, layer.mask_after(batch.x, batch.mask))
            total, seen = run.total + value * share, run.weight + share
            report = Report(epoch + 1, recipe.epochs, update + 1, len(cuts), mean(total, seen))
            run = Run(params, optimizer, epoch, update + 1, state, total, seen)
            if report.last:
                run = Run(params, optimizer, epoch + 1)
            yield run, report
