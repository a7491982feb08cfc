"""The laws of cells, each a function of a case that raises AssertionError where the law is broken."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .. import tree
from ..backend import backend
from ..kernels import loop
from ..scan import scan_vjp
from . import compare, derivative, parts, watch
from .case import Case
from .compare import Results
from .transfer import copies, of_backend

HUGE = 1e30


def gradient(case: Case) -> float:
    """The reverse gives the derivative for x, the initial state and all parameters; returns the relative error."""
    a = case.draw()
    r = case.run(a)
    fixed = {name: v for name, v in a.p.items() if name == "keep"}
    free = {name: v for name, v in a.p.items() if name != "keep"}

    def loss(moved: dict) -> float:
        ys, end, _ = case.forward(case.place(a._replace(p=moved["p"] | fixed, x=moved["x"], s=moved["s"])))
        pairs = zip((ys, *end), (a.dys, *a.ds), strict=True)
        return sum(float(np.sum(case.backend.to_numpy(y) * d)) for y, d in pairs)

    inputs, grads = {"p": free, "x": a.x, "s": a.s}, {"p": r.dp, "x": r.dx, "s": r.ds}
    return derivative.check(case, inputs, loss, grads, np.random.default_rng(case.seed + 1))


def chunk(case: Case) -> None:
    """A sequence in two pieces, the state carried on and its cotangent carried back, is the sequence in one."""
    parts.in_pieces("chunk", case, [slice(0, 3), slice(3, case.steps)])


def stream(case: Case) -> None:
    """One step at a time, the state carried on and its cotangent carried back, is the sequence in one."""
    parts.in_pieces("stream", case, [slice(t, t + 1) for t in range(case.steps)])


def segment(case: Case) -> None:
    """Checkpointing changes nothing, whatever the length of the pieces."""
    a = case.draw()
    whole = replace(case, segment=None).run(a)
    for steps in (1, 3, case.steps, case.steps + 1):
        compare.close("segment", case, replace(case, segment=steps).run(a), whole, case.tolerance)


def padding(case: Case) -> None:
    """What stands in padding changes nothing; y and dx are 0 there; each row is what it is without its padding."""
    case = replace(case, padding="ragged") if case.padding == "none" else case
    a = case.draw()
    hole = ~a.mask[..., None]  # type: ignore[index]
    r = case.run(a)
    for rubbish in (0.0, np.nan, np.inf, -1e38):
        filled = a._replace(x=np.where(hole, rubbish, a.x), dys=np.where(hole, rubbish, a.dys))
        compare.identical("padding", case, case.run(filled), r)
    held = {"ys": np.where(hole, r.y, 0.0), "dx": np.where(hole, r.dx, 0.0)}
    compare.identical("padding", case, held, tree.map(np.zeros_like, held))
    compare.close("padding", case, r, parts.row_by_row(case, a), case.tolerance)
    a = a._replace(mask=np.zeros_like(a.mask))
    r = case.run(a)
    nothing = Results(*tree.map(np.zeros_like, r))
    still = nothing._replace(end=tree.map(case.rounded, a.s), ds=tree.map(case.rounded, a.ds))
    compare.identical("padding", case, r, still)


def reverse(case: Case) -> None:
    """Running in reverse is flipping time, running forward, and flipping back."""
    a = case.draw()
    flipped = a._replace(x=a.x[::-1], dys=a.dys[::-1], mask=None if a.mask is None else a.mask[::-1])
    r, f = replace(case, reverse=True).run(a), replace(case, reverse=False).run(flipped)
    compare.close("reverse", case, r, f._replace(y=f.y[::-1], dx=f.dx[::-1]), case.tolerance)


def rows(case: Case) -> None:
    """Each row of the batch alone is that row of the batch, and a NaN in one row stays there."""
    a = case.draw()
    r = case.run(a)
    compare.close("rows", case, r, parts.row_by_row(case, a), case.tolerance)
    sick = a.x.copy()
    sick[:, 0, :] = np.nan
    others = slice(1, None)
    healthy = [parts.pick(others, tuple(one[:4])) for one in (case.run(a._replace(x=sick)), r)]
    compare.close("rows", case, healthy[0], healthy[1], case.tolerance)


def linear(case: Case) -> None:
    """The reverse is linear in the cotangents; None as a cotangent is zero."""
    a, b = case.place(case.draw()), case.place(replace(case, seed=case.seed + 1).draw())
    _, _, tape = case.forward(a)

    def back(dys: Any, ds: Any) -> Any:
        return scan_vjp(case.cell, a.p, tape, dys, ds)

    def same(tolerance: float, one: Any, other: Any) -> None:
        compare.close("linear", case, copies(case, one), copies(case, other), tolerance)

    one, other = back(a.dys, a.ds), back(b.dys, b.ds)
    dys, ds = tree.map(lambda v, w: 2.0 * v - 3.0 * w, (a.dys, a.ds), (b.dys, b.ds))
    same(10 * case.tolerance, back(dys, ds), tree.map(lambda v, w: 2.0 * v - 3.0 * w, one, other))
    no_dys, no_ds = tree.map(lambda v: 0.0 * v, (a.dys, a.ds))
    same(0.0, back(None, a.ds), back(no_dys, a.ds))
    same(0.0, back(a.dys, None), back(a.dys, no_ds))
    same(0.0, back(None, None), tree.map(lambda v: 0.0 * v, one))


def pure(case: Case) -> None:
    """Nothing passed in is changed; two forwards may be outstanding; a tape can be walked back twice."""
    a = case.place(case.draw())
    ys, end, first = case.forward(a)
    inputs, outputs = copies(case, tuple(a)), copies(case, (ys, end))
    *again, second = case.forward(a)
    *bare, nothing = case.forward(a, tape=False)
    if nothing is not None:
        compare.fail("pure", case, "tape=False leaves a tape")
    walks = [copies(case, scan_vjp(case.cell, a.p, tape, a.dys, a.ds)) for tape in (first, second, first)]
    for walk in walks[1:]:
        compare.identical("pure", case, {"walk": walk}, {"walk": walks[0]})
    for forward in (tuple(again), tuple(bare), (ys, end)):
        compare.identical("pure", case, {"outputs": copies(case, forward)}, {"outputs": outputs})
    compare.identical("pure", case, {"inputs": copies(case, tuple(a))}, {"inputs": inputs})


def unasked(case: Case) -> None:
    """Outputs and dx that nobody asks for are None, and all else is what it is with them."""
    a = case.place(case.draw())
    r = case.both(a)
    for tape in (False, True):
        ys, end, kept = case.forward(a, tape, outputs=False)
        compare.close("unasked", case, {"end": copies(case, end)}, {"end": copies(case, r.end)}, case.tolerance)
        if ys is not None:
            compare.fail("unasked", case, f"outputs=False leaves outputs, with tape={tape}")
    dx, ds, dp = scan_vjp(case.cell, a.p, kept, a.dys, a.ds, inputs=False)
    if dx is not None:
        compare.fail("unasked", case, "inputs=False leaves dx")
    got, wanted = ({"ds": copies(case, one), "dp": copies(case, two)} for one, two in ((ds, dp), (r.ds, r.dp)))
    compare.close("unasked", case, got, wanted, case.tolerance)


def dropout(case: Case) -> None:
    """Recurrent dropout reaches a cell that says it takes it, and no other."""
    a = case.draw()
    keep = np.zeros((case.batch, case.cell.state_sizes[0]))
    free = a._replace(p={name: v for name, v in a.p.items() if name != "keep"})
    taken = not np.array_equal(case.run(free).y, case.run(free._replace(p=free.p | {"keep": keep})).y)
    if taken != case.cell.takes_dropout:
        did = "changed" if taken else "did not change"
        said = case.cell.takes_dropout
        compare.fail("dropout", case, f"takes_dropout is {said}, but dropping all of h {did} the outputs")


def alike(case: Case) -> None:
    """Results have the shapes, keys, dtypes and devices of what they stand for."""
    a = case.place(case.draw())
    r = case.both(a)
    p = {name: v for name, v in a.p.items() if name != "keep"}
    wanted = compare.flatten(Results(a.dys, a.s, a.x, a.s, p))
    of_backend("alike", case, r)
    shapes = {name: tuple(v.shape) for name, v in compare.flatten(r).items()}
    if shapes != {name: tuple(v.shape) for name, v in wanted.items()}:
        compare.fail("alike", case, f"results have shapes {shapes}, wanted those of {wanted}")


def precision(case: Case) -> None:
    """Everything between input and result has the dtype and device of the input, inside the cell and outside."""
    seen = watch.Watched(case.cell, case.backend)
    replace(case, cell=seen, kernel=loop).both(case.place(case.draw()))
    for dtype in ("float32", "float64"):
        watch.inside(replace(case, backend=backend("numpy", dtype)))


def namespaces(case: Case) -> None:
    """The numbers are those of the loop on NumPy in float64."""
    a = case.draw()
    plain = replace(case, backend=backend("numpy", "float64"), kernel=loop)
    compare.close("namespaces", case, case.run(a), plain.run(a), case.tolerance)


def finite(case: Case) -> None:
    """Inputs of 1e30 give finite outputs and gradients."""
    a = case.draw()
    x = np.concatenate([HUGE * a.x[..., : case.features], a.x[..., case.features :]], axis=-1)
    compare.finite("finite", case, case.run(a._replace(x=x)))


def kernel(case: Case) -> None:
    """The kernel gives the numbers of the loop, with a tape and without."""
    a, plain = case.draw(), replace(case, kernel=loop)
    compare.close("kernel", case, case.run(a), plain.run(a), case.tolerance)
    placed = case.place(a)
    bare = [copies(one, one.forward(placed, tape=False)[:2]) for one in (case, plain)]
    compare.close("kernel", case, bare[0], bare[1], case.tolerance)


_ALL = (
    gradient, chunk, stream, segment, padding, reverse, rows, linear, pure, unasked, dropout, alike, precision,
    namespaces, finite, kernel,
)  # fmt: skip
LAWS: dict[str, Callable[[Case], float | None]] = {law.__name__: law for law in _ALL}
