"""Layers and cells as JSON and back: what is written is names and numbers, and nothing that is read is executed."""

import dataclasses
import numbers
import types
import typing
from collections.abc import Iterable
from typing import Any

from .. import cells
from ..cells import Cell
from ..layers.base import Layer
from ..layers.catalog import LAYERS
from ..layers.sequential import Sequential

CELLS = tuple(kind for kind in vars(cells).values() if isinstance(kind, type) and issubclass(kind, Cell))
PLAIN: dict[Any, Any] = {kind: kind for kind in (bool, int, str, tuple, type(None))} | {float: (int, float)}
DEEPEST, MOST = 64, 10_000  # how deep a description nests, and how many parts it may have
KNOWN = {f"layers.{kind.__name__}": kind for kind in LAYERS} | {f"cells.{kind.__name__}": kind for kind in CELLS}


def to_json(value: Any) -> Any:
    """A layer or cell as a dict of JSON's types, {"type": "layers.LSTM", "hidden": 64, ...}.

    Raises TypeError for whatever is not a dataclass of layers, cells, numbers, strings, None, and tuples of these, and
    ValueError if there are too many.
    """
    description = _describe(value)
    _count(description)
    return description


def _describe(value: Any) -> Any:
    if isinstance(value, Sequential):
        shared = dict(zip(value.names, map(_describe, value.layers), strict=True))
        return {"type": "layers.Sequential", "names": list(value.names), "layers": shared}
    if isinstance(value, (Layer, Cell)) and dataclasses.is_dataclass(value):
        fields = {field.name: _describe(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": _name(type(value))} | fields
    if isinstance(value, tuple):
        return [_describe(item) for item in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Real):  # NumPy's too
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    raise TypeError(f"{value!r} cannot be written to a file: layers and cells are dataclasses of numbers and names")


def from_json(value: Any, custom: Iterable[type] = ()) -> Any:
    """What ``to_json`` was given. ``custom`` are the caller's own layer and cell classes that may occur.

    Raises ValueError for a type that is not known, fields that it does not have, values that these cannot have, and
    more than ``MOST`` parts, however few words they take.
    """
    known: dict[str, type] = dict(KNOWN)
    for kind in custom:
        if known.setdefault(_name(kind), kind) is not kind:
            raise ValueError(f"two classes in custom are called {kind.__name__}")
    _count(value)
    return _build(value, known)


def _build(value: Any, known: dict[str, type]) -> Any:
    if isinstance(value, list):
        return tuple(_build(item, known) for item in value)
    if not isinstance(value, dict):
        return value
    fields = dict(value)
    name = fields.pop("type", None)
    if name not in known:
        raise ValueError(f"the file holds a {name}, which is not known here; give its class in custom=(...,)")
    if known[name] is Sequential:
        if fields.keys() != {"names", "layers"} or fields["layers"].keys() != set(fields["names"]):
            raise ValueError("a Sequential consists of names, and a layer for each")
        shared = {layer: _build(spec, known) for layer, spec in fields["layers"].items()}
        return Sequential(*(shared[layer] for layer in fields["names"]), names=_build(fields["names"], known))
    kind, items = known[name], {field: _build(item, known) for field, item in fields.items()}
    for field in dataclasses.fields(kind):
        if field.name in items and not fits(items[field.name], field.type):
            raise ValueError(f"the file's {name} has {field.name}={items[field.name]!r}, wanted {field.type}")
    try:
        return kind(**items)
    except TypeError as error:
        raise ValueError(f"the file's {name} does not fit the one known here: {error}") from error


def _count(value: Any, depth: int = 0) -> int:
    """How many layers, cells and items a description stands for: all that is done with it takes time in proportion.

    A layer counts as often as it is used. Raises ValueError for more than ``MOST``.
    """
    if depth > DEEPEST:
        raise ValueError(f"layers are nested more than {DEEPEST} deep")
    if not isinstance(value, dict | list):
        return 1
    if isinstance(value, list):
        total = sum(_count(item, depth + 1) for item in value)
    elif value.get("type") == "layers.Sequential":
        shared = {name: _count(layer, depth + 1) for name, layer in value["layers"].items()}
        total = 1 + sum(shared[name] for name in value["names"])
    else:
        repeats = value.get("num_layers", 1)
        total = 1 + sum(_count(item, depth + 1) for item in value.values() if isinstance(item, dict | list))
        total *= repeats if isinstance(repeats, int) and repeats > 1 else 1
    if total > MOST:
        raise ValueError(f"there are more than {MOST} parts in it")
    return total


def fits(value: Any, hint: Any) -> bool:
    """Whether ``value`` is what a dataclass declares, where that is plain, a layer or a cell; else anything is."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is tuple and isinstance(value, tuple):
        items = arguments[:1] * len(value) if arguments[1:] == (...,) else arguments
        return len(items) == len(value) and all(map(fits, value, items))
    kind = origin or hint
    if kind in (int, float) and isinstance(value, bool):
        return False
    told = kind in PLAIN or (isinstance(kind, type) and issubclass(kind, (Layer, Cell)))
    return not told or isinstance(value, PLAIN.get(kind, kind))


def _name(kind: type) -> str:
    """What a file calls a class; a caller's own cannot be taken for one of the library's of the same name."""
    return next((name for name, known in KNOWN.items() if known is kind), f"custom.{kind.__name__}")
