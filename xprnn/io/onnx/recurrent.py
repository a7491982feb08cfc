"""ONNX's operators RNN, LSTM and GRU, with every attribute they have, as cells of ours over time.

What the standard says in words was asked of onnxruntime in numbers, and is so here:

clip               holds the sum that goes into a gate's or a candidate's activation, bias and peephole included. The
                   cell that goes into an LSTM's last activation is not held in onnxruntime, and so not here, although
                   the standard's text, "applied to the input of activations", can be read otherwise.
input_forget       f = 1 - i, where i has been clipped and activated.
activation_alpha   one for each activation that has an alpha, in order; others take none. So for activation_beta.
                   Where they run out the operator of that name has the default: LeakyRelu 0.01, Elu 1, HardSigmoid
                   0.2 and 0.5, ThresholdedRelu 1, Affine 1 and 0 (the last two are 0 in onnxruntime); there is none
                   for ScaledTanh.
sequence_lens      Y is 0 in the padding, the reverse direction starts at each row's own end, and a row of no steps has
                   a Y_h and a Y_c of 0, whatever its initial state.
"""

from typing import Any, NamedTuple

from ... import cells
from ...arrays import device, namespace
from ...cells import Cell
from ...ops.masks import clean, from_lengths
from ...scan import scan
from ...types import Array, Params
from ..layouts import ONNX, ours
from .graph import Node, shown

# The activations an operator has for each direction where none are named, the first of them being the gates'.
DEFAULTS = {"RNN": ("Tanh",), "GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh")}
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
OPERATORS = tuple(DEFAULTS)
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}

# The name here of each activation, with the defaults of its numbers, None where there is none.
_ACTIVATIONS: dict[str, tuple[str, tuple[float | None, ...]]] = {
    "relu": ("relu", ()), "tanh": ("tanh", ()), "sigmoid": ("sigmoid", ()), "softsign": ("softsign", ()),
    "softplus": ("softplus", ()), "identity": ("identity", ()), "affine": ("affine", (1.0, 0.0)),
    "leakyrelu": ("leaky_relu", (0.01,)), "thresholdedrelu": ("thresholded_relu", (1.0,)),
    "scaledtanh": ("scaled_tanh", (None, None)), "hardsigmoid": ("hard_sigmoid", (0.2, 0.5)), "elu": ("elu", (1.0,)),
}  # fmt: skip


class Part(NamedTuple):
    """One direction of an operator: its cell, its parameters, whether it walks backwards."""

    cell: Cell
    params: Params
    reverse: bool


def check(node: Node) -> None:
    """Raise ValueError if the node's attributes have values that there are not."""
    for name, allowed in (("direction", tuple(DIRECTIONS)), ("layout", (0, 1)), ("input_forget", (0, 1))):
        if node.attributes.get(name, allowed[0]) not in allowed:
            raise ValueError(f"its {name} is {shown(str(node.attributes[name]))}, and not one of {allowed}")
    for direction in range(len(directions(node))):
        cell(node, direction, 1)


def directions(node: Node) -> tuple[bool, ...]:
    """For each direction of the node, whether it walks backwards."""
    return DIRECTIONS[node.attributes.get("direction", "forward")]


def activations(node: Node, direction: int) -> tuple[str, ...]:
    """The names here of a direction's activations, with their numbers and clipping. ValueError for what is none."""
    count = len(DEFAULTS[node.op])
    wanted = count * len(directions(node))
    given = node.attributes.get("activations", DEFAULTS[node.op] * len(directions(node)))
    if len(given) != wanted and (node.op, len(given)) != ("RNN", 2):  # the standard's default for one direction is two
        raise ValueError(f"it has {len(given)} activations, and takes {wanted}")
    numbers = [iter(node.attributes.get(name, ())) for name in ("activation_alpha", "activation_beta")]
    names = [_activation(name, numbers) for name in given[:wanted]][direction * count : (direction + 1) * count]
    if "clip" in node.attributes:
        held = names[:2]
        names = [f"clip({node.attributes['clip']!r}) {name}" for name in held] + names[2:]
    return tuple(names)


def _activation(given: str, numbers: list) -> str:
    """The name here of an activation, with the next numbers where it takes any."""
    if given.lower() not in _ACTIVATIONS:
        raise ValueError(f"there is no activation {shown(given)}")
    name, defaults = _ACTIVATIONS[given.lower()]
    values = [next(rest, default) for rest, default in zip(numbers, defaults, strict=False)]
    if None in values:
        raise ValueError(f"its activation {given} has no activation_alpha and activation_beta, and there is no default")
    return f"{name}({', '.join(map(repr, values))})" if values else name


