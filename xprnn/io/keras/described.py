"""Our layers as Keras would describe them: the reverse of ``kinds``, tables again."""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ... import cells
from ...cells import Cell
from ...layers import Direction, Flip, LayerNorm, Pooling, Recurrent, SequenceDropout, Stack
from ...layers.arguments import ACTIVATIONS
from ...layers.base import Layer
from ...layers.bidirectional import Bidirectional
from ...layers.catalog import Activation, Dense, Dropout, Embedding, Masking, Sequential, TimeDistributed
from ...layers.keras import MERGES
from ...types import Params

Described = tuple[str, dict[str, Any]]
"""A class of Keras's and its arguments."""

NAMES = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())} | {"linear": "linear", "swish": "silu"}
# Activations with a number -> Keras's layer, the argument that is the number, and its other arguments.
NUMBERED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "elu": ("ELU", "alpha", {}),
    "leaky_relu": ("LeakyReLU", "negative_slope", {}),
    "thresholded_relu": ("ReLU", "threshold", {"max_value": None, "negative_slope": 0.0}),
}


class Entry(NamedTuple):
    """A layer as Keras has it: its name, its description, what it is here, and its parameters."""

    name: str
    described: Described
    layer: Layer
    params: Params


def entries(layer: Layer, params: Params) -> list[Entry]:
    """The layers of a model as Keras would have them, one after the other. ValueError for what Keras has not."""
    whole = layer if isinstance(layer, Sequential) else Sequential(layer)
    parts = list(_parts(whole, params if whole is layer else {whole.names[0]: params}, ""))
    found = []
    while parts:
        name, part, p = parts.pop(0)
        reversed_ = isinstance(part, Stack) and part.reverse and part.return_sequences
        if reversed_ and not (parts and isinstance(parts.pop(0)[1], Flip)):
            raise ValueError(f"{name!r} gives outputs in the order of x; Keras's go_backwards is it with a Flip behind")
        found.append(Entry(name, describe(part), part, p))
    return found


def describe(layer: Layer) -> Described:
    """Keras's description of a single layer. ValueError if Keras has none such."""
    if isinstance(layer, Stack):
        return _stack(layer)
    if type(layer) not in PLAIN:
        raise ValueError(f"Keras has no {layer}")
    return PLAIN[type(layer)](layer)


def serialized(described: Described, **more: Any) -> dict[str, Any]:
    """What stands in a file for a layer; ``more`` are its other arguments."""
    kind, config = described
    return {"module": "keras.layers", "class_name": kind, "config": more | config, "registered_name": None}


def _parts(layer: Layer, params: Params, name: str) -> Iterator[tuple[str, Layer, Params]]:
    """The single layers that ``layer`` is made of, by name, each with its parameters."""
    if isinstance(layer, Sequential):
        if len(set(layer.names)) < len(layer.names):
            raise ValueError(f"Keras's Sequential has no layers that are used twice, as in {', '.join(layer.names)}")
        for inner, part in zip(layer.names, layer.layers, strict=True):
            yield from _parts(part, params[inner], f"{name}_{inner}" if name else inner)
    elif isinstance(layer, (Direction, Bidirectional)):
        yield name, _single(layer), {"0": params}
    elif isinstance(layer, Stack):
        last = len(layer.layers) - 1
        if last and layer.reverse:
            raise ValueError(f"Keras has no layers that go backwards one behind the other, as {layer}")
        for n, one in enumerate(layer.layers):
            own = f"{name}_layer{n}" if last else name
            if n and layer.dropout:
                yield f"{own}_dropout", Dropout(layer.dropout), {}
            yield own, _single(one), {"0": params[str(n)]}
    else:
        yield name, layer, params


def _single(one: Direction | Bidirectional) -> Recurrent:
    """One layer of a stack as a stack of its own."""
    front = one.forward_layer if isinstance(one, Bidirectional) else one
    if front.learn_state:
        raise ValueError(f"Keras has no initial state that is learned, as in {one}")
    if isinstance(one, Direction):
        return Recurrent(
            one.cell, reverse=one.reverse, return_sequences=not one.shortens, recurrent_dropout=one.recurrent_dropout
        )
    back = one.backward_layer
    if (back.learn_state, back.recurrent_dropout) != (front.learn_state, front.recurrent_dropout):
        raise ValueError(f"the two directions of {one} have different options")
    return Recurrent(
        front.cell, back.cell, bidirectional=True, merge=one.merge, return_sequences=not one.shortens,
        recurrent_dropout=front.recurrent_dropout,
    )  # fmt: skip


