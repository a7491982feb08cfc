"""Bugs put into the kernel for GPUs, in its CUDA sources and in its host code: the checks see each of them."""

import importlib.util
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
from emulation import MISSING, Emulated
from subjects import CELLS

from xprnn.backend import backend
from xprnn.kernels import cuda, loop
from xprnn.testing import CELL_LAWS, CELL_SETTINGS, Case, compare, hold

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

HOST = ("cuda_job", "cuda_stream", "cuda_walk", "cuda_steps", "cuda")  # in the order in which they import each other
LAWS = [law for law in CELL_LAWS if law not in ("precision", "namespaces", "dropout")]  # which run little of a kernel


@dataclass(frozen=True)
class Bug:
    """``old`` in a file becomes ``new``; the cell is one that it should be seen with."""

    file: str
    cell: str
    old: str
    new: str


BUGS = {
    # The sources.
    "wrong stride of a row": Bug(
        "recurrent.cu", "GRU", "Cell::columns * H + unit;\n    Back q;", "Cell::recurrents * H + unit;\n    Back q;"
    ),
    "wrong gate": Bug("recurrent.cu", "LSTM", "q.d[2] = dc * (i *", "q.d[2] = dc * (f *"),
    "missing bias": Bug("recurrent.cu", "GRU", "        if (bh) z += bh[from * H + unit];\n", ""),
    "bias of another gate": Bug("recurrent.cu", "GRU", "z += bh[from * H + unit]", "z += bh[k * H + unit]"),
    "length off by one": Bug(
        "recurrent.cu", "LSTM",
        "real = !mask || mask[t * mask_step",
        "real = !mask || mask[(t > 0 ? t - 1 : 0) * mask_step",
    ),
    "unwritten tail": Bug(
        "recurrent.cu", "RNN",
        "if (i >= B * H) return;\n    const bool real",
        "if (i >= B * H - 1) return;\n    const bool real",
    ),
    "threads beyond the end": Bug(
        "recurrent.cu", "LSTM", "    if (i >= B * H) return;\n    const bool real", "    const bool real"
    ),
    "stale state": Bug("recurrent.cu", "GRU", "q.h = h[old];", "q.h = h[now];"),
    "missing keep": Bug("recurrent.cu", "LSTM", "seen[now] = store(seen_of(q.h, keep, i))", "seen[now] = store(q.h)"),
    "missing keep on the way back": Bug(
        "recurrent.cu", "RNN", "q.dh += seen_of(through[i], keep, i)", "q.dh += through[i]"
    ),
    "missing keep before the reset": Bug(
        "recurrent.cu", "GRUResetBefore",
        "store(r * seen_of(h[before * B * H + i], keep, i))",
        "store(r * h[before * B * H + i])",
    ),
    "mask ignored on the way back": Bug(
        "recurrent.cu", "GRU", "if (!mask || mask[t * mask_step + row * mask_row]) {", "{"
    ),
    "output in padding": Bug("recurrent.cu", "LSTM", "real ? q.h : Real(0)", "q.h"),
    "wrong carry": Bug(
        "recurrent.cu", "GRU",
        "* s * (1 - s));\n        q.carry = q.dh * s;",
        "* s * (1 - s));\n        q.carry = q.dh * (1 - s);",
    ),
    "peephole at the cell before": Bug(
        "recurrent.cu", "PeepholeLSTM", "q.peephole[2] * q.c)", "q.peephole[2] * before)"
    ),
    "no way back through a peephole": Bug(
        "recurrent.cu", "PeepholeLSTM", "        if (looks) dc += q.d[3] * q.peephole[2];\n", ""
    ),
    "slope at the corner": Bug("recurrent.cu", "RNN-relu", "return y > 0 ? Real(1)", "return y >= 0 ? Real(1)"),
    "strides of dys ignored": Bug(
        "recurrent.cu", "RNN", "dy[t * dy_step + row * dy_row + unit]", "dy[(t * B + row) * H + unit]"
    ),
    "missing barrier": Bug("arrays.cu", "LSTM", "    __syncthreads();\n", ""),
    "a row of each slab left out": Bug("arrays.cu", "RNN", "n < stop; n += 8", "n < stop - 1; n += 8"),
    "columns beyond the end": Bug("arrays.cu", "RNN", "part > 0 || column >= columns", "part > 0"),
    "missing barrier in a stream": Bug("stream.cu", "LSTM", "    __syncthreads();\n", ""),
    "rows of a stream counted wrong": Bug(
        "stream.cu", "GRU", "row = blockIdx.x / wide * ROWS;", "row = blockIdx.x / wide;"
    ),
    "a term of each slice left out": Bug("stream.cu", "RNN", "n < terms; n += 8", "n < terms - 1; n += 8"),
    "wrong gate left between launches": Bug(
        "stream.cu", "GRUResetBefore", "q.z[1] = new_h[place]", "q.z[0] = new_h[place]"
    ),
    "new and old confused": Bug(
        "recurrent.cu", "Zoneout-LSTM", "q.h = q.z[own] * q.h + (1 - q.z[own]) * h;",
        "q.h = q.z[own] * h + (1 - q.z[own]) * q.h;",
    ),
    "c stays as h does": Bug(
        "recurrent.cu", "Zoneout-LSTM", "q.c = q.z[own + 1] * q.c + (1 - q.z[own + 1]) * c;",
        "q.c = q.z[own] * q.c + (1 - q.z[own]) * c;",
    ),
    "slope at the state that was mixed": Bug("recurrent.cu", "Zoneout-LSTM", "        Inner::again(q);\n", ""),
    "h's slope where it was mixed": Bug("recurrent.cu", "Zoneout-RNN-bare", "        Inner::again(q);\n", ""),
    "no way back past a step": Bug(
        "recurrent.cu", "Zoneout-GRU", "        q.carry += (1 - q.z[own]) * dh;\n", ""
    ),
    "no way back past a step for c": Bug(
        "recurrent.cu", "Zoneout-LSTM", "        if (Inner::memory) q.dc += (1 - q.z[own + 1]) * dc;\n", ""
    ),
    "the cell's cotangent whole": Bug(
        "recurrent.cu", "Zoneout-GRU", "        q.dh = q.z[own] * dh;\n", ""
    ),
    "a new state without its gate": Bug(
        "recurrent.cu", "Zoneout-GRU", "q.after = q.z[3] + q.z[2] * (q.before - q.z[3]);", "q.after = q.z[3];"
    ),
    "what zoneout does taken for a sum": Bug(
        "recurrent.cu", "Zoneout-LSTM", "k < Cell::late || k >= SUMS", "k < Cell::late"
    ),
    "zoneout of a stream in another block": Bug(
        "stream.cu", "Zoneout-LSTM", "x_row + D + k * H + at.unit", "x_row + D + at.unit"
    ),
    "zoneout of a stream in another row": Bug(
        "stream.cu", "Zoneout-GRU", "x[(at.row + at.slice) * x_row + D", "x[at.row * x_row + D"
    ),
    # The host code.
    "zoneout's columns taken for features": Bug(
        "cuda", "Zoneout-GRU", "work.load(flat[:, kind.sums * H :], rows(dx)[:, features:])",
        "work.load(flat[:, : kind.zones * H], rows(dx)[:, features:])",
    ),
    "zoneout that nobody hands on": Bug(
        "cuda", "Zoneout-GRU", "        work.store(x[:, :, D:], out[:, kind.sums * H :])\n",
        "        work.store(x[:, :, D:], out[:, : kind.zones * H])\n",
    ),
    "biases of zoneout": Bug(
        "cuda", "Zoneout-LSTM", "[:, work.kind.first_drive * H : work.kind.sums * H]", "[:, work.kind.zones * H :]"
    ),
    "wrong parity of the states": Bug(
        "cuda_steps", "LSTM",
        "(t + 1, t, t) if tape.reverse else (t, t + 1, t)",
        "(t, t + 1, t) if tape.reverse else (t, t + 1, t)",
    ),
    "product of the state before": Bug(
        "cuda_steps", "LSTM", "            multiply(before)\n", "            multiply(max(before - 1, 0))\n"
    ),
    "stale cotangent": Bug("cuda_steps", "GRU", "arriving, dh, dc = through, new_dh, new_dc", "arriving = through"),
    "cotangents written into the caller's": Bug(
        "cuda_steps", "LSTM", "new_dh, new_dc = _pair(before)", "new_dh, new_dc = _pair(ds)"
    ),
    "swapped blocks": Bug(
        "cuda_job", "GRU", "yield slice(0, H), slice(2 * H, 3 * H)", "yield slice(2 * H, 3 * H), slice(0, H)"
    ),
    "swapped states of a peephole": Bug("cuda", "PeepholeLSTM", "(1, old), (3, new)", "(1, new), (3, old)"),
    "sum begun anew": Bug("cuda_steps", "GRUResetBefore", ".T, through, bool(late))", ".T, through, False)"),
    "a gradient nobody writes": Bug("cuda", "PeepholeLSTM", 'if "Wc" in dp:', 'if "Wp" in dp:'),
    "a sum nobody finishes": Bug("cuda_job", "RNN", "        if slabs > 1:\n", "        if slabs > 3:\n"),
    "wrong first state": Bug("cuda", "GRU", "first, last = (T, 0) if reverse else (0, T)", "first, last = 0, T"),
    "layout ignored": Bug("cuda_job", "RNN", "return a if a.flags.c_contiguous else", "return a if a.size else"),
    "dropped reset": Bug("cuda", "GRUResetBefore", "rows(tape.reset) if takes_reset else seen", "seen"),
}  # fmt: skip


