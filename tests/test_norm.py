"""Normalized rows against the formula, for numbers of any size."""

import numpy as np
import pytest

from xprnn.ops.norm import HUGE, normalize, normalize_huge


def formula(x, epsilon):
    rate = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + epsilon)
    return (x - x.mean(axis=-1, keepdims=True)) * rate, rate


@pytest.mark.parametrize("scale", [1.0, 1e-8, 100.0, 0.3 * HUGE, 30 * HUGE, 1e30])
@pytest.mark.parametrize("relative", [1e-6, 0.5])
def test_rows_of_any_size(scale, relative):
    x = scale * np.random.default_rng(0).normal(size=(5, 7))
    epsilon = relative * scale**2  # that counts, whatever the size
    for (n, rate), dtype, tolerance in (
        (normalize(np, x, epsilon), "float64", 1e-13),
        (normalize_huge(np, x, epsilon), "float64", 1e-13),
        (normalize_huge(np, x.astype("float32"), min(epsilon, 1e38)), "float32", 1e-5),
    ):
        wanted_n, wanted_rate = formula(x, epsilon if dtype == "float64" else min(epsilon, 1e38))
        assert n.dtype == rate.dtype == dtype
        np.testing.assert_allclose(n, wanted_n, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(rate, wanted_rate, rtol=10 * tolerance)
