"""Layers overlapped on two streams of a GPU: they give what they give one after the other, and wait for each other."""

import gc
import importlib.util
import itertools
from dataclasses import replace

import numpy as np
import pytest
from emulation import MISSING, Emulated
from emulation.order import Order
from emulation.watched import OnWatched, watched

import xprnn as xr
from xprnn import cells, gpu, kernels
from xprnn.kernels import cuda, loop
from xprnn.kernels.cuda_cluster import Cluster
from xprnn.kernels.cuda_graph import Graph
from xprnn.layers import chain, overlap
from xprnn.layers.base import Context
from xprnn.layers.direction import Direction
from xprnn.layers.sequence_dropout import SequenceDropout

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

B, T, D, CHUNK = 4, 8, 4, 3
LENGTHS = np.arange(T) < np.asarray([[T], [4], [1], [0]])
HOLES = np.random.default_rng(2).random((B, T)) < 0.6


def deep(segment=None):
    return xr.LSTM(5, num_layers=3, dropout=0.3, recurrent_dropout=0.2, learn_state=True, segment=segment)


def last(segment=None):
    return xr.GRU((5, 4), dropout=0.3, return_sequences=False, segment=segment)


def in_a_row(segment=None):
    twice = xr.RNN(4, segment=segment)
    between = xr.Dropout(0.3), SequenceDropout(0.2)
    first, second = xr.GRU(5, segment=segment), xr.LSTM(4, segment=segment)
    return xr.Sequential(xr.Dropout(0.2), first, *between, second, twice, twice, xr.Dense(3))


def shortened(segment=None):
    first, second = xr.GRU(5, segment=segment), xr.LSTM(4, return_sequences=False, segment=segment)
    return xr.Sequential(first, second, xr.Dropout(0.2), xr.Dense(3, "tanh"))


def by_the_loop(segment=None):
    return xr.LayerNormLSTM((5, 4), dropout=0.3, segment=segment)


CASES = {
    "deep": (deep, LENGTHS, "cuda", False),
    "last output": (last, LENGTHS, "cuda", True),
    "last output of all steps": (last, None, "cuda", True),
    "in a row": (in_a_row, HOLES, "cuda", True),
    "last output, then more": (shortened, LENGTHS, "cuda", False),
    "by the loop": (by_the_loop, HOLES, "loop", False),
}


@pytest.fixture
def device(monkeypatch):
    return setting(monkeypatch)


def setting(monkeypatch, order=None):
    device = OnWatched(Emulated(order=order or Order()))
    monkeypatch.setattr(gpu, "DEVICES", (device,))
    monkeypatch.setattr(gpu, "STREAMS", 2)
    monkeypatch.setattr(overlap, "CHUNK", CHUNK)
    choose(monkeypatch, device, "cuda")
    return device


def choose(monkeypatch, device, name, walk=cuda.STEPS):
    both = {"cuda": cuda.CUDA(device=device, walk=walk), "loop": loop}
    monkeypatch.setattr(kernels, "KERNELS", both if name == "cuda" else {"loop": loop})


def trained(device, layer, mask, dtype="float64", begun=True):
    """All that comes of the layer, there and back, from a state where it has ``begun``; the gradients last."""
    rng = np.random.default_rng(0)

    def there(a):
        return watched(device.emulated.order, np.array(a, dtype if a.dtype.kind == "f" else None))

    def drawn(sizes):
        return xr.tree.map(lambda n: there(rng.normal(size=(B, n))), sizes)

    p, _ = layer.init(np.random.default_rng(1), (None, D))
    p, x, state = xr.tree.map(there, p), there(rng.normal(size=(B, T, D))), drawn(layer.state_sizes)
    mask = None if mask is None else there(mask)
    state = state if begun else None
    y, end, tape = layer.forward(p, x, state, Context(mask, xr.Key(1)))
    dy, dend = there(rng.normal(size=y.shape)), drawn(layer.state_sizes)
    dx, dbegin, grads = layer.backward(p, tape, dy, dend)
    alone = layer.gradients(p, tape, dy, dend)
    quiet, _, _ = layer.forward(p, x, state, Context(mask, tape=False))
    return (y, end, dx, dbegin, quiet), (grads, alone)


