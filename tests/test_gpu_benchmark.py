"""The benchmark for GPUs: what it plans, how it goes on when something dies, what it leaves out, and a dry run."""

import importlib.util
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import cases
import gpu
import gpu_contestants
import gpu_peers
import gpu_plan
import gpu_report
import gpu_worker
import pytest
from gpu_plan import Case

from xprnn import kernels

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("cell, H, B, mode, forward, back", [
    ("LSTM", 192, 32, "fp32", "SMALL_H", "STANDARD"), ("GRU", 128, 1, "bf16", "SMALL_H", "SMALL_H"),
    ("RNN", 384, 8, "tf32", "SMALL_H", "STANDARD"), ("LSTM", 256, 8, "fp32", "STANDARD", "STANDARD"),
    ("LSTM", 256, 8, "fp16", "PERSIST_STATIC", "PERSIST_STATIC"), ("LSTM", 256, 1, "fp16", "STANDARD", "STANDARD"),
    ("GRU", 256, 8, "fp16", "STANDARD", "STANDARD"), ("RNN", 1024, 128, "fp16", "STANDARD", "STANDARD"),
])  # fmt: skip
def test_cudnn_s_algorithm_by_torch_s_rule(cell, H, B, mode, forward, back):
    case = Case(cell, 512, B, H, H)
    assert [gpu_peers.algorithm(case, mode, False, way) for way in (False, True)] == [forward, back]
    assert gpu_peers.algorithm(case, mode, True, False) == "STANDARD"
    if forward == "PERSIST_STATIC":
        assert gpu_peers.algorithm(case._replace(layers=2), mode, False, False) == "STANDARD"


def test_the_plan_has_all_sizes_and_shapes():
    plan = gpu_plan.plan()
    assert list(dict.fromkeys(entry.part for entry in plan)) == list(gpu_plan.SHARES)
    table = {(entry.case, entry.mode) for entry in plan if entry.part == "table"}
    sizes = itertools.product(cases.CELLS, (64, 128, 192, 256, 512, 1024), (1, 8, 32, 128), ("fp32", "tf32", "bf16"))
    assert table == {(Case(cell, 512, B, H, H), mode) for cell, H, B, mode in sizes}
    shapes = {str(entry.case) for entry in plan if entry.part == "shapes" and entry.case.cell == "GRU"}
    assert shapes == {
        "GRU T=32 B=32 H=256", "GRU T=4096 B=32 H=256", "GRU T=512 B=32 H=256, 2 layers",
        "GRU T=512 B=32 H=256, bidirectional", "GRU T=512 B=32 H=256, ragged",
    }  # fmt: skip
    assert len({str(entry) for entry in plan}) == len(plan)
    assert {name for entry in plan for name in entry.names} == set(gpu_contestants.ALL)
    assert sum(gpu_plan.SHARES.values()) == pytest.approx(1)


def test_each_part_has_its_share_of_the_time():
    ends = gpu_plan.ends(list(gpu_plan.SHARES), 1000.0, 1100.0)
    assert list(ends) == list(gpu_plan.SHARES) and list(ends.values()) == sorted(ends.values())
    assert ends["epoch"] == pytest.approx(1000 + 100 * gpu_plan.SHARES["epoch"])
    assert ends["table"] == pytest.approx(1100)
    assert gpu_plan.ends({"table"}, 0.0, 60.0) == pytest.approx({"table": 60.0})


def test_what_was_not_reached_is_named():
    entries = gpu_plan.plan(["packed"])
    result = gpu_report.sorted_out(entries, {0: "the process ended with -9"})
    assert result["not reached"] == [str(entry) for entry in entries[1:]]
    assert gpu_report.ours(result["problems"]) == [[str(entries[0]), "all", "the process ended with -9"]]
    lines = gpu_report.section("packed", entries, result).splitlines()[4:]
    assert [("failed" in line, "not reached" in line) for line in lines] == [(True, False)] * 2 + [(False, True)] * 14
    for text in ("7 meetings", f"* {entries[-1]}", f"| {entries[0]} | all | the process ended with -9 |"):
        assert text in "\n".join(gpu_report.unfinished(result))


