"""A cell over time, forward and back, traces under jax.jit and gives the same numbers there."""

import pytest
from subjects import CELLS

from xprnn import cells
from xprnn.backend import backend
from xprnn.kernels import KERNELS
from xprnn.scan import scan, scan_vjp
from xprnn.testing import Case

jax = pytest.importorskip("jax")


BOTH = [("jax", cell) for cell in {type(cell): cell for cell in CELLS.values()}.values()]
BOTH += [("loop", cells.LSTM(3)), ("loop", cells.GRU(3))]


@pytest.mark.parametrize(("kernel", "cell"), BOTH, ids=str)
def test_traces(kernel, cell):
    case = Case(cell, backend("jax", "float64"), KERNELS[kernel], reverse=True, padding="holes", steps=4)
    inputs = case.draw()
    a = case.place(inputs)

    @jax.jit
    def both(p, x, s, mask, dys, ds):
        ys, end, tape = scan(cell, p, x, s, mask=mask, reverse=True, kernel=KERNELS[kernel])
        return ys, end, *scan_vjp(cell, p, tape, dys, ds)

    wanted = case.both(a)
    for name, got, eager in zip(wanted._fields, both(*a), wanted, strict=True):
        for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(eager), strict=True):
            assert one.dtype == other.dtype
            assert abs(one - other).max() < 1e-13, name
