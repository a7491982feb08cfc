"""Cases taken apart, along time or the batch, and their results put together again."""

from dataclasses import replace

import numpy as np

from .. import tree
from ..arrays import namespace
from ..scan import scan_vjp
from . import compare
from .case import Case, Inputs
from .compare import Results
from .transfer import copies


def in_pieces(law: str, case: Case, cuts: list[slice]) -> None:
    """Compare the sequence run cut by cut, the state and its cotangent carried, with the sequence in one."""
    inputs = case.draw()
    a = case.place(inputs)
    xp, s, walked = namespace(a.x), a.s, []
    for cut in cuts[::-1] if case.reverse else cuts:
        piece = a._replace(x=a.x[cut, ...], s=s, mask=None if a.mask is None else a.mask[cut, ...])
        y, s, tape = case.forward(piece)
        walked.append((cut.start, y, a.dys[cut, ...], tape))
    end, ds, dxs, dps = s, a.ds, {}, []
    for start, _, dy, tape in walked[::-1]:
        dxs[start], ds, dp = scan_vjp(case.cell, a.p, tape, dy, ds)
        dps.append(dp)
    ys = xp.concat([y for _, y, _, _ in sorted(walked, key=lambda one: one[0])])
    dx = xp.concat([dxs[start] for start in sorted(dxs)])
    joined = Results(ys, end, dx, ds, tree.map(lambda *parts: sum(parts[1:], parts[0]), *dps))
    compare.close(law, case, Results(*copies(case, joined)), case.run(inputs), case.tolerance)


def row_by_row(case: Case, inputs: Inputs) -> Results:
    """Each row of the batch run alone, without its padding, and the results of all put together."""
    alone = [_row(case, inputs, row) for row in range(case.batch)]
    dp = tree.map(lambda *parts: sum(parts), *(one.dp for one in alone))
    y, end, dx, ds = join([tuple(one)[:4] for one in alone])
    return Results(y, end, dx, ds, dp)


def join(rows: list) -> tuple:
    """Trees whose leaves are (..., 1, n) put together to (..., B, n)."""
    return tree.map(lambda *parts: np.concatenate(parts, axis=-2), *rows)


def pick(rows: slice, results: tuple) -> tuple:
    """The given rows of a tree of leaves (..., B, n)."""
    return tree.map(lambda v: v[..., rows, :], results)


def _row(case: Case, inputs: Inputs, row: int) -> Results:
    one = slice(row, row + 1)
    x, s, dys, ds = pick(one, (inputs.x, inputs.s, inputs.dys, inputs.ds))
    p = inputs.p | {name: v[one] for name, v in inputs.p.items() if name == "keep"}
    real = slice(None) if inputs.mask is None else np.flatnonzero(inputs.mask[:, row])
    ys, dx = np.zeros_like(dys), np.zeros_like(x)
    if x[real].shape[0] == 0:
        dp = tree.map(np.zeros_like, {name: v for name, v in p.items() if name != "keep"})
        return Results(ys, s, dx, ds, dp)
    r = replace(case, batch=1, padding="none").run(Inputs(p, x[real], s, None, dys[real], ds))
    ys[real], dx[real] = r.y, r.dx
    return r._replace(y=ys, dx=dx)
