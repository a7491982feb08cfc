"""The error function against the standard library's."""

import math

import numpy as np

from xprnn.ops.erf import erf


def test_values(row):
    x = np.concatenate([np.linspace(-7, 7, 2001), [0.0, -0.0, 1e-30, -1e-12, 0.999999, 1.0, -1.0, 5.99, 30, -1e20]])
    x = x.astype(row.dtype)
    wanted = np.array([math.erf(value) for value in x])
    got = row.get(erf(row.xp, row.put(x)))
    assert got.dtype == row.dtype
    rounding = np.finfo(row.dtype).eps
    np.testing.assert_allclose(got, wanted, rtol=8 * rounding, atol=0)
    special = row.get(erf(row.xp, row.put(np.array([np.inf, -np.inf, np.nan], row.dtype))))
    np.testing.assert_array_equal(special, [1, -1, np.nan])
