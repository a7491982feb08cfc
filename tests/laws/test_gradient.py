"""The reverse is the derivative: in every setting on NumPy, in some on every other library, and through stacks."""

from itertools import product

import pytest
from subjects import CELLS, RECURRENT

from xprnn.layers.recurrent import Recurrent
from xprnn.testing import CELL_SETTINGS, Case, LayerCase, hold

NAMES = ("reverse", "padding", "segment", "dropout")
EVERY = [
    dict(zip(NAMES, values, strict=True))
    for values in product((False, True), ("none", "ragged", "holes"), (None, 3), (0.0, 0.4))
]


@pytest.mark.parametrize("setting", EVERY, ids=lambda setting: "-".join(map(str, setting.values())))
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_every_setting(cell, setting):
    assert hold("gradient", Case(cell, **setting)) < 1e-7


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_every_library(cell, float64_row):
    for setting in CELL_SETTINGS[1:2] if float64_row.library == "jax" else CELL_SETTINGS[1:3]:
        assert hold("gradient", Case(cell, float64_row.backend, **setting)) < 1e-7


@pytest.mark.parametrize("kind", {type(cell): cell for cell in CELLS.values()}.values(), ids=str)
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("padding", ["none", "ragged", "holes"])
def test_three_layers_in_both_directions(kind, training, padding):
    layer = Recurrent((kind,) * 3, bidirectional=True, dropout=0.3, recurrent_dropout=0.3)
    assert hold("gradient", LayerCase(layer, (None, 3), padding=padding, training=training)) < 1e-7


@pytest.mark.parametrize("begun", [False, True], ids=["from zero", "from a state"])
@pytest.mark.parametrize("layer, shape", RECURRENT.values(), ids=RECURRENT)
def test_recurrent_layers_in_training(layer, shape, begun):
    for padding in ("none", "ragged", "holes"):
        assert hold("gradient", LayerCase(layer, shape, padding=padding, training=True, begun=begun)) < 1e-7
