"""Results as named leaves, and how far those of reduced precision are from others."""

import numpy as np

from xprnn.scan import scan_vjp
from xprnn.testing import compare


def cotangents(cell, a, tape, dys):
    """All that a walk back gives, by name."""
    dx, ds, dp = scan_vjp(cell, a.p, tape, dys, a.ds)
    return {"dx": dx, "ds": ds, "dp": dp}


def error(got, wanted):
    """The largest error of a leaf, beside its length."""
    got, wanted = compare.flatten(got), compare.flatten(wanted)
    return np.max([np.linalg.norm(got[name] - v) / np.linalg.norm(v) for name, v in wanted.items()])