def test_a_part_whose_time_is_over_is_left(monkeypatch, capsys):
    monkeypatch.setattr(gpu_plan, "ends", lambda parts, begin, last: {"loop": last, "packed": begin - 1})
    monkeypatch.setattr(kernels, "KERNELS", dict(kernels.KERNELS))
    gpu_worker.attend(["packed", "loop"], time.time() + 60, 0, True)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    begun = [each["begins"] for each in told if "begins" in each]
    parts = [entry.part for entry in gpu_plan.plan(["packed", "loop"])]
    assert begun == [number for number, part in enumerate(parts) if part == "loop"]
    assert "about" in told[0] and "about" in told[-1] and len(told) == 2 + 2 * len(begun)


def test_a_process_that_says_nothing_or_dies_is_told(monkeypatch):
    def told(code):
        return list(gpu.listen([sys.executable, "-c", code], None, time.time() + 60))

    assert told("print('{\"begins\": 1}'); raise SystemExit(3)") == [{"begins": 1}, {"ended": 3}]
    monkeypatch.setattr(gpu, "STUCK", 0.5)
    assert told("import time; print('[]', flush=True); time.sleep(60)") == [[], {"ended": -9}]


def test_another_process_goes_on_behind_the_one_that_died(monkeypatch):
    tasks, count = [], len(gpu_plan.plan(["packed"]))

    def listen(command, environment, last):
        first = json.loads(command[-1])["first"]
        tasks.append(first)
        assert "XPRNN_KERNEL" not in environment
        yield {"about": {"now": len(tasks)}}
        for number in range(first, count):
            yield {"begins": number}
            if number in (2, 5):
                yield {"ended": -11}
                return
            yield {"rows": [number]}
        yield {"ended": 0}

    monkeypatch.setattr(gpu, "listen", listen)
    monkeypatch.setenv("XPRNN_KERNEL", "loop")
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--parts", "packed", "--output", "there"])
    about, found = gpu.gather(gpu.options(), time.time())
    assert tasks == [0, 3, 6] and about == [{"now": 1}, {"now": 2}, {"now": 3}]
    wanted = {number: "the process ended with -11" if number in (2, 5) else [number] for number in range(count)}
    assert found == wanted
    monkeypatch.setattr(gpu, "listen", lambda *arguments: iter([{"ended": 1}]))
    with pytest.raises(SystemExit, match="could not begin"):
        gpu.gather(gpu.options(), time.time())


def test_a_dry_run_keeps_no_results(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--dry-run"])
    with pytest.raises(SystemExit):
        gpu.options()
    assert "name an --output" in capsys.readouterr().err


def test_a_dry_run(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", "--dry-run", "--output", tmp_path / "dry"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text, result = (tmp_path / "dry.md").read_text(), json.loads((tmp_path / "dry.json").read_text())
    assert done.stdout == text and "ms" not in text.split("## Sizes")[1] and "×" not in text.split("## ")[-1]
    entries = gpu_plan.plan()
    rows = {(row["number"], row["pass"]): row for row in result["table"] if row["part"] != "epoch"}
    assert set(rows) == {(n, passes) for n, entry in enumerate(entries) if entry.case for passes in cases.PASSES}
    assert not result["not reached"]
    absent = {name for name in ("torch", "jax") if importlib.util.find_spec(name) is None}
    dependent = {"torch": ("torch", "packed", "limit", "all"), "jax": ("jax",)}
    assert {who for _, who, _ in result["problems"]} == {who for name in absent for who in dependent[name]}
    for row in rows.values():
        for one in row["found"].values():
            assert not {"milliseconds", "ratio", "calls of a round"} & set(one)
            assert "failed" in one or not one["wrong"]
        assert any(one["errors"]["y"] > 0 for one in row["found"].values() if one.get("errors"))
