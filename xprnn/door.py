"""The door of a model: is this input one it can take? Everything is looked at here once, and nothing further in."""

from typing import Any, NamedTuple

from . import tree
from .arrays import namespace
from .backend import Backend
from .layers.base import Layer
from .lengths import lengths_to_mask
from .types import Array, Shape, State


class Entry(NamedTuple):
    """What passed: x (B, ...), its mask (B, T) or None, the state, and whether x came without a batch axis."""

    x: Array
    mask: Array | None
    state: State
    single: bool


def sample_shape(layer: Layer, x: Array) -> Shape:
    """The shape of one sample of x, from x alone: any number of steps, and as many axes as ``layer`` takes."""
    rank = x.ndim - 1 if layer.rank is None else layer.rank
    features = tuple(x.shape[x.ndim - rank + 1 :])
    return (None, *features) if layer.rank in (1, 2) else tuple(x.shape[1:])


def enter(
    backend: Backend, layer: Layer, shape: Shape, x: Array, state: State, lengths: Any, mask: Array | None
) -> Entry:
    """Check x, a batch of samples of ``shape`` or a single one, and what comes with it; raise with what would be right.

    lengths (B,) are integers from 0 to T, of any library, or one integer for a single sample; mask is (B, T) or (T,).
    """
    backend.check(x, "x")
    single = x.ndim == len(shape)
    if x.ndim not in (len(shape), len(shape) + 1) or not _fits(x.shape if single else x.shape[1:], shape):
        raise ValueError(f"x has the shape {tuple(x.shape)}; the model takes {_wanted(shape)}")
    if 0 in x.shape[x.ndim - len(shape) :]:
        raise ValueError(f"x has the shape {tuple(x.shape)}: no steps; the model takes {_wanted(shape)} with T ≥ 1")
    xp = namespace(x)
    if single:
        x = xp.expand_dims(x, axis=0)
        mask = None if mask is None else xp.expand_dims(mask, axis=0)
        lengths = None if lengths is None else [lengths]
        state = tree.map(lambda a: xp.expand_dims(a, axis=0), state)
    mask = _mask(backend, x, lengths, mask, len(shape))
    for name, leaf in tree.flatten(state, "state").items():
        backend.check(leaf, name)
    layer.check(x, mask)
    return Entry(x, mask, state, single)


def leave(entry: Entry, y: Array, state: State) -> tuple[Array, State]:
    """y and the state without the batch axis that ``enter`` put in front of a single sample."""
    if not entry.single:
        return y, state
    return y[0, ...], tree.map(lambda a: a[0, ...], state)


def check_classes(output: Shape | None, target: Array, mask: Array | None) -> None:
    """Raise ValueError if ``target`` holds classes and a real one is not among those of an ``output`` (..., V).

    Targets are classes where they are integers with one axis less than the output.
    """
    xp = namespace(target)
    if output is None or target.ndim != len(output) or not xp.isdtype(target.dtype, "integral") or 0 in target.shape:
        return
    real = target if mask is None else xp.where(mask, target, xp.zeros_like(target))
    low, high, classes = int(xp.min(real)), int(xp.max(real)), output[-1] or 0
    if low < 0 or high >= classes:
        raise ValueError(
            f"a target is the class {low if low < 0 else high}; the model gives {classes}, 0 to {classes - 1}"
        )


def _mask(backend: Backend, x: Array, lengths: Any, mask: Array | None, rank: int) -> Array | None:
    if lengths is None and mask is None:
        return None
    if lengths is not None and mask is not None:
        raise ValueError("give lengths or a mask, not both")
    if x.ndim < 2 or (rank == 1 and x.ndim == 2 and not namespace(x).isdtype(x.dtype, "integral")):
        raise ValueError(f"lengths and masks are for sequences; x has the shape {tuple(x.shape)}, without a time axis")
    if lengths is not None:
        return lengths_to_mask(backend, lengths, x.shape[0], x.shape[1])
    backend.check(mask, "mask")
    if not namespace(mask).isdtype(mask.dtype, "bool") or tuple(mask.shape) != tuple(x.shape[:2]):  # type: ignore[union-attr]
        met = f"{tuple(mask.shape)} of {mask.dtype}"  # type: ignore[union-attr]
        raise ValueError(f"the mask is {met}; x {tuple(x.shape)} wants {tuple(x.shape[:2])} of bool")
    return mask


def _fits(met: tuple, wanted: Shape) -> bool:
    return all(b is None or a == b for a, b in zip(met, wanted, strict=True))


def _wanted(shape: Shape) -> str:
    """(None, 3) in words: "(B, T, 3), or (T, 3) for a single sample"."""
    axes = ["T" if n is None else str(n) for n in shape]
    return f"({', '.join(['B', *axes])}), or ({', '.join(axes)}{',' if len(axes) == 1 else ''}) for a single sample"
