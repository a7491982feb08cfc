"""What is left of a step's notes once it is written down."""

import gc

import numpy as np
import pytest

from xprnn.kernels import replay
from xprnn.kernels.notes import Note


@pytest.mark.parametrize("lasts", [False, True])
@pytest.mark.parametrize("change", [lambda h: h + 1, lambda h: (h + 1) ** 2], ids=["written", "refused"])
def test_nothing_is_left_to_the_garbage_collector(change, lasts):
    s, slabs, W = (np.ones((3, 4)),), (np.ones((replay.FEW, 3, 4)),), np.ones((4, 4))

    def notes():
        return sum(type(one) is Note for one in gc.get_objects())

    gc.collect()
    before = notes()
    gc.disable()
    try:
        replay.walk(np, lambda p, s, at: (s, (change(s[0]) @ p["W"],)), {"W": W}, s, slabs, replay.FEW, False, 1, lasts)
        assert notes() == before
    finally:
        gc.enable()
