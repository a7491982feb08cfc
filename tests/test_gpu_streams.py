"""Work on two streams of a GPU at a time: it gives what it gives on one, and whoever needs it waits for it."""

import os
import subprocess
import sys

import numpy as np
import pytest
from emulation import MISSING, Emulated

import xprnn as xr
from xprnn import gpu, kernels
from xprnn.kernels import cuda, loop
from xprnn.kernels.cuda_graph import Graph

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

T, B, D = 7, 3, 4


@pytest.fixture
def device(monkeypatch):
    device = Emulated()
    monkeypatch.setattr(gpu, "DEVICES", (device,))
    monkeypatch.setattr(gpu, "STREAMS", 2)
    return device


def arrays(device, count):
    made = [device.empty((2, 2), "f8") for _ in range(count)]
    for n, a in enumerate(made):
        a[...] = [[n + 1, 2], [3, n]]
    return made


def test_both_are_done_and_waited_for(device):
    (a, b, c), multiply = arrays(device, 3), device.product()
    first, second = gpu.both(a, lambda: multiply(a, a, b) or "first", lambda: multiply(a, a, c) or "second")
    multiply(b, c, a)
    np.testing.assert_array_equal(a, np.linalg.matrix_power([[1, 2], [3, 0]], 4))
    assert (first, second) == ("first", "second") and len(device.order.clocks) == 2


def test_one_that_fails_leaves_nothing_under_way(device):
    (a, b, c), multiply = arrays(device, 3), device.product()
    with pytest.raises(ZeroDivisionError):
        gpu.both(a, lambda: 1 / 0, lambda: multiply(a, a, c))
    multiply(c, c, b)


@pytest.mark.parametrize("left, problem", [
    (lambda multiply, a, b, c: multiply(c, a, b), "a product reads an array in use beside"),
    (lambda multiply, a, b, c: multiply(b, b, c), "a product writes an array in use beside"),
    (lambda multiply, a, b, c: multiply(b, b, a), "a product writes an array in use beside"),
])  # fmt: skip
def test_a_wait_that_is_missing_is_found(device, left, problem):
    (a, b, c), multiply = arrays(device, 3), device.product()
    _, end = device.beside(lambda: multiply(a, a, c))
    with pytest.raises(RuntimeError, match=problem):
        left(multiply, a, b, c)
    end.wait()
    left(multiply, a, b, c)


def test_memory_that_is_still_read_beside_must_not_be_given_out(device):
    for waits in (True, False):
        (a, b), multiply = arrays(device, 2), device.product()

        def other(multiply=multiply, a=a, b=b):
            multiply(a, a, b)

        _, end = device.beside(other)
        if waits:
            end.wait()
            del a, other
            device.empty((2,), "f8")
        else:
            del a, other
            with pytest.raises(RuntimeError, match="memory is given out again while it is in use beside"):
                device.empty((2,), "f8")


def trained(model):
    rng = np.random.default_rng(0)
    x, dy, lengths = rng.normal(size=(B, T, D)), rng.normal(size=(B, T, 10)), np.asarray([T, 4, 1])
    y, state, tape = model.forward(x, lengths=lengths, key=xr.Key(1))
    return y, state, model.backward(tape, dy), model(x, lengths=lengths)


@pytest.mark.parametrize("walk", [cuda.STEPS, Graph(3)], ids=["steps", "graph"])
@pytest.mark.parametrize("layer", [
    xr.LSTM(5, num_layers=2, bidirectional=True, dropout=0.2, recurrent_dropout=0.3, learn_state=True),
    xr.GRU(10, bidirectional=True, merge="mul", segment=3),
], ids=["LSTM", "GRU"])  # fmt: skip
def test_both_directions_at_once_give_the_same_bits(layer, walk, device, monkeypatch):
    monkeypatch.setattr(kernels, "KERNELS", {"cuda": cuda.CUDA(device=device, walk=walk), "loop": loop})
    model = xr.Model(layer, dtype="float64", input_shape=(None, D))
    met = trained(model)
    assert device.order.clocks[1][1] > 100
    monkeypatch.setattr(gpu, "STREAMS", 1)
    for a, b in zip(xr.tree.leaves(met), xr.tree.leaves(trained(model)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_environment_says_how_many():
    command = [sys.executable, "-c", "from xprnn import gpu; print(gpu.STREAMS)"]
    for said, wanted in (("2", "2\n"), ("1", "1\n"), ("3", "XPRNN_STREAMS=3 in the environment, but there are 1 or 2")):
        done = subprocess.run(command, env=os.environ | {"XPRNN_STREAMS": said}, capture_output=True, text=True)
        assert wanted in done.stdout + done.stderr