def layouts(case):
    """Arrays that a layer has with the batch first in memory give the same numbers."""
    a = case.draw()
    turned = a._replace(x=_turned(a.x), dys=_turned(a.dys), mask=None if a.mask is None else _turned(a.mask))
    turned = turned._replace(p={name: np.asfortranarray(v) for name, v in a.p.items()})
    compare.identical("layouts", case, case.run(turned), case.run(a))


def _turned(a):
    return np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1)


def steps(case):
    """A step is the loop's."""
    a = case.draw()
    for batch in (1, case.batch):
        x, s = a.x[0, :batch], tuple(leaf[:batch] for leaf in a.s)
        p = {name: v[:batch] if name == "keep" else v for name, v in a.p.items()}
        met, wanted = (kernel.step(case.cell, p, x, s) for kernel in (case.kernel, loop))
        compare.close("steps", case, {"step": met}, {"step": wanted}, case.tolerance)


def many(case):
    """More rows than a block sums, and more units than one makes."""
    a = replace(case, steps=131, batch=9).draw()
    compare.close("many", case, case.run(a), replace(case, kernel=loop).run(a), 100 * case.tolerance)


OWN = {"layouts": layouts, "steps": steps, "many": many}


def seen_by(kernel, cell, laws=LAWS):
    """The first check that finds something wrong with the kernel on a cell, or None."""
    cases = [Case(cell, backend("numpy", "float64"), kernel, **setting) for setting in CELL_SETTINGS]
    own = cases[0], replace(cases[0], padding="holes", dropout=0.4, reverse=True, batch=6)
    checks = [(name, case) for name in OWN for case in own] + [(law, case) for law in laws for case in cases]
    for name, case in checks:
        try:
            OWN[name](case) if name in OWN else hold(name, case)
        except (AssertionError, RuntimeError):
            return name
    return None


