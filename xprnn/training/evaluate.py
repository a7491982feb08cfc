"""Running a trained layer over data: outputs batch by batch, and the means of losses and metrics over them."""

from collections.abc import Callable, Iterator

from ..layers.base import Context, Layer
from ..types import Array, Params, State
from .data import Data, mean, pick, plan, weight


def outputs(
    layer: Layer, params: Params, data: Data, batch_size: int, chunk: int | None
) -> Iterator[tuple[Data, Array]]:
    """Each batch (or chunk of it, the state carried) with the layer's output, in inference: no dropout, no tape."""
    state: State = None
    for cut in plan(data, batch_size, chunk):
        batch = pick(data, cut)
        y, state, _ = layer.forward(params, batch.x, None if cut.first else state, Context(batch.mask, tape=False))
        yield batch, y


def evaluate(
    layer: Layer, params: Params, data: Data, measures: dict[str, Callable], batch_size: int, chunk: int | None
) -> dict[str, float]:
    """The mean of every measure over the real steps of ``data``; a measure that gives a gradient too is a loss."""
    totals: dict[str, Array | float] = dict.fromkeys(measures, 0.0)
    count: Array | int = 0
    for batch, y in outputs(layer, params, data, batch_size, chunk):
        mask = layer.mask_after(batch.x, batch.mask)
        share = weight(batch, mask, y)
        count = count + share
        for name, measure in measures.items():
            result = measure(y, batch.y, mask)
            totals[name] = totals[name] + (result[0] if isinstance(result, tuple) else result) * share
    return {name: float(mean(total, count)) for name, total in totals.items()}