def cell(
    node: Node, direction: int, hidden: int, bias: bool = True, peepholes: bool = False, double_bias: bool = False
) -> Cell:
    """The cell that a direction of the node runs: a plain one where it fits.

    bias, peepholes: whether the node has the inputs B and P; double_bias: keep B's halves apart where only their sum
    counts. Raises ValueError for activations that there are not.
    """
    names = activations(node, direction)
    plain = names == {"RNN": (), "GRU": ("sigmoid", "tanh"), "LSTM": ("sigmoid", "tanh", "tanh")}[node.op]
    if node.op == "RNN":
        return cells.RNN(hidden, names[0], bias, double_bias)
    if node.op == "GRU":
        after = bool(node.attributes.get("linear_before_reset", 0))
        if plain:
            return cells.GRU(hidden, bias) if after else cells.GRUResetBefore(hidden, bias, double_bias)
        return cells.GeneralGRU(hidden, (names[0], names[1]), after, bias, double_bias and not after)
    coupled = bool(node.attributes.get("input_forget", 0))
    if plain and not coupled:
        return (cells.PeepholeLSTM if peepholes else cells.LSTM)(hidden, bias, double_bias)
    return cells.GeneralLSTM(hidden, (names[0], names[1], names[2]), coupled, peepholes, bias, double_bias)


def parts(node: Node, w: Array, r: Array, b: Array | None, p: Array | None, *, double_bias: bool = False) -> list[Part]:
    """The directions of the node from its inputs W, R, B and P, arrays of one library.

    Raises ValueError if their shapes do not fit each other and hidden_size.
    """
    backwards, gates, hidden = directions(node), GATES[node.op], r.shape[-1] if r.ndim else 0
    features = w.shape[-1] if w.ndim else 0
    shapes = {
        "W": (w, (gates * hidden, features)), "R": (r, (gates * hidden, hidden)),
        "B": (b, (2 * gates * hidden,)), "P": (p, (3 * hidden,)),
    }  # fmt: skip
    for name, (array, shape) in shapes.items():
        if array is not None and tuple(array.shape) != (len(backwards), *shape):
            raise ValueError(f"its {name} is of shape {tuple(array.shape)}, and not {(len(backwards), *shape)}")
    if node.attributes.get("hidden_size", hidden) != hidden or hidden < 1:
        raise ValueError(f"its hidden_size is {node.attributes.get('hidden_size')}, its R of shape {tuple(r.shape)}")
    made = []
    for n, reverse in enumerate(backwards):
        one = cell(node, n, hidden, b is not None, p is not None, double_bias)
        weights = {"Wx": w[n, ...], "Wh": r[n, ...]}
        if b is not None:
            weights |= {"bx": b[n, : gates * hidden], "bh": b[n, gates * hidden :]}
        if p is not None:
            weights["Wc"] = p[n, ...]
        made.append(Part(one, ours(ONNX, one, weights), reverse))
    return made


def run(
    parts: list[Part], layout: int, x: Array, lengths: Any = None, h: Array | None = None, c: Array | None = None
) -> tuple[Array, ...]:
    """Y, Y_h, and for an LSTM Y_c, from X, sequence_lens as Python numbers, initial_h and initial_c.

    layout 0: x (T, B, D), h and c (directions, B, H) -> Y (T, directions, B, H), Y_h and Y_c as h;
    layout 1: x (B, T, D), h and c (B, directions, H) -> Y (B, T, directions, H), Y_h and Y_c as h.
    Raises ValueError where shapes or lengths do not fit.
    """
    xp = namespace(x)
    if x.ndim != 3 or x.shape[2] != parts[0].params["Wx"].shape[0]:
        raise ValueError(f"X has 3 axes, the last of {parts[0].params['Wx'].shape[0]}; it is {tuple(x.shape)}")
    x, h, c = (_swap(a) if layout else a for a in (x, h, c))
    T, B, _ = x.shape
    if T == 0:
        raise ValueError("X has no steps")
    mask = _mask(x, lengths)
    for name, array in (("initial_h", h), ("initial_c", c)):
        if array is not None and tuple(array.shape) != (len(parts), B, parts[0].cell.hidden):
            raise ValueError(f"{name} has shape {tuple(array.shape)}, not {(len(parts), B, parts[0].cell.hidden)}")
    ys, ends = [], []
    for n, part in enumerate(parts):
        zeros = xp.zeros((B, part.cell.hidden), dtype=x.dtype, device=device(x))
        given = (h, c)[: len(part.cell.state_sizes)]
        s = tuple(zeros if a is None else a[n, ...] for a in given)
        y, end, _ = scan(part.cell, part.params, x, s, mask=mask, reverse=part.reverse, tape=False)
        ys.append(y)
        ends.append(end)
    whole = xp.stack(ys, axis=1)
    began = None if mask is None else mask[0, :, 0]
    leaves = [clean(xp, xp.stack(leaf, axis=1), began) for leaf in zip(*ends, strict=True)]
    if layout:
        return xp.permute_dims(whole, (2, 0, 1, 3)), *leaves
    return whole, *map(_swap, leaves)


def _swap(a: Array | None) -> Array | None:
    """The first two axes of three exchanged."""
    return None if a is None else namespace(a).permute_dims(a, (1, 0, 2))


def _mask(x: Array, lengths: Any) -> Array | None:
    """The mask (T, B, 1) of x (T, B, D); None where every row has all steps."""
    xp, (T, B, _) = namespace(x), x.shape
    if lengths is None or all(length == T for length in lengths):
        return None
    if len(lengths) != B or not all(0 <= length <= T for length in lengths):
        raise ValueError(f"sequence_lens has a number from 0 to {T} for each of {B} rows; it is {tuple(lengths)}")
    there = from_lengths(xp, xp.asarray(lengths, dtype=xp.int32, device=device(x)), T)
    return xp.permute_dims(there, (1, 0))[:, :, None]