@pytest.fixture
def host(monkeypatch):
    """The host code with a bug in it, as modules that take the places of the right ones."""

    def load(bug):
        for name in HOST:
            full = f"xprnn.kernels.{name}"
            spec = importlib.util.find_spec(full)
            text = spec.loader.get_source(full)
            if name == bug.file:
                assert text.count(bug.old) == 1, f"{name} has {bug.old!r} {text.count(bug.old)} times"
                text = text.replace(bug.old, bug.new)
            module = importlib.util.module_from_spec(spec)
            monkeypatch.setitem(sys.modules, full, module)
            exec(compile(text, spec.origin, "exec"), vars(module))
        return module.CUDA

    return load


@pytest.mark.parametrize("name", BUGS)
def test_the_checks_see_it(name, host):
    bug = BUGS[name]
    if bug.file in HOST:
        kernel = host(bug)(device=Emulated())
    else:
        kernel = cuda.CUDA(device=Emulated(edits=((bug.file, bug.old, bug.new),)))
    assert seen_by(kernel, CELLS[bug.cell])


@pytest.mark.parametrize("name", sorted({bug.cell for bug in BUGS.values()}))
def test_there_is_nothing_to_see_without(name):
    # The laws are tried elsewhere, on each cell.
    assert seen_by(cuda.CUDA(device=Emulated()), CELLS[name], ()) is None
