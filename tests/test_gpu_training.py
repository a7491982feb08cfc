"""A whole update without a look at a value: on arrays that have none, and by way of the kernels for GPUs."""

import numpy as np
import pytest
from emulation import MISSING, Emulated
from emulation.elsewhere import Elsewhere

from xprnn import gpu, kernels, tree
from xprnn.backend import backend
from xprnn.kernels import cuda
from xprnn.layers.dense import Dense
from xprnn.layers.dropout import Dropout
from xprnn.layers.embedding import Embedding
from xprnn.layers.recurrent import GRU, LSTM
from xprnn.layers.sequential import Sequential
from xprnn.losses import cross_entropy
from xprnn.optimizers import AdamW
from xprnn.random import Key
from xprnn.training.data import Data
from xprnn.training.loop import train
from xprnn.training.step import Recipe, Run

LAYER = Sequential(
    Embedding(11, 6, mask_zero=True), LSTM(5, 2, dropout=0.3, recurrent_dropout=0.2, bidirectional=True),
    Dropout(0.2), GRU(4), Dense(11),
)  # fmt: skip
CHUNKED = Sequential(Embedding(11, 6), LSTM(5, 2, dropout=0.3), Dense(11))
RECIPES = {
    "whole": (LAYER, Recipe(cross_entropy, AdamW(0.01), 2, 3, clip=1.0, clip_value=5.0)),
    "chunks": (CHUNKED, Recipe(cross_entropy, AdamW(0.01), 1, 3, chunk=2, clip=1.0)),
}
# Array operations of an update beside the launches of kernels, without views.
MOST = {"whole": 67, "chunks": 19}
EACH_RECIPE = pytest.mark.parametrize("name", RECIPES)


def draw(layer):
    """Parameters, ids and targets, with an id of padding here and there."""
    rng = np.random.default_rng(0)
    params, _ = layer.init(rng, (None,))
    params = tree.map(lambda a: np.asarray(a, np.float32), params)
    return params, Data(rng.integers(0, 11, (6, 4)), rng.integers(0, 11, (6, 4)), None)


def reports(name, put):
    layer, recipe = RECIPES[name]
    params, data = draw(layer)
    params, data = tree.map(put, params), Data(*(None if a is None else put(a) for a in data))
    run = Run(params, recipe.optimizer.init(params))
    return list(train(layer, recipe, data, run, Key(3)))


@EACH_RECIPE
def test_only_the_loss_that_is_read_waits_for_the_device(name):
    pytest.importorskip("torch")
    done = reports(name, backend("torch:meta", "float32").asarray)
    assert len(done) == 4
    for run, report in done:
        assert {leaf.device.type for leaf in tree.leaves(run.params)} == {"meta"}
        with pytest.raises(RuntimeError, match="meta"):
            assert report.loss


class Waits(Exception):
    """Somebody looks at a value."""


def _look(self, *_):
    raise Waits


class Deferred(np.ndarray):
    """An array at whose values nobody may look; what is computed from it is one too, and is counted."""

    operations: list = []  # noqa: RUF012 (one for all)
    __bool__ = __float__ = __int__ = __index__ = __complex__ = __array__ = __iter__ = item = tolist = _look

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        self.operations.append(ufunc.__name__)
        into = None if out is None else tuple(map(plain, out))
        return deferred(getattr(ufunc, method)(*map(plain, inputs), out=into, **options)) if out is None else out[0]

    def __array_function__(self, function, types, args, kwargs):
        if function not in (np.reshape, np.transpose):
            self.operations.append(function.__name__)
        return tree.map(deferred, function(*plain(args), **{key: plain(value) for key, value in kwargs.items()}))


def plain(a):
    if isinstance(a, list | tuple):
        return type(a)(map(plain, a))
    return a.view(np.ndarray) if isinstance(a, Deferred) else a


def deferred(a):
    return np.asarray(a).view(Deferred) if isinstance(a, np.ndarray | np.generic) else a


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
@EACH_RECIPE
def test_nothing_waits_for_a_gpu_and_the_numbers_are_those_of_the_library(name, monkeypatch):
    wanted = reports(name, np.asarray)
    device = Elsewhere(Emulated(), lambda a: isinstance(a, np.ndarray), deferred, plain)
    monkeypatch.setattr(gpu, "DEVICES", (device,))
    monkeypatch.setattr(kernels, "KERNELS", {"cuda": cuda.CUDA(device=device)})
    monkeypatch.setattr(Deferred, "operations", [])
    done = reports(name, deferred)
    assert len(Deferred.operations) <= MOST[name] * len(done)
    for (run, report), (other, told) in zip(done, wanted, strict=True):
        with pytest.raises(Waits):
            assert report.loss
        np.testing.assert_allclose(plain(report.mean), told.mean, rtol=1e-5)
        for path, leaf in tree.flatten(run.params).items():
            np.testing.assert_allclose(plain(leaf), tree.flatten(other.params)[path], rtol=1e-3, atol=1e-5)
