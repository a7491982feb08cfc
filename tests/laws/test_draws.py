"""Every random draw of one call has a stream of its own: no two dropouts share their zeros."""

import pytest
from subjects import LAYERS

from xprnn.random import Key
from xprnn.testing import LayerCase

DRAWING = ["Recurrent", "Recurrent-last", "LSTM", "Sequential", "SequenceDropout"]


@pytest.mark.parametrize("name", LAYERS)
def test_streams_differ(name, monkeypatch):
    layer, shape = LAYERS[name]
    case = LayerCase(layer, shape, training=True)
    a = case.place(case.draw())
    drawn, keep = [], Key.keep
    monkeypatch.setattr(Key, "keep", lambda key, *args: drawn.append((key.seed, key.path)) or keep(key, *args))
    case.forward(a)
    assert len(set(drawn)) == len(drawn)
    assert drawn or name not in DRAWING
