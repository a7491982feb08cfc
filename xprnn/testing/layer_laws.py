"""The laws of layers, each a function of a case that raises AssertionError where the law is broken."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .. import tree
from ..arrays import namespace
from ..backend import backend
from . import compare, derivative
from .compare import Results
from .layer_case import Inputs, LayerCase, fill
from .transfer import copies, of_backend


def gradient(case: LayerCase) -> float:
    """The reverse gives the derivative for x, the initial state and all parameters; returns the relative error."""
    a = case.draw()
    r = case.run(a)
    inputs = {"p": a.p, "state": a.state, "x": None if r.dx is None else a.x}

    def loss(moved: dict) -> float:
        x = a.x if moved["x"] is None else moved["x"]
        y, end, _ = case.forward(case.place(a._replace(p=moved["p"], state=moved["state"], x=x)))
        pairs = zip([y, *tree.leaves(end)], [a.dy, *tree.leaves(a.dstate)], strict=True)
        return sum(float(np.sum(case.backend.to_numpy(v) * d)) for v, d in pairs)

    grads = {"p": r.dp, "state": r.ds, "x": r.dx}
    return derivative.check(case, inputs, loss, grads, np.random.default_rng(case.seed + 1))


def padding(case: LayerCase) -> None:
    """What stands in padding changes nothing, and each row is what it is without its padding."""
    if not case.over_time:
        return
    case = replace(case, padding="ragged") if case.padding == "none" else case
    a = case.draw()
    r = _real(case, a, case.run(a))
    for rubbish in (0, -1, 10**6) if a.x.dtype.kind == "i" else (0.0, np.nan, np.inf, -1e38):
        filled = a._replace(x=fill(a.x, a.mask, rubbish))
        if not case.layer.shortens:
            filled = filled._replace(dy=fill(a.dy, a.mask, float(rubbish)))
        compare.identical("padding", case, _real(case, a, case.run(filled)), r)
    if not case.training:
        some = np.any(a.mask, axis=1)
        dy, dstate = tree.map(lambda v: v * some.reshape(-1, *(1,) * (v.ndim - 1)), (a.dy, a.dstate))
        _rows("padding", case, a._replace(dy=dy, dstate=dstate), [int(row) for row in np.flatnonzero(some)])


def rows(case: LayerCase) -> None:
    """Each row of the batch alone is that row of the batch (in training, dropout draws for the batch as a whole)."""
    case = replace(case, padding="none", training=False)
    _rows("rows", case, case.draw(), list(range(case.batch)))


def linear(case: LayerCase) -> None:
    """The reverse is linear in the cotangents; a state's cotangent of None is zero."""
    a, b = case.place(case.draw()), case.place(replace(case, seed=case.seed + 1).draw())
    _, _, tape = case.forward(a)

    def back(dy: Any, dstate: Any) -> Any:
        return case.layer.backward(a.p, tape, dy, dstate)

    def same(tolerance: float, one: Any, other: Any) -> None:
        compare.close("linear", case, copies(case, one), copies(case, other), tolerance)

    one, other = back(a.dy, a.dstate), back(b.dy, b.dstate)
    mixed = tree.map(lambda v, w: 2.0 * v - 3.0 * w, (a.dy, a.dstate), (b.dy, b.dstate))
    same(10 * case.tolerance, back(*mixed), tree.map(lambda v, w: 2.0 * v - 3.0 * w, one, other))
    same(0.0, back(a.dy, None), back(a.dy, tree.map(lambda v: 0.0 * v, a.dstate)))


def pure(case: LayerCase) -> None:
    """Nothing passed in is changed; two forwards may be outstanding; a tape can be walked back again and again.

    ``gradients`` gives what ``backward`` gives but dx.
    """
    a = case.place(case.draw())
    given = {name: v for name, v in a._asdict().items() if name != "mask"}
    y, end, first = case.forward(a)
    inputs, outputs = _floats(case, given), copies(case, (y, end))
    *again, second = case.forward(a)
    *bare, _ = case.forward(a, tape=False)
    walks = [copies(case, case.layer.backward(a.p, tape, a.dy, a.dstate)) for tape in (first, second, first)]
    for walk in walks[1:]:
        compare.identical("pure", case, {"walk": walk}, {"walk": walks[0]})
    without = copies(case, case.layer.gradients(a.p, first, a.dy, a.dstate))
    compare.close("pure", case, {"gradients": without}, {"gradients": walks[0][1:]}, case.tolerance)
    for forward in (tuple(again), tuple(bare), (y, end)):
        compare.identical("pure", case, {"outputs": copies(case, forward)}, {"outputs": outputs})
    compare.identical("pure", case, {"inputs": _floats(case, given)}, {"inputs": inputs})


