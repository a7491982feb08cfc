"""Layers and cells as JSON and back: what is written is names and numbers, and nothing that is read is executed."""

import dataclasses
import numbers
from collections.abc import Iterable
from typing import Any

from .. import cells
from ..cells import Cell
from ..layers.base import Layer
from ..layers.catalog import LAYERS
from ..layers.sequential import Sequential

CELLS = tuple(kind for kind in vars(cells).values() if isinstance(kind, type) and issubclass(kind, Cell))
KNOWN = {f"layers.{kind.__name__}": kind for kind in LAYERS} | {f"cells.{kind.__name__}": kind for kind in CELLS}


def to_json(value: Any) -> Any:
    """A layer or cell as a dict of JSON's types, {"type": "layers.LSTM", "hidden": 64, ...}.

    Raises TypeError for whatever is not a dataclass of layers, cells, numbers, strings, None, and tuples of these.
    """
    if isinstance(value, Sequential):
        shared = dict(zip(value.names, map(to_json, value.layers), strict=True))
        return {"type": "layers.Sequential", "names": list(value.names), "layers": shared}
    if isinstance(value, (Layer, Cell)) and dataclasses.is_dataclass(value):
        fields = {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": _name(type(value))} | fields
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Real):  # NumPy's too
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    raise TypeError(f"{value!r} cannot be written to a file: layers and cells are dataclasses of numbers and names")


def from_json(value: Any, custom: Iterable[type] = ()) -> Any:
    """What ``to_json`` was given. ``custom`` are the caller's own layer and cell classes that may occur.

    Raises ValueError for a type that is not known, or fields that it does not have.
    """
    known: dict[str, type] = dict(KNOWN)
    for kind in custom:
        if known.setdefault(_name(kind), kind) is not kind:
            raise ValueError(f"two classes in custom are called {kind.__name__}")
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
        shared = {layer: _build(spec, known) for layer, spec in fields["layers"].items()}
        return Sequential(*(shared[layer] for layer in fields["names"]), names=tuple(fields["names"]))
    try:
        return known[name](**{field: _build(item, known) for field, item in fields.items()})
    except TypeError as error:
        raise ValueError(f"the file's {name} does not fit the one known here: {error}") from error


def _name(kind: type) -> str:
    """What a file calls a class; a caller's own cannot be taken for one of the library's of the same name."""
    return next((name for name, known in KNOWN.items() if known is kind), f"custom.{kind.__name__}")
