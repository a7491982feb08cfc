"""The sweep over ways of dividing a layer: what it tries, whom it believes, and what it writes."""

import functools
import json
import sys

import gpu
import gpu_place
import gpu_plan
import gpu_tune
import numpy as np
import pytest
from emulation import MISSING, Emulated

from xprnn.kernels import cuda, cuda_cluster, cuda_grid
from xprnn.kernels.cuda_tiling import BACK, THERE, Tiling, tiling


def test_each_size_has_ways_and_the_tables_are_among_them():
    for task in gpu_tune.tasks():
        precision = gpu_plan.MODES[task.mode].precision
        ways = list(gpu_tune.WAYS[task.walk](precision, task.H))
        assert len({(way.way, *way.fields.values()) for way in ways}) == len(ways)
        if task.walk == "grid":
            assert {way.way for way in ways} == {"both"}
            continue
        assert {way.way for way in ways} == {"forward", "backward"}
        tried = {(way.way, Tiling(**way.fields)) for way in ways}
        assert ("forward", tiling(THERE, precision, task.H, task.B)) in tried, task
        assert ("backward", tiling(BACK, precision, task.H, task.B)) in tried, task


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_way_is_timed_where_its_numbers_are_right(monkeypatch):
    monkeypatch.setattr(gpu_tune, "STEPS", 3)
    monkeypatch.setattr(gpu_tune, "REPEATS", 1)
    monkeypatch.setattr(cuda, "CUDA", functools.partial(cuda.CUDA, device=Emulated()))
    small, place = Tiling(2, 3, 2), gpu_place.cpu()
    task = gpu_tune.Task("cluster", "fp32", 16, 3)
    ways = [
        gpu_tune.Way("cluster", "forward", {}, cuda_cluster.Cluster(forward=small, backward=small)),
        gpu_tune.Way("cluster", "backward", {}, cuda_cluster.Cluster(forward=small, backward=small)),
    ]
    assert all(gpu_tune.measured(task, way, place, False) > 0 for way in ways)
    monkeypatch.setattr(gpu_tune, "TOLERANCES", {"highest": -1.0})
    with pytest.raises(ValueError, match="wrong by "):
        gpu_tune.measured(task, ways[0], place, False)
    refused = gpu_tune.Way("cluster", "forward", {}, cuda_cluster.Cluster())
    with pytest.raises(ValueError, match="refused"):
        gpu_tune.measured(task._replace(H=520), refused, place, False)


def test_nan_is_wrong():
    with pytest.raises(ValueError, match="wrong by nan"):
        gpu_tune._close([np.array([1.0, np.nan])], [np.ones(2)], 1.0)


def test_the_fastest_of_those_that_are_right_is_taken():
    told = [("forward", 1, 3.0), ("forward", 2, 2.0), ("backward", 3, 1.0), ("forward", 4, None)]
    found = [{"way": way, "fields": {"rows": n}, "microseconds": took} for way, n, took in told]
    assert gpu_tune.best(found) == {"forward": {"rows": 2}, "backward": {"rows": 3}}


def test_what_it_writes_is_what_walks_are_given(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--tune", "--dry-run", "--output", str(tmp_path / "made" / "ways")])
    gpu.main()
    every = gpu_tune.tasks()
    assert json.loads(capsys.readouterr().out) == {"tasks": len(every), "not reached": 0}
    result = json.loads((tmp_path / "made" / "ways.json").read_text())
    assert result["not reached"] == [] and list(result["all"]) == list(map(str, every))
    assert not [one for found in result["all"].values() for one in found if one["problem"]]
    cluster = gpu_tune.fastest(result, "cluster", "high", 256, 32)
    assert isinstance(cluster, cuda_cluster.Cluster) and cluster.forward.cluster * 8 <= 256 and cluster.backward
    assert isinstance(gpu_tune.fastest(result, "grid", "medium", 1024, 8), cuda_grid.Grid)
    text = (tmp_path / "made" / "ways.md").read_text()
    assert "A dry run" in text and "| cluster high H=256 B=32, backward | cluster " in text
    assert text.endswith("## Not reached: 0\n\n\n")


def test_when_the_time_is_over_the_rest_is_not_reached(tmp_path, capsys):
    assert not list(gpu_tune.sweep(gpu_place.cpu(), 0.0, dry=True))
    gpu_tune.main(tmp_path / "none", 0, True)
    told = json.loads(capsys.readouterr().out)
    assert told == {"tasks": 0, "not reached": len(gpu_tune.tasks())}
