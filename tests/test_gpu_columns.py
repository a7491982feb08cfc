"""The GPU benchmark's columns for what cuDNN does not have, and for work on two streams."""

import functools

import cases
import gpu_contestants
import gpu_duel
import gpu_judge
import gpu_place
import gpu_plan
import numpy as np
import pytest
import textbook
from emulation import MISSING, Emulated
from gpu_plan import Case, Entry

from xprnn import gpu, kernels
from xprnn.kernels import cuda, cuda_norm, loop
from xprnn.layers import overlap

NORM = Case("LayerNormLSTM", 4, 3, 5, 20)
PLACE = gpu_place.cpu()._replace(device="cuda")


@pytest.fixture
def device(monkeypatch):
    device = Emulated()
    for module, name in ((cuda, "CUDA"), (cuda_norm, "CUDANorm")):
        monkeypatch.setattr(module, name, functools.partial(getattr(module, name), device=device))
    monkeypatch.setattr(kernels, "KERNELS", {"cuda": cuda.CUDA(), "loop": loop})
    monkeypatch.setattr(gpu, "DEVICES", (device,))
    monkeypatch.setattr(gpu, "STREAMS", 1)
    monkeypatch.setattr(overlap, "CHUNK", 2)
    return device


def meeting(case, mode, *names):
    found = gpu_judge.exam(case, np)
    papers = list(gpu_judge.papers(found, case))
    return gpu_duel.meet(Entry("norm", case, mode, names), found.weights, papers, PLACE, False)


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_the_layer_normalized_lstm_and_all_its_gradients_are_right(device):
    rows = meeting(NORM, "tf32", "xprnn", "cluster", "loop")
    gradients = {f"0.0.{name}" for name in ("Wx", "Wh", "bx", "bc", "gx", "gh", "gc")}
    for row, names in zip(rows, ({"y"}, {"y", "dx"} | gradients), strict=True):
        found = row["found"]
        says = {name: one["says"] for name, one in found.items()}
        assert says == {"xprnn": "cuda high", "cluster": "cluster high", "loop": "loop"}
        assert all(one["errors"].keys() == names and not one["wrong"] for one in found.values())
        assert all(5e-5 < max(found[name]["errors"].values()) < 1.5e-3 for name in ("xprnn", "cluster"))


def test_rounding_errors_do_not_grow_with_its_steps():
    case = Case("LayerNormLSTM", 200, 1, 32, 32)
    found = gpu_judge.exam(case, np)
    paper, *_ = gpu_judge.papers(found, case)
    weights = {name: a.astype("float16").astype("float64") for name, a in found.weights[0, 0].items()}
    y, tape = textbook.forward(case.cell, weights, paper.x.astype("float64"))
    dx, *_ = textbook.backward(case.cell, weights, tape, paper.dy.astype("float64"), gpu_judge.Cotangents)
    assert max(gpu_judge.errors({"y": y, "dx": dx}, paper.right).values()) < 1.5e-3


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
@pytest.mark.parametrize("more", [{"layers": 2}, {"directions": 2}], ids=["layers", "directions"])
def test_two_streams_are_used_by_those_that_say_so(more, device):
    case = Case("GRU", 5, 2, 4, 8, **more)
    meeting(case, "fp32", "xprnn", "cluster")
    assert len(device.order.clocks) == 1
    names = ("xprnn on 2 streams", "cluster on 2 streams", "xprnn")
    for row in meeting(case, "fp32", *names):
        says = [row["found"][name]["says"] for name in names]
        assert says == ["cuda highest, 2 streams", "cluster highest, 2 streams", "cuda highest"]
        assert not any(one["wrong"] for one in row["found"].values())
    assert len(device.order.clocks) == 2
    gpu_contestants.ask(loop, 1)
    assert gpu.STREAMS == 1


def test_the_plan_has_them():
    plan = gpu_plan.plan()
    norm = [entry for entry in plan if entry.part == "norm"]
    assert {entry.case.cell for entry in norm} == {"LayerNormLSTM"} and not set(cases.CELLS) & {"LayerNormLSTM"}
    assert {entry.mode for entry in norm} == set(gpu_plan.FLOAT32) and all("cluster" in entry.names for entry in norm)
    two = [entry for entry in plan if "cluster on 2 streams" in entry.names]
    assert {(entry.case.layers, entry.case.directions) for entry in two} == {(2, 1), (1, 2)}
    assert len(two) == 2 * len(cases.CELLS) * len(gpu_plan.FLOAT32)
