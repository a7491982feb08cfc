"""Whether data, targets, loss and measures fit each other, found out before anything is trained."""

import numbers
from collections.abc import Callable
from typing import Any, NamedTuple

from ..arrays import device, namespace
from ..layers.base import Layer
from ..ops.rows import signed
from ..types import Shape
from .data import Data, pick, plan

PREDICTION = 0.5  # stands for a model's outputs while a loss is tried on them: a logit and a probability alike


class Given(NamedTuple):
    """What a layer makes of data: the shape that comes out for one sample, its dtype, and whether time goes in."""

    layer: Layer
    output: Shape
    dtype: str
    timed: bool

    def shape(self, samples: int, steps: int) -> Shape:
        """The shape of the outputs for so many samples of so many steps."""
        kept = self.timed and not self.layer.shortens
        return (samples, steps, *self.output[1:]) if kept else (samples, *self.output)


def whole(name: str, value: Any) -> int:
    """``value`` as a Python int; ValueError unless it is a whole number, 1 or more."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} is a whole number, 1 or more, not {value!r}")
    return int(value)


def limit(name: str, value: Any) -> float:
    """``value`` as a Python float; ValueError unless it is a number above 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not float(value) > 0:
        raise ValueError(f"{name} is a number above 0, not {value!r}")
    return float(value)


def check_data(
    given: Given, data: Data, measures: dict[str, Callable], chunk: int | None = None, segment: int | None = None
) -> None:
    """Raise ValueError or TypeError if ``data`` cannot be cut as asked, or the targets do not fit outputs and measures.

    Each measure is tried on the first sample, with a made-up prediction of the shape that there will be.
    """
    x, y, mask = data
    layer, shapes = given.layer, f"x has the shape {tuple(x.shape)}, y {tuple(y.shape)}"  # type: ignore[union-attr]
    if y.ndim == 0 or y.shape[0] != x.shape[0]:  # type: ignore[union-attr]
        raise ValueError(f"{shapes}; they must hold equally many samples")
    for name, steps, judged in (("chunk", chunk, True), ("segment", segment, not layer.shortens)):
        if steps is None:
            continue
        if not (given.timed and layer.streams) or (judged and layer.shortens):
            raise ValueError(f"{name}={steps} cuts sequences in time; {layer} works on whole sequences only")
        if not judged and layer.makes_mask:
            raise ValueError(
                f"{name}={steps} cuts sequences in time; {layer} finds in x itself where they end, which not every "
                "piece shows: leave that to lengths= or mask="
            )
        if judged and (y.ndim < 2 or y.shape[1] != x.shape[1]):  # type: ignore[union-attr]
            raise ValueError(f"{shapes}; with {name}={steps}, y needs a target for each of the {x.shape[1]} steps")
    one, xp = pick(data, plan(data, 1, chunk if layer.shortens else segment or chunk)[0]), namespace(x)
    shape = given.shape(one.x.shape[0], one.x.shape[1] if x.ndim > 1 else 0)
    prediction = xp.full(shape, PREDICTION, dtype=getattr(xp, given.dtype), device=device(x))
    for name, measure in measures.items():
        try:
            result = measure(prediction, one.y, layer.mask_after(one.x, one.mask))
            if name == "loss":
                _check_loss(measure, result, shape)
        except (ValueError, TypeError) as error:
            outputs = given.shape(x.shape[0], x.shape[1] if x.ndim > 1 else 0)
            raise type(error)(f"{error} (on the first sample alone; {shapes}, the outputs have {outputs})") from error
    if 0 not in data.y.shape:  # type: ignore[union-attr]
        _check_classes(given.output, y, layer.mask_after(x, mask))


def _check_loss(loss: Callable, result: Any, shape: Shape) -> None:
    """Raise TypeError unless what the loss gave are its value and a gradient of the prediction's ``shape``."""
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"a loss gives its value and its gradient, (value, dy); {loss} gave {type(result).__name__}")
    if tuple(getattr(result[1], "shape", ())) != tuple(shape):
        raise TypeError(f"a loss's gradient has the shape of the outputs, {shape}; {loss} gave {result[1].shape}")


def _check_classes(output: Shape, target: Any, mask: Any) -> None:
    """Raise ValueError if ``target`` holds classes and a real one is not among those of an ``output`` (..., V).

    Targets are classes where they are integers with one axis less than the output.
    """
    xp = namespace(target)
    if target.ndim != len(output) or not xp.isdtype(target.dtype, "integral"):
        return
    target = signed(xp, target)
    real = target if mask is None else xp.where(mask, target, xp.zeros_like(target))
    low, high, classes = int(xp.min(real)), int(xp.max(real)), output[-1] or 0
    if low < 0 or high >= classes:
        raise ValueError(
            f"a target is the class {low if low < 0 else high}; the model gives {classes}, 0 to {classes - 1}"
        )
