"""Cells as attributes of ONNX's RNN, LSTM and GRU."""

from typing import Any

from .... import cells
from ....cells import Cell
from ..bends import IN_CELLS, numbered
from ..recurrent import DEFAULTS

# The operator of each cell, and what it always has.
OPERATORS: dict[type[Cell], tuple[str, dict[str, int]]] = {
    cells.RNN: ("RNN", {}),
    cells.LSTM: ("LSTM", {}),
    cells.PeepholeLSTM: ("LSTM", {}),
    cells.GeneralLSTM: ("LSTM", {}),
    cells.GRU: ("GRU", {"linear_before_reset": 1}),
    cells.GRUResetBefore: ("GRU", {}),
    cells.GeneralGRU: ("GRU", {}),
}


def operator(cell: Cell) -> tuple[str, dict[str, Any]]:
    """The operator that runs a cell, and its attributes. TypeError or ValueError for a cell that ONNX has not."""
    if type(cell) not in OPERATORS:
        raise TypeError(f"ONNX has no {cell}, only {', '.join(kind.__name__ for kind in OPERATORS)}")
    op, fixed = OPERATORS[type(cell)]
    attributes: dict[str, Any] = {"hidden_size": cell.hidden} | fixed
    if isinstance(cell, cells.GeneralGRU):
        attributes["linear_before_reset"] = int(cell.reset_after)
    if isinstance(cell, cells.GeneralLSTM):
        attributes["input_forget"] = int(cell.coupled)
    return op, attributes | _activations(cell, op)


def _activations(cell: Cell, op: str) -> dict[str, Any]:
    """The attributes that name a cell's activations, none where they are the operator's own."""
    if isinstance(cell, cells.RNN):
        given = [numbered(cell.activation)]
    else:
        given = [numbered(name) for name in getattr(cell, "activations", ())]
    if not given:
        return {}
    missing = [stem for _, stem, _ in given if stem not in IN_CELLS]
    if missing:
        raise ValueError(f"ONNX has no activation {missing[0]} in cells, only {', '.join(sorted(IN_CELLS))}: {cell}")
    bounds = [bound for bound, _, _ in given]
    if len(set(bounds[:2])) > 1 or bounds[2:] not in ([], [None]):
        raise ValueError(f"ONNX clips what goes into the first two activations alike, into the third never: {cell}")
    named = tuple(IN_CELLS[stem] for _, stem, _ in given)
    lists: dict[str, Any] = {
        "activation_alpha": tuple(numbers[0] for _, _, numbers in given if numbers),
        "activation_beta": tuple(numbers[1] for _, _, numbers in given if len(numbers) > 1),
    }
    clip = {} if bounds[0] is None else {"clip": bounds[0]}
    plain = {} if named == DEFAULTS[op] else {"activations": named} | {name: a for name, a in lists.items() if a}
    return plain | clip
