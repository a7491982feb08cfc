"""How frameworks lay out a cell's weights: tables, and one way to read them in both directions.

A framework's weights are first given the names of ours (each ``io`` module knows which of its arrays is which):

    Wx, Wh     the input's and the recurrent weights        b          the one bias
    bx, bh     the input's and the recurrent bias           Wc, Wp     peepholes, projection

A ``Layout`` then says in which order the gates stand, whether matrices are transposed, and whether there are always
two biases. ``theirs(ours(w))`` is w, and ``ours(theirs(p))`` is p, bit for bit.
"""

from dataclasses import dataclass

from .. import cells
from ..arrays import namespace
from ..cells import Cell
from ..types import Array, Params

_LSTMS = (cells.LSTM, cells.PeepholeLSTM, cells.GeneralLSTM, cells.ProjectedLSTM)
_GRUS = (cells.GRU, cells.GRUResetBefore, cells.GeneralGRU)


@dataclass(frozen=True)
class Layout:
    """How a framework stores the weights of a cell, one letter a gate: i f o and g, the candidate; r z and n."""

    rnn: str
    lstm: str
    gru: str
    peepholes: str
    transposed: bool
    two_biases: bool

    def gates(self, cell: Cell) -> str:
        """The order of the gates of ``cell``. Raises TypeError for a cell that has no table."""
        if isinstance(cell, cells.RNN):
            return self.rnn
        if not isinstance(cell, _LSTMS + _GRUS):
            raise TypeError(f"there is no table of weights for {cell}")
        return self.lstm if isinstance(cell, _LSTMS) else self.gru


OURS = Layout(rnn="h", lstm="ifgo", gru="rzn", peepholes="ifo", transposed=False, two_biases=False)
TORCH = Layout(rnn="h", lstm="ifgo", gru="rzn", peepholes="", transposed=True, two_biases=True)
KERAS = Layout(rnn="h", lstm="ifgo", gru="zrn", peepholes="", transposed=False, two_biases=False)
ONNX = Layout(rnn="h", lstm="iofg", gru="zrn", peepholes="iof", transposed=True, two_biases=True)


def reorder(w: Array, have: str, want: str) -> Array:
    """The blocks of w's last axis, which stand in the order ``have``, in the order ``want``; each is one letter."""
    if sorted(have) != sorted(want) or w.shape[-1] % len(have):
        raise ValueError(f"{tuple(w.shape)} has no blocks {have!r} that could stand as {want!r}")
    if have == want:
        return w
    width = w.shape[-1] // len(have)
    starts = [have.index(gate) * width for gate in want]
    return namespace(w).concat([w[..., start : start + width] for start in starts], axis=-1)


def ours(layout: Layout, cell: Cell, weights: Params) -> Params:
    """The parameters of ``cell`` from a framework's weights under our names.

    Two biases of which only the sum counts become one, unless the cell has ``double_bias``.
    """
    p = {}
    for name, w in weights.items():
        turned = _turn(w) if layout.transposed else w
        have, want = _orders(layout, OURS, cell, name)
        p[name] = reorder(turned, have, want)
    if "bx" in p and not has_two_biases(cell):
        p["b"] = p.pop("bx") + p.pop("bh")
    return p


def theirs(layout: Layout, cell: Cell, p: Params) -> Params:
    """A framework's weights under our names from the parameters of ``cell``: the reverse of ``ours``.

    Where the framework wants two biases and the cell has one, the second is zero; where it wants one, it is their sum.
    """
    p = {name: p[name] for name in ("Wx", "Wh", "b", "bx", "bh", "Wc", "Wp") if name in p}
    if "b" in p and layout.two_biases:
        p["bx"] = p.pop("b")
        p["bh"] = namespace(p["bx"]).zeros_like(p["bx"])
    elif "bx" in p and not layout.two_biases and not has_two_sums(cell):
        p["b"] = p.pop("bx") + p.pop("bh")
    weights = {}
    for name, w in p.items():
        have, want = _orders(OURS, layout, cell, name)
        placed = reorder(w, have, want)
        weights[name] = _turn(placed) if layout.transposed else placed
    return weights


def has_two_sums(cell: Cell) -> bool:
    """Whether each of the cell's two biases counts by itself: the reset gate stands between them."""
    return isinstance(cell, cells.GRU) or (isinstance(cell, cells.GeneralGRU) and cell.reset_after)


def has_two_biases(cell: Cell) -> bool:
    """Whether the cell's parameters are bx and bh, not b."""
    return has_two_sums(cell) or bool(getattr(cell, "double_bias", False))


def _orders(have: Layout, want: Layout, cell: Cell, name: str) -> tuple[str, str]:
    """The order that the blocks of a weight have and shall have; a projection is one block."""
    if name == "Wp":
        return "h", "h"
    return (have.peepholes, want.peepholes) if name == "Wc" else (have.gates(cell), want.gates(cell))


def _turn(w: Array) -> Array:
    """A matrix transposed, a vector as it is."""
    return namespace(w).permute_dims(w, (1, 0)) if w.ndim == 2 else w