def _stack(stack: Stack) -> Described:
    """A recurrent layer of one cell, or of one in each direction."""
    common = {"return_sequences": stack.return_sequences, "recurrent_dropout": stack.recurrent_dropout}
    kind, config = _cell(stack.cell_stack()[0])
    if not stack.bidirectional:
        return kind, config | common | {"go_backwards": stack.reverse}
    back, other = _cell(stack.backward_stack()[0])
    modes = {ours: theirs for theirs, ours in MERGES.items()}
    return "Bidirectional", {
        "layer": serialized((kind, config | common | {"go_backwards": False})),
        "backward_layer": serialized((back, other | common | {"go_backwards": True})),
        "merge_mode": modes[stack.merge],
    }


def _cell(cell: Cell) -> Described:
    """Keras's layer of a cell, and the arguments that are the cell's."""
    about: dict[str, Any] = {"units": cell.hidden, "use_bias": getattr(cell, "bias", None)}
    if isinstance(cell, cells.RNN):
        return "SimpleRNN", about | {"activation": _bend(cell.activation)}
    if isinstance(cell, cells.LSTM):
        return "LSTM", about | {"activation": "tanh", "recurrent_activation": "sigmoid"}
    if isinstance(cell, (cells.GRU, cells.GRUResetBefore)):
        form = {"reset_after": isinstance(cell, cells.GRU)}
        return "GRU", about | form | {"activation": "tanh", "recurrent_activation": "sigmoid"}
    if isinstance(cell, cells.GeneralGRU):
        gate, bend = map(_bend, cell.activations)
        return "GRU", about | {"reset_after": cell.reset_after, "activation": bend, "recurrent_activation": gate}
    if isinstance(cell, cells.GeneralLSTM) and not (cell.coupled or cell.peepholes):
        gate, bend, last = cell.activations
        if bend == last:
            return "LSTM", about | {"activation": _bend(bend), "recurrent_activation": _bend(gate)}
    raise ValueError(f"Keras has no {cell}")


def _bend(name: str | None) -> Any:
    """What Keras has for the name of an activation: a name of its own, or a layer with a number."""
    if name is None or name in NAMES:
        return NAMES[name or "identity"]
    found = re.fullmatch(r"(\w+?)(?:\(([^,]+)\))?", "leaky_relu(0.01)" if name == "leaky_relu" else name)
    if found is None or found[1] not in NUMBERED:
        raise ValueError(f"Keras has no activation {name!r}")
    kind, argument, more = NUMBERED[found[1]]
    return serialized((kind, more | {argument: float(found[2])}))


def _activation(layer: Activation) -> Described:
    bend = _bend(layer.name)
    return (bend["class_name"], bend["config"]) if isinstance(bend, dict) else ("Activation", {"activation": bend})


def _pooling(layer: Pooling) -> Described:
    kinds = {"mean": "GlobalAveragePooling1D", "max": "GlobalMaxPooling1D"}
    if layer.kind not in kinds:
        raise ValueError(f"Keras has no {layer}; it has recurrent layers with return_sequences=False")
    return kinds[layer.kind], {}


PLAIN: dict[type[Layer], Callable[[Any], Described]] = {
    Activation: _activation,
    Dense: lambda a: ("Dense", {"units": a.units, "activation": _bend(a.activation), "use_bias": a.bias}),
    Dropout: lambda a: ("Dropout", {"rate": a.rate}),
    Embedding: lambda a: ("Embedding", {"input_dim": a.vocab, "output_dim": a.units, "mask_zero": a.mask_zero}),
    LayerNorm: lambda a: ("LayerNormalization", {"epsilon": a.epsilon, "scale": a.gain, "center": a.bias}),
    Masking: lambda a: ("Masking", {"mask_value": a.mask_value}),
    Pooling: _pooling,
    SequenceDropout: lambda a: ("SpatialDropout1D", {"rate": a.rate}),
    TimeDistributed: lambda a: ("TimeDistributed", {"layer": serialized(describe(a.layer))}),
}
