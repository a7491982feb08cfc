"""Every law of layers: for every layer, on every library and precision."""

import pytest
from subjects import LAYERS

from xprnn.testing import LAYER_LAWS, LAYER_SETTINGS, LayerCase, hold


@pytest.mark.parametrize("law", LAYER_LAWS)
@pytest.mark.parametrize("layer, shape", LAYERS.values(), ids=LAYERS)
def test_law(law, layer, shape):
    for setting in LAYER_SETTINGS:
        hold(law, LayerCase(layer, shape, **setting))


@pytest.mark.parametrize("layer, shape", LAYERS.values(), ids=LAYERS)
def test_every_library_gives_the_numbers_of_numpy(layer, shape, law_row):
    for setting in LAYER_SETTINGS[1:]:
        hold("namespaces", LayerCase(layer, shape, law_row.backend, steps=4, **setting))


@pytest.mark.parametrize("layer, shape", LAYERS.values(), ids=LAYERS)
def test_every_library_leaves_inputs_alone(layer, shape, law_row):
    hold("pure", LayerCase(layer, shape, law_row.backend, padding="ragged", training=True, steps=4))


@pytest.mark.parametrize("layer, shape", LAYERS.values(), ids=LAYERS)
def test_nothing_looks_at_values(layer, shape, shapes_row):
    for setting in LAYER_SETTINGS:
        hold("alike", LayerCase(layer, shape, shapes_row.backend, **setting))
