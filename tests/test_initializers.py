"""Initializers: exact values where there are any, bounds, moments and orthogonality elsewhere; blocks stand alone."""

import numpy as np
import pytest

from xprnn import initializers
from xprnn.initializers import constant, glorot_uniform, normal, orthogonal, uniform, zeros

MATRICES = ["glorot_uniform", "glorot_normal", "lecun_normal", "he_normal", "orthogonal"]
EVERY = {
    "zeros": zeros, "constant": constant(1.5), "uniform": uniform(0.3), "normal": normal(2.0),
    **{name: getattr(initializers, name) for name in MATRICES},
}
ROWS, COLS = 300, 200
STD = {
    "uniform": 0.3 / np.sqrt(3), "normal": 2.0, "glorot_uniform": np.sqrt(2 / 500), "glorot_normal": np.sqrt(2 / 500),
    "lecun_normal": np.sqrt(1 / 300), "he_normal": np.sqrt(2 / 300), "orthogonal": np.sqrt(1 / 300),
}


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("shape", [(5, 4), (4, 5)])
def test_blocks_are_matrices_of_their_own(name, shape, rng):
    fused = EVERY[name](rng, shape, gates=3)
    assert fused.shape == (shape[0], 3 * shape[1])
    again = np.random.default_rng(3)
    for block in np.split(fused, 3, axis=1):
        alone = EVERY[name](again, shape)
        np.testing.assert_array_equal(block, alone)
        assert alone.dtype == np.float64 and alone.flags.c_contiguous and alone.flags.writeable


@pytest.mark.parametrize("name", ["zeros", "constant", "uniform", "normal"])
def test_biases_are_filled_gate_by_gate(name, rng):
    assert EVERY[name](rng, (4,), gates=3).shape == (12,)


def test_constants_draw_nothing(rng):
    np.testing.assert_array_equal(zeros(rng, (2, 3), 2), np.zeros((2, 6)))
    np.testing.assert_array_equal(constant(1)(rng, (3,), 2), np.ones(6))
    assert rng.normal() == np.random.default_rng(3).normal()


@pytest.mark.parametrize("name", STD)
def test_moments(name, rng):
    x = EVERY[name](rng, (ROWS, COLS), gates=4)
    assert abs(x.mean()) < 4 * STD[name] / np.sqrt(x.size)
    assert x.std() == pytest.approx(STD[name], rel=0.01)


@pytest.mark.parametrize(
    ("name", "bound"), [("uniform", 0.3), ("glorot_uniform", np.sqrt(6 / 500))], ids=["uniform", "glorot"]
)
def test_bounds_are_kept_and_reached(name, bound, rng):
    x = EVERY[name](rng, (ROWS, COLS), gates=4)
    assert 0.9999 * bound < x.max() <= bound
    assert 0.9999 * bound < -x.min() <= bound


@pytest.mark.parametrize("name", ["normal", "glorot_normal", "lecun_normal", "he_normal"])
def test_normal_ones_are_not_truncated(name, rng):
    x = EVERY[name](rng, (ROWS, COLS), gates=4) / STD[name]
    assert np.mean(x**4) == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (1, 5), (5, 1), (1, 1)])
def test_orthogonal_blocks(shape, rng):
    for q in np.split(orthogonal(rng, shape, gates=3), 3, axis=1):
        product = q.T @ q if shape[0] >= shape[1] else q @ q.T
        np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-12)


def test_orthogonal_matrices_are_uniformly_distributed(rng):
    # Without the signs LAPACK's Q would always have a negative first entry, and the traces a mean other than 0.
    traces = [np.trace(orthogonal(rng, (3, 3))) for _ in range(4000)]
    assert abs(np.mean(traces)) < 4 / np.sqrt(4000)
    assert np.var(traces) == pytest.approx(1, rel=0.1)


def test_glorot_counts_one_block(rng):
    assert np.abs(glorot_uniform(rng, (2, 1), gates=5000)).max() == pytest.approx(np.sqrt(6 / 3), rel=1e-3)


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("shape", [(4,), (2, 3, 4), (0, 3), (3, 0)])
def test_matrices_are_asked_for(name, shape, rng):
    with pytest.raises(ValueError, match=f"{name} needs the shape of a matrix"):
        EVERY[name](rng, shape)
