"""The door of a model: is this input one it can take? Everything is looked at here once, and nothing further in."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from . import tree
from .arrays import namespace, plain
from .backend import Backend, BackendError
from .initializers import Outline
from .layers.base import Layer
from .lengths import lengths_to_mask
from .training import Data, Given, check_data
from .types import Array, Params, Shape, Sizes, State


class Entry(NamedTuple):
    """What passed: x (B, ...), its mask (B, T) or None, the state, and whether x came without a batch axis."""

    x: Array
    mask: Array | None
    state: State
    single: bool


class Tape(NamedTuple):
    """What a model's reverse needs: whether x was a single sample, the batch, y's shape, and the layer's own."""

    single: bool
    batch: int
    shape: tuple[int, ...]
    params: Params
    kept: Any


def sample_shape(backend: Backend, layer: Layer, x: Array) -> Shape:
    """The shape of one sample of x, from x alone: any number of steps, and as many axes as ``layer`` takes."""
    check_kind(backend, layer, x)
    if layer.rank == 1:
        return (None,)
    if layer.rank == 2 or x.ndim == 3:
        return (None, *x.shape[-1:])
    return tuple(x.shape[1:])


def has_time(layer: Layer, shape: Shape) -> bool:
    """Whether the first axis of samples of ``shape`` is time."""
    return len(shape) > 1 or shape == (None,) or (len(shape) == 1 and layer.rank == 1)


def enter(
    backend: Backend, layer: Layer, shape: Shape, x: Array, state: State, lengths: Any, mask: Array | None
) -> Entry:
    """Check x, a batch of samples of ``shape`` or a single one, and what comes with it; raise with what would be right.

    lengths (B,) are integers from 0 to T, of any library, or one integer for a single sample; mask is (B, T) or (T,).
    """
    check_kind(backend, layer, x)
    x = plain(x)
    single = x.ndim == len(shape)
    if x.ndim not in (len(shape), len(shape) + 1) or not _fits(x.shape if single else x.shape[1:], shape):
        raise ValueError(f"x has the shape {tuple(x.shape)}; the model takes {_wanted(shape)}")
    if 0 in x.shape[x.ndim - len(shape) :]:
        raise ValueError(f"x has the shape {tuple(x.shape)}, without a step; the model takes {_wanted(shape)}, T ≥ 1")
    timed = has_time(layer, shape)
    if not timed and not (lengths is None and mask is None):
        raise ValueError(f"lengths and masks are for sequences; x has the shape {tuple(x.shape)}, without a time axis")
    check_mask(backend, mask, x, single)
    mask = None if mask is None else namespace(mask).asarray(mask, copy=True)  # the tape may hold it
    if state is not None:
        check_state(backend, layer.state_sizes, state, () if single else (x.shape[0],))
    if single:
        xp = namespace(x)
        x, mask, state = tree.map(lambda a: xp.expand_dims(a, axis=0), (x, mask, state))
        lengths = None if lengths is None else [lengths]
    if lengths is not None:
        if mask is not None:
            raise ValueError("give lengths or a mask, not both")
        mask = lengths_to_mask(backend, lengths, x.shape[0], x.shape[1])
    layer.check(x, mask)
    return Entry(x, mask, state, single)


def enter_data(
    backend: Backend, layer: Layer, shape: Shape, output: Shape, entry: Entry, y: Array, measures: dict[str, Callable],
    chunk: int | None, segment: int | None,
) -> Data:  # fmt: skip
    """What was entered with its targets y, checked together with the measures of them.

    shape and output are those of one sample, in and out.
    """
    backend.check(y, "y")
    if entry.single:
        raise ValueError(f"x has the shape {tuple(entry.x.shape[1:])}, a single sample's; expected a batch of them")
    data = Data(entry.x, y, entry.mask)
    check_data(Given(layer, output, backend.dtype, has_time(layer, shape)), data, measures, chunk, segment)
    return data


def check_params(layer: Layer, shape: Shape, params: Params) -> Shape:
    """The shape that ``layer`` makes of samples of ``shape``; ValueError unless ``params`` have its names and shapes.

    Nothing is drawn, and no memory is taken, whatever sizes the layer asks for.
    """
    met = {name: tuple(a.shape) for name, a in tree.flatten(params).items()}
    most = max(map(math.prod, met.values()), default=0)
    outline, output = layer.init(Outline(4 * most + 2**20), shape)  # type: ignore[arg-type]
    wanted = {name: tuple(a.shape) for name, a in tree.flatten(outline).items()}
    wrong = [
        f"{name}: {met.get(name, 'missing')}, wanted {wanted.get(name, 'no such parameter')}"
        for name in {**wanted, **met}
        if met.get(name) != wanted.get(name)
    ]
    if wrong:
        raise ValueError(f"the parameters do not fit the layers: {'; '.join(wrong)}")
    return output


