"""The kernel for JAX where the laws do not look: when it is taken, inside jit, grad and vmap, what it compiles."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from xprnn import cells
from xprnn.kernels import choose, loop
from xprnn.kernels import jax as kernel
from xprnn.scan import scan, scan_vjp

jax = pytest.importorskip("jax")
CELL = cells.GRU(3)


@dataclass(frozen=True)
class Listed(cells.GRU):
    """A GRU that nothing can hash."""

    notes: list = field(default_factory=list)


def drawn(cell=CELL, steps=4):
    """Parameters, x, state, mask and the outputs' cotangents."""
    rng = np.random.default_rng(0)
    p = {name: rng.normal(size=a.shape) for name, a in cell.init(rng, 2).items()}
    mask = np.ones((steps, 5, 1), dtype=bool)
    mask[1:, 1] = mask[:, 2] = False
    arrays = (p, rng.normal(size=(steps, 5, 2)), (rng.normal(size=(5, 3)),), mask, rng.normal(size=(steps, 5, 3)))
    return jax.tree.map(jax.numpy.asarray, arrays)


def close(met, wanted):
    for a, b in zip(jax.tree.leaves(met), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_it_takes_what_is_of_jax_and_any_cell_that_hashes():
    x = drawn()[1]
    assert choose(CELL, x, None) is kernel
    assert choose(Listed(3), x, None) is loop
    assert not kernel.accepts(CELL, np.asarray(x), None)


def test_a_cell_that_does_not_hash_runs_in_the_loop():
    p, x, s, mask, dys = drawn(steps=2)
    results = []
    for cell in (Listed(3), CELL):
        ys, end, tape = scan(cell, p, x, s, mask=mask)
        results.append((ys, end, scan_vjp(cell, p, tape, dys)))
    close(*results)


@pytest.mark.parametrize("reverse", [False, True])
def test_jax_derives_the_same_gradients(reverse):
    p, x, s, mask, dys = drawn()

    @jax.jit
    def loss(p, x, s):
        ys, (end,), _ = scan(CELL, p, x, s, mask=mask, reverse=reverse, tape=False)
        return jax.numpy.sum(ys * dys) + 2 * jax.numpy.sum(end)

    _, (end,), tape = scan(CELL, p, x, s, mask=mask, reverse=reverse)
    dx, ds, dp = scan_vjp(CELL, p, tape, dys, (jax.numpy.full_like(end, 2.0),))
    close((dp, dx, ds), jax.grad(loss, argnums=(0, 1, 2))(p, x, s))


def test_it_runs_inside_vmap():
    p, x, s, _, _ = drawn()
    both = jax.numpy.stack([x, -x])
    ys = jax.vmap(lambda x: scan(CELL, p, x, s, tape=False)[0])(both)
    close(ys, jax.numpy.stack([scan(CELL, p, one, s)[0] for one in both]))


def test_each_shape_and_flag_is_compiled_once():
    p, x, s, mask, _ = drawn()
    compiled = kernel._compiled(kernel._forward)
    before = compiled._cache_size()
    for tape, rows in ((True, None), (False, None), (True, mask), (True, None), (False, None)):
        kernel.forward(cells.GRU(3), p, 1 * x, s, rows, False, tape)
    assert compiled._cache_size() - before <= 3
    kernel.forward(CELL, p, x[:2], s, None, False)
    kernel.forward(CELL, p, x[:2], s, None, True)
    assert compiled._cache_size() - before <= 5