def arrays(found):
    return [np.asarray(a) for a in xr.tree.leaves(found)]


def check(monkeypatch, device, name):
    """The same as without, and bit by bit the same as with sums over the same chunks."""
    make, mask, kernel, begun = CASES[name]
    choose(monkeypatch, device, kernel)
    met = trained(device, make(), mask, begun=begun)
    monkeypatch.setattr(gpu, "STREAMS", 1)
    for ours, theirs in zip(arrays(met), arrays(trained(device, make(), mask, begun=begun)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)
    for ours, theirs in zip(arrays(met), arrays(trained(device, make(CHUNK), mask, begun=begun)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", CASES)
def test_overlapped_layers_give_what_they_give_one_after_the_other(name, device, monkeypatch):
    check(monkeypatch, device, name)
    assert device.emulated.order.clocks[1][1] > 50


@pytest.mark.parametrize("walk", [Graph(2), Cluster()], ids=["graph", "cluster"])
def test_other_walks_overlap_too(walk, device, monkeypatch):
    layer = xr.LSTM(8, num_layers=2)
    choose(monkeypatch, device, "cuda", walk)
    met = trained(device, layer, LENGTHS, "float32")
    assert isinstance(walk, Cluster) or len(walk.recordings) == 6  # one for each stream, so that none waits for another
    monkeypatch.setattr(gpu, "STREAMS", 1)
    for ours, theirs in zip(arrays(met), arrays(trained(device, layer, LENGTHS, "float32")), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_while_a_layer_does_a_chunk_the_one_below_does_the_next(device, monkeypatch):
    met = []

    def noted(name):
        own = getattr(Direction, name)

        def note(self, p, first, *rest):
            met.append((device.emulated.order.lane, self.cell.hidden, name))
            return own(self, p, first, *rest)

        return note

    for name in ("forward", "backward"):
        monkeypatch.setattr(Direction, name, noted(name))
    layer = xr.GRU((5, 4))
    p, _ = layer.init(np.random.default_rng(1), (None, D))
    x = watched(device.emulated.order, np.ones((B, T, D)))
    y, _, tape = layer.forward(p, x, None, Context())
    layer.backward(p, tape, y, None)
    low, high = (0, 5), (1, 4)
    assert [call[:2] for call in met if call[2] == "forward"] == [low, high, low, high, low, high]
    assert [call[:2] for call in met if call[2] == "backward"] == [high, high, low, high, low, low]


def test_what_is_overlapped_and_what_is_not(device, monkeypatch):
    one = Direction(cells.LSTM(3))
    drop, back = xr.Dropout(0.5), replace(one, reverse=True)
    zoned = xr.Recurrent(cells.Zoneout(cells.LSTM(3), (0.1, 0.1)))
    x = np.ones((B, T, D))

    def reach(*layers, x=x):
        return overlap.reach([overlap.Place(layer, {}, None) for layer in layers], 0, x)

    assert reach(one, one) == 2 and reach(one, drop, drop, one, drop) == 4 and reach(xr.RNN(3), xr.GRU(3), back) == 2
    assert reach(one, replace(one, return_sequences=False), xr.Dense(3)) == 2
    for refused in (one, back, xr.LSTM(3, num_layers=2), xr.LSTM(3, bidirectional=True), zoned, xr.Dense(3), drop):
        assert not reach(refused, refused) or refused is one
        assert not reach(one, refused, back) or refused is one
    assert not reach() and not reach(drop, one, one)
    assert not reach(one, one, x=x[:, :CHUNK, :]) and not reach(one, one, x=x[:, :, 0])
    monkeypatch.setattr(gpu, "DEVICES", ())
    assert not reach(one, one)


@pytest.mark.parametrize("name", ["forward", "backward"])
@pytest.mark.parametrize("at", [3, 4], ids=["on this stream", "beside"])
def test_what_fails_in_the_middle_leaves_nothing(name, at, device, monkeypatch):
    own, calls, walk = getattr(Direction, name), itertools.count(1), Graph(2)

    def failing(self, *given):
        if next(calls) == at:
            raise MemoryError(f"on stream {device.emulated.order.lane}")
        return own(self, *given)

    choose(monkeypatch, device, "cuda", walk)
    layer = xr.GRU((5, 4), dropout=0.3)
    with monkeypatch.context() as broken:
        broken.setattr(Direction, name, failing)
        with pytest.raises(MemoryError, match="on stream ") as met:
            trained(device, layer, HOLES)
    order, where = device.emulated.order, int(str(met.value)[-1])
    del met
    walk.recordings.clear()
    gc.collect()
    assert where == (at == 4) and order.lane == 0 and not order.touched
    trained(device, layer, HOLES)


OVERLAP = "xprnn.layers.overlap"
RACES = {
    "no wait before": ("emulation.order", "            start.wait()\n", ""),
    "no wait after": ("xprnn.gpu", "        end.wait()\n", "        end\n"),
    "an output freed while it is read": (OVERLAP, "        part = _dr", "        ys[layer - 1, chunk] = part = _dr"),
    "a cotangent freed while it is read": (OVERLAP, "        dx = _dr", "        dys[layer, chunk] = dx = _dr"),
}  # fmt: skip
BUGS = RACES | {
    "all layers at once": (OVERLAP, "[(layer, turn - layer) for", "[(layer, turn) for"),
    "back from the first turn": (OVERLAP, "turn in reversed(", "turn in iter("),
    "the same dropout in every chunk": (OVERLAP, "keep[:, cut, :]", "keep[:, : x.shape[1], :]"),
    "dropout drawn for each chunk": (
        OVERLAP,
        "* keep[:, cut, :]",
        "* Key(1).fold(cut.start).keep(xp, x, x.shape, 0.3)",
    ),
    "no dropout on the way back": (OVERLAP, "stages[layer].keeps[::-1]", "[]"),
    "no state carried": (OVERLAP, "ys[layer, chunk], states[layer], tapes", "ys[layer, chunk], _, tapes"),
    "no cotangent of it carried": (OVERLAP, "dys[layer - 1, chunk], states[layer],", "dys[layer - 1, chunk], _,"),
    "gradients of a chunk lost": (OVERLAP, "dp if chunk == end", "dp if chunk >= end - 1"),
    "the mask of the first chunk": (OVERLAP, "ctx.part(cut)", "ctx.part(slice(0, cut.stop - cut.start))"),
    "only the last chunk's mask": (OVERLAP, "[ctx.part(cut)", "[ctx.part(cut)._replace(past_mask=None)"),
    "the first chunk's output": (OVERLAP, "y = parts[-1]", "y = parts[0]"),
    "back to the first chunk": (OVERLAP, "return dy if ends else None", "return None if ends else dy"),
    "one chunk short": (OVERLAP, "cut_up(T, CHUNK)", "cut_up(T - CHUNK, CHUNK)"),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_the_checks_see(name, monkeypatch):
    file, old, new = BUGS[name]
    spec = importlib.util.find_spec(file)
    text, module = spec.loader.get_source(file), importlib.util.module_from_spec(spec)
    assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
    exec(compile(text.replace(old, new), spec.origin, "exec"), vars(module))
    device = setting(monkeypatch, getattr(module, "Order", Order)())
    if file == "xprnn.gpu":
        module.DEVICES, module.STREAMS = gpu.DEVICES, 2
        monkeypatch.setattr(gpu, "both", module.both)
    if file == OVERLAP:
        module.CHUNK = CHUNK
        monkeypatch.setattr(chain, "overlap", module)
    with pytest.raises(RuntimeError if name in RACES else (AssertionError, KeyError)):
        check(monkeypatch, device, "deep" if name in RACES else "last output")
