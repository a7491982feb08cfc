"""A model of Keras's from its description: layers one after the other, the shape of a sample, and the precision."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from ...layers import Flip, SequenceDropout, Stack
from ...layers.arguments import Shaped, as_shape
from ...layers.base import Layer
from ...types import Shape
from . import kinds
from .foreign import refuse_foreign

MOST = 1000  # layers
MASK_OPERATIONS = ("NotEqual", "Any")  # what Keras puts into a Functional model for the mask of its first layer


class Link(NamedTuple):
    """A layer of Keras's: its name, where a file keeps its weights, and what it is here."""

    name: str
    group: str
    layers: tuple[Layer, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of ``layers``: Keras's; what comes before and after a recurrent layer has it with a word more."""
        if len(self.layers) == 1:
            return (self.name,)
        words = {SequenceDropout: "_dropout", Flip: "_flip"}
        return tuple(self.name + words.get(type(layer), "") for layer in self.layers)


class Chain(NamedTuple):
    """A whole model."""

    links: tuple[Link, ...]
    input_shape: Shape
    dtype: str


def chain(model: dict[str, Any]) -> Chain:
    """The model of a description, as Keras serializes one. ValueError, by name, for what is not Keras's or not here."""
    refuse_foreign(model.get("config"))
    kind = model.get("class_name")
    if kind not in ("Sequential", "Functional"):
        raise ValueError(f"it is a {kind}; only a Sequential, or a Functional model that is one chain, can be read")
    entries = model["config"]["layers"]
    if len(entries) > MOST:
        raise ValueError(f"it has {len(entries)} layers, {MOST} are the most")
    inputs = [entry for entry in entries if entry["class_name"] == "InputLayer"]
    if not inputs:
        raise ValueError("it has not been built, so it has no weights and no shape")
    if kind == "Functional":
        entries = _in_line(entries)
        ends = [model["config"][name] for name in ("input_layers", "output_layers")]
        wanted = [[entries[0]["name"], 0, 0], [entries[-1]["name"], 0, 0]]
        if [list(end[0] if len(end) == 1 else end) for end in ends] != wanted:
            raise ValueError(f"its inputs and outputs are {ends}, not those of the chain, {wanted}")
    if len(inputs) > 1 or entries[0] is not inputs[0]:
        raise ValueError("it has more than one input, or another than at its beginning")
    links = tuple(_links(entries[1:]))
    shape = as_shape(inputs[0]["config"]["batch_shape"][1:])
    timed = len(shape) > 1 or (len(shape) == 1 and any(layer.takes_ids for link in links for layer in link.layers))
    return Chain(links, (None, *shape[1:]) if timed else shape, _precision(entries[1:]))


def _links(entries: list[dict[str, Any]]) -> Iterator[Link]:
    masked, groups = False, group_names([entry["class_name"] for entry in entries])
    for entry, group in zip(entries, groups, strict=True):
        made = kinds.layer(entry)
        layers = made.layers if isinstance(made, Shaped) else (made,)
        if masked:
            _check_masked(entry, layers)
        masked = (masked or any(layer.makes_mask for layer in layers)) and not any(layer.shortens for layer in layers)
        yield Link(entry["config"]["name"], group, layers)


def group_names(kinds: list[str]) -> list[str]:
    """Where a file keeps the weights of layers of these classes, in order: "dense", "lstm", "dense_1", ..."""
    met: dict[str, int] = {}
    found = []
    for kind in kinds:
        stem = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower()
        place = met[stem] = met.get(stem, -1) + 1
        found.append(f"{stem}_{place}" if place else stem)
    return found


def _check_masked(entry: dict[str, Any], layers: tuple[Layer, ...]) -> None:
    """Raise ValueError where what Keras makes of padding gets into its results: no layer here would give the same."""
    config, kind = entry["config"], entry["class_name"]
    stack = next((layer for layer in layers if isinstance(layer, Stack)), None)
    inner = config["layer"]["class_name"] if kind == "TimeDistributed" else kind
    reason = ""
    if kind == "GlobalMaxPooling1D":
        reason = "Keras takes padding into the maximum"
    elif inner == "Softmax":
        reason = "Keras takes the mask of steps for one of features; an Activation('softmax') is right"
    elif inner != kind and layers[0].layer.rank is not None:  # type: ignore[attr-defined]
        reason = "Keras takes the mask of its steps for one of the steps in each"
    elif stack is not None and stack.reverse and stack.return_sequences:
        reason = "of the outputs of go_backwards Keras masks the wrong end"
    elif stack is not None and kind != "Bidirectional" and config.get("zero_output_for_mask") and stack.shortens:
        reason = "with zero_output_for_mask Keras gives 0 for the last output of a padded sequence"
    if reason:
        raise ValueError(f"{config['name']!r}, a {kind}, cannot be had after a mask: {reason}")


def _precision(entries: list[dict[str, Any]]) -> str:
    """The one dtype that all layers compute in."""
    found, waiting = set(), list(entries)
    while waiting:
        config = waiting.pop()["config"]
        policy = config.get("dtype", "float32")
        found.add(policy["config"]["name"] if isinstance(policy, dict) else policy)
        waiting += [config[name] for name in ("layer", "backward_layer") if isinstance(config.get(name), dict)]
    if len(found) != 1 or not found <= {"float32", "float64"}:
        raise ValueError(f"its layers compute in {', '.join(sorted(map(str, found)))}; wanted is float32 or float64")
    return found.pop()


def _in_line(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The layers of a Functional model. ValueError unless each takes what the one before it gives, and nothing else."""
    masks = [entry for entry in entries if entry["class_name"] in MASK_OPERATIONS]
    line = [entry for entry in entries if entry["class_name"] not in MASK_OPERATIONS]
    if masks:
        first = line[1]["config"]
        value = 0 if first.get("mask_zero") is True else first.get("mask_value")
        compared = masks[0]["class_name"] == "NotEqual" and _arguments(masks[0]) == [line[0]["name"], value]
        rest = [("Any", [masks[0]["name"]], -1)] if "mask_value" in first else []
        if not compared or rest != [(m["class_name"], _arguments(m), m["config"].get("axis")) for m in masks[1:]]:
            raise ValueError("it computes a mask of its own")
    for before, entry in pairwise(line):
        if _arguments(entry) != [before["name"]]:
            raise ValueError(f"it is no chain: {entry['name']!r} takes {_arguments(entry)}, not {before['name']!r}")
        for name, value in entry["inbound_nodes"][0]["kwargs"].items():
            known = name == "mask" and masks and _argument(value) == masks[-1]["name"]
            if value not in (None, False) and not known:
                raise ValueError(f"{entry['name']!r} is called with {name}")
    return line


def _arguments(entry: dict[str, Any]) -> list[Any]:
    """What a layer of a Functional model is called with: the names of other layers, and values."""
    nodes = entry["inbound_nodes"]
    if len(nodes) != 1:
        raise ValueError(f"{entry['name']!r} is used {len(nodes)} times")
    return [_argument(value) for value in nodes[0]["args"]]


def _argument(value: Any) -> Any:
    """The name of the layer that a tensor comes from; any other value is itself."""
    return value["config"]["keras_history"][0] if isinstance(value, dict) else value