def check_cotangents(backend: Backend, layer: Layer, tape: Any, dy: Array | None, dstate: State) -> None:
    """Raise unless ``tape`` is a model's, and there is a dy of its y, a dstate of its last state, or both."""
    if not isinstance(tape, Tape):
        raise TypeError(f"the tape is the third of what forward gave, not a {type(tape).__name__}")
    if dy is not None:
        check_shape(backend, dy, "dy", tape.shape)
    if dstate is not None:
        check_state(backend, layer.state_sizes, dstate, () if tape.single else (tape.batch,), "dstate")
    if dy is None and not tree.leaves(dstate):
        raise ValueError("nothing comes back: give dy, dstate or both")


def leave(single: bool, values: Any) -> Any:
    """A tree of arrays without the batch axis that ``enter`` put in front of a single sample."""
    return tree.map(lambda a: a[0, ...], values) if single else values


def check_kind(backend: Backend, layer: Layer, x: Array, what: str = "x") -> None:
    """Raise unless x is the backend's, and integers for a layer that takes token ids, its floats for any other."""
    if not layer.takes_ids:
        check_floats(backend, x, what)
        return
    backend.check(x, what)
    if not namespace(x).isdtype(x.dtype, "integral"):
        raise TypeError(f"{what} is of dtype {x.dtype}; the model takes token ids, so integers")


def check_floats(backend: Backend, x: Array, what: str) -> None:
    """Raise BackendError unless ``x`` is the backend's, in its float dtype: integers are not cast either."""
    backend.check(x, what)
    if x.dtype != getattr(backend.xp, backend.dtype):
        fix = f"use backend.asarray({what}, {backend.dtype!r})"
        raise BackendError(f"`{what}` is of dtype {x.dtype}, the model is {backend} in {backend.dtype}: {fix}")


def check_shape(backend: Backend, x: Array, what: str, wanted: tuple[int, ...]) -> None:
    """Raise unless ``x`` is the backend's, in its float dtype and of the shape wanted."""
    check_floats(backend, x, what)
    if tuple(x.shape) != wanted:
        raise ValueError(f"{what} has the shape {tuple(x.shape)}; expected {wanted}")


def check_mask(backend: Backend, mask: Array | None, x: Array, single: bool) -> None:
    """Raise unless the mask is None, or one bool for each step of x."""
    if mask is None:
        return
    backend.check(mask, "mask")
    wanted = tuple(x.shape[: 1 if single else 2])
    if not namespace(mask).isdtype(mask.dtype, "bool") or tuple(mask.shape) != wanted:
        raise ValueError(f"the mask is {tuple(mask.shape)} of {mask.dtype}; x {tuple(x.shape)} wants {wanted} of bool")


def check_state(backend: Backend, sizes: Sizes, state: State, batch: tuple[int, ...], what: str = "state") -> None:
    """Raise unless the state has the structure of ``sizes``, each leaf (*batch, n); None in place of a tuple is fine.

    batch: (B,), or () for a single sample.
    """
    if state is None:
        return
    if not isinstance(state, tuple) or len(state) != len(sizes):
        met = f"a tuple of {len(state)}" if isinstance(state, tuple) else f"a {type(state).__name__}"
        raise ValueError(f"{what} is {met}; expected a tuple of {len(sizes)}, of the shapes {_shapes(sizes, batch)}")
    for place, (size, part) in enumerate(zip(sizes, state, strict=True)):
        if isinstance(size, tuple):
            check_state(backend, size, part, batch, f"{what}[{place}]")
        else:
            check_shape(backend, part, f"{what}[{place}]", (*batch, size))


def _shapes(sizes: Sizes, batch: tuple[int, ...]) -> Any:
    return tree.map(lambda n: (*batch, n), sizes)


def _fits(met: tuple, wanted: Shape) -> bool:
    for a, b in zip(met, wanted, strict=True):  # noqa: SIM110 (all() takes twice as long)
        if b is not None and a != b:
            return False
    return True


def _wanted(shape: Shape) -> str:
    """(None, 3) in words: "(B, T, 3), or (T, 3) for a single sample"."""
    axes = ["T" if n is None else str(n) for n in shape]
    return f"({', '.join(['B', *axes])}), or ({', '.join(axes)}{',' if len(axes) == 1 else ''}) for a single sample"