def alike(case: LayerCase) -> None:
    """Results have the shapes, keys, dtypes and devices of what they stand for, and ``init`` tells y's shape."""
    a = case.place(case.draw())
    r = case.both(a)
    of_backend("alike", case, r)
    wanted = Results(a.dy, a.dstate, None if r.dx is None else a.x, a.state, a.p)
    shapes, right = ({k: tuple(v.shape) for k, v in compare.flatten(one).items()} for one in (r, wanted))
    if shapes != right:
        compare.fail("alike", case, f"results have shapes {shapes}, wanted {right}")
    told = case.layer.init(np.random.default_rng(0), case.shape)[1]
    if len(told) != r.y.ndim - 1 or any(n not in (None, m) for n, m in zip(told, r.y.shape[1:], strict=True)):
        compare.fail("alike", case, f"init says that samples become {told}, y has shape {tuple(r.y.shape)}")


def namespaces(case: LayerCase) -> None:
    """The numbers are those of NumPy in float64, dropout's too."""
    a = case.draw()
    plain = replace(case, backend=backend("numpy", "float64"))
    compare.close("namespaces", case, case.run(a), plain.run(a), case.tolerance)


def stream(case: LayerCase) -> None:
    """Where the layer says so, one step at a time is the whole sequence, forward and back."""
    if not case.layer.streams or not case.over_time or case.layer.shortens or case.training:
        return
    case = replace(case, begun=True)
    inputs = case.draw()
    a = case.place(inputs)
    state, walked = a.state, []
    for t in range(case.steps):
        mask = None if a.mask is None else a.mask[:, t : t + 1]
        y, state, tape = case.forward(a._replace(x=a.x[:, t : t + 1, ...], state=state, mask=mask))
        walked.append((y, tape))
    end, ds, dxs, dps = state, a.dstate, [], []
    for t in reversed(range(case.steps)):
        dx, ds, dp = case.layer.backward(a.p, walked[t][1], a.dy[:, t : t + 1, ...], ds)
        dxs.append(dx)
        dps.append(dp)
    concat = namespace(a.dy).concat
    dx = None if dxs[0] is None else concat(dxs[::-1], axis=1)
    summed = tree.map(lambda *parts: sum(parts[1:], parts[0]), *dps)
    joined = Results(concat([y for y, _ in walked], axis=1), end, dx, ds, summed)
    compare.close("stream", case, Results(*copies(case, joined)), case.run(inputs), case.tolerance)


def _rows(law: str, case: LayerCase, a: Inputs, chosen: list[int]) -> None:
    r = _real(case, a, case.run(a))
    alone = [case.alone(a, row) for row in chosen]
    y, end, dx, ds = tree.map(lambda *parts: np.concatenate(parts), *(tuple(one)[:4] for one in alone))
    dp = tree.map(lambda *parts: sum(parts), *(one.dp for one in alone))
    some_y, some_end, some_dx, some_ds = tree.map(lambda v: v[chosen], tuple(r)[:4])
    some = Results(some_y, some_end, some_dx, some_ds, r.dp)
    compare.close(law, case, some, Results(y, end, dx, ds, dp), case.tolerance)


def _real(case: LayerCase, a: Inputs, r: Results) -> Results:
    """The results with zeros in padding."""
    dx = None if r.dx is None else fill(r.dx, a.mask, 0.0)
    return r._replace(y=r.y if case.layer.shortens else fill(r.y, a.mask, 0.0), dx=dx)


def _floats(case: LayerCase, results: dict) -> dict:
    return tree.map(lambda v: np.array(case.backend.to_numpy(v), np.float64), results)


_ALL = (gradient, padding, rows, linear, pure, alike, namespaces, stream)
LAWS: dict[str, Callable[[LayerCase], float | None]] = {law.__name__: law for law in _ALL}
