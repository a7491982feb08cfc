"""How many array operations a step costs in the loop on NumPy: counted, and as each cell's docstring says."""

import numpy as np
import pytest

from xprnn import cells, tree
from xprnn.kernels import loop

KINDS = [getattr(cells, name) for name in cells.__all__ if name != "Cell"]
MADE = {
    cells.ProjectedLSTM: lambda: cells.ProjectedLSTM(5, 3),
    cells.Zoneout: lambda: cells.Zoneout(cells.LSTM(5), (0.1, 0.2)),
}


class Counted(np.ndarray):
    """An array that counts what is computed from it and what is written into it; views are free."""

    operations = copies = 0

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        Counted.operations += 1
        into = None if out is None else tuple(map(plain, out))
        result = getattr(ufunc, method)(*map(plain, inputs), out=into, **options)
        return result.view(Counted) if out is None else out[0]

    def __array_function__(self, function, types, args, kwargs):
        Counted.operations += function not in (np.reshape, np.unstack, np.zeros_like)
        return tree.map(counted, function(*plain(args), **kwargs))

    def __setitem__(self, at, value):
        Counted.copies += 1
        plain(self)[at] = plain(value)


def plain(a):
    if isinstance(a, list | tuple):
        return type(a)(map(plain, a))
    return a.view(np.ndarray) if isinstance(a, Counted) else a


def counted(a):
    return a.view(Counted) if isinstance(a, np.ndarray) else a


class Namespace:
    """NumPy, whose new arrays count as well."""

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, *args, **kwargs):
        return np.empty(*args, **kwargs).view(Counted)


def run(kind, steps, prepared):
    """The results of a forward and a backward, and the (operations, copies) of each."""
    rng, counts = np.random.default_rng(0), []
    cell = MADE[kind]() if kind in MADE else kind(5)
    p = tree.map(lambda a: 0.5 * rng.normal(size=a.shape), cell.init(rng, 3))
    s, ds = (tuple(rng.normal(size=(2, n)) for n in cell.state_sizes) for _ in range(2))
    x = rng.normal(size=(steps, 2, 3 + (sum(cell.state_sizes) if cell.zoneout else 0)))
    dys = rng.normal(size=(steps, 2, cell.state_sizes[0]))
    p, x, s, dys, ds = tree.map(prepared, (p, x, s, dys, ds))
    Counted.operations = Counted.copies = 0
    ys, end, tape = loop.forward(cell, p, x, s, None, False)
    counts.append((Counted.operations, Counted.copies))
    Counted.operations = Counted.copies = 0
    back = loop.backward(cell, p, tape, dys, ds)
    counts.append((Counted.operations, Counted.copies))
    return (ys, end, *back), np.array(counts)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_step_costs_what_the_docstring_says(kind, monkeypatch):
    wanted, _ = run(kind, 4, np.asarray)
    monkeypatch.setattr(loop, "namespace", lambda *arrays: Namespace())
    (_, three), (met, four), (_, five) = (run(kind, steps, counted) for steps in (3, 4, 5))
    for a, b in zip(tree.flatten({"r": met}).values(), tree.flatten({"r": wanted}).values(), strict=True):
        np.testing.assert_array_equal(plain(a), b)
    np.testing.assert_array_equal(four - three, five - four)
    (forward, writes), (back, writes_back) = four - three
    copies = f"{writes} cop{'y' if writes == 1 else 'ies'}"
    said = f"A step in the loop: {forward} array operations and {copies} forward, {back} and {writes_back} back"
    assert said in " ".join(kind.__doc__.split())
