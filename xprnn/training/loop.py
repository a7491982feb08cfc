"""Training as an iterator: one report an update, and the run as it stands after it."""

from collections.abc import Iterator
from dataclasses import dataclass

from .. import tree
from ..layers.base import Layer
from ..random import Key
from ..types import Array
from .data import Data, mean, pick, plan, shuffled, weight
from .step import Recipe, Run, step


@dataclass(frozen=True)
class Report:
    """Where training stands after an update: ``epoch`` of ``epochs``, ``update`` of ``updates`` (both from 1).

    mean is the loss over the epoch so far as a 0-d array; reading ``loss`` waits for the device.
    """

    epoch: int
    epochs: int
    update: int
    updates: int
    mean: Array

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
        return f"{where}  loss {self.loss:.4f}"


def train(layer: Layer, recipe: Recipe, data: Data, run: Run, key: Key) -> Iterator[tuple[Run, Report]]:
    """Go on from ``run`` until recipe.epochs are done. All randomness comes from ``key``, epoch and update."""
    cuts, sizes = plan(data, recipe.batch_size, recipe.chunk), _sizes(recipe, data)
    while run.epoch < recipe.epochs:
        epoch = run.epoch
        mixed = recipe.shuffle and data.x.shape[0] > recipe.batch_size
        samples = shuffled(data, key.fold("order").fold(epoch)) if mixed else data
        for update, cut in list(enumerate(cuts))[run.update :]:
            batch = pick(samples, cut)
            start = run._replace(state=None) if cut.first else run
            here = key.fold("dropout").fold(epoch).fold(update)
            params, optimizer, state, value = step(layer, recipe, start, batch, here)
            share = weight(batch, layer.mask_after(batch.x, batch.mask), value)
            total, seen = run.total + value * share, run.weight + share
            report = Report(epoch + 1, recipe.epochs, update + 1, len(cuts), mean(total, seen))
            run = Run(params, optimizer, epoch, update + 1, state, total, seen, sizes)
            if report.last:
                run = Run(params, optimizer, epoch + 1)
            yield run, report


def check_resume(recipe: Recipe, data: Data, run: Run) -> None:
    """Raise ValueError unless ``run`` can go on with this recipe on these data."""
    sizes = _sizes(recipe, data)
    if run.update and run.sizes != sizes:
        words = "({}), batch_size={} and chunk={}"
        met, was = (words.format(", ".join(map(str, s[:-2])), s[-2], s[-1] or None) for s in (sizes, run.sizes))
        raise ValueError(f"the run stopped within an epoch over x {was}; it cannot go on within one over x {met}")
    updates = len(plan(data, recipe.batch_size, recipe.chunk))
    if run.update >= updates:
        raise ValueError(f"the run stopped after {run.update} updates of an epoch that has {updates}")
    wanted, given = _shapes(recipe.optimizer.init(run.params)), _shapes(run.optimizer)
    if given != wanted:
        slots = " and ".join(f"{{{', '.join(state)}}}" for state in (run.optimizer, recipe.optimizer.init(run.params)))
        raise ValueError(f"the run's optimizer is another than {recipe.optimizer}: their states are {slots}")


def _sizes(recipe: Recipe, data: Data) -> tuple[int, ...]:
    return (*data.x.shape, recipe.batch_size, recipe.chunk or 0)


def _shapes(state: dict) -> dict[str, tuple[int, ...]]:
    return {name: tuple(getattr(a, "shape", ())) for name, a in tree.flatten(state).items()}
