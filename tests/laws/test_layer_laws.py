"""Every law of layers: for every layer, on every library and precision."""

import numpy as np
import pytest
from subjects import LAYERS

from xprnn import tree
from xprnn.layers.base import Context
from xprnn.layers.embedding import Embedding
from xprnn.layers.masking import Masking
from xprnn.layers.recurrent import GRU
from xprnn.layers.sequential import Sequential
from xprnn.testing import LAYER_LAWS, LAYER_SETTINGS, LayerCase, hold


@pytest.mark.parametrize("law", LAYER_LAWS)
@pytest.mark.parametrize("layer, shape", LAYERS.values(), ids=LAYERS)
def test_law(law, layer, shape):
    for setting in LAYER_SETTINGS:
        hold(law, LayerCase(layer, shape, **setting))


@pytest.mark.parametrize("layer, shape", LAYERS.values(), ids=LAYERS)
def test_every_library_gives_the_numbers_of_numpy(layer, shape, law_row):
    # JAX compiles every shape anew: its holes, and states that nobody gives, are those of tests of whole models.
    for setting in LAYER_SETTINGS[1:2] if law_row.library == "jax" else LAYER_SETTINGS[1:]:
        hold("namespaces", LayerCase(layer, shape, law_row.backend, steps=4, **setting))


@pytest.mark.parametrize("layer, shape", LAYERS.values(), ids=LAYERS)
def test_every_library_leaves_inputs_alone(layer, shape, law_row):
    if law_row.library == "jax":
        pytest.skip("JAX's arrays never change")
    hold("pure", LayerCase(layer, shape, law_row.backend, padding="ragged", training=True, steps=4))


@pytest.mark.parametrize("layer, shape", LAYERS.values(), ids=LAYERS)
def test_nothing_looks_at_values(layer, shape, shapes_row):
    for setting in LAYER_SETTINGS:
        hold("alike", LayerCase(layer, shape, shapes_row.backend, **setting))


@pytest.mark.parametrize("marked", [Embedding(3, 4, mask_zero=True), Masking(0.0)], ids=str)
def test_padding_told_by_its_value_is_padding(marked):
    rng = np.random.default_rng(0)
    tokens = isinstance(marked, Embedding)
    x = rng.integers(0, 3, (4, 7)) if tokens else rng.normal(size=(4, 7, 3)) * (rng.random((4, 7, 1)) < 0.5)
    real = x != 0 if tokens else x[..., 0] != 0
    told, plain = Sequential(marked, GRU(3)), Sequential(Embedding(3, 4), GRU(3)) if tokens else Sequential(GRU(3))
    p, _ = told.init(rng, (None,) if tokens else (None, 3))
    results = []
    for layer, context in ((told, Context()), (plain, Context(real))):
        own = {name: p[name] for name in layer.names}
        y, end, tape = layer.forward(own, x, None, context)
        grads = layer.backward(own, tape, np.ones_like(y), None)[2]
        results.append({"y": y, "end": end[-1], "gru": grads["gru"], "W": grads["embedding"]["W"] if tokens else y})
    for name, a in tree.flatten(results[0]).items():
        np.testing.assert_array_equal(a, tree.flatten(results[1])[name])
