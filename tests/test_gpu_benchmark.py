"""The benchmark for GPUs: what it plans, how it goes on when something dies, what it leaves out, and a dry run."""

import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time
import types
import weakref
from pathlib import Path

import cases
import gpu
import gpu_contestants
import gpu_peers
import gpu_place
import gpu_plan
import gpu_report
import gpu_worker
import pytest
from gpu_plan import Case

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
    named = {entry.case.H: set(entry.names) & {"cluster", "grid", "graph"} for entry in plan if entry.part == "table"}
    assert all(("cluster" in names) == (H <= 512) and "graph" in names for H, names in named.items())
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
    assert [line.split()[1:4:2] for line in lines[::4]] == [["GRU", "B=32"]] * 2 + [["LSTM", "B=32"]] * 2
    seen = [("failed" in line, "not reached" in line) for line in lines]
    assert seen == [(False, True)] * 8 + [(True, False)] * 2 + [(False, True)] * 6
    for text in ("7 meetings", f"* {entries[-1]}", f"| {entries[0]} | all | the process ended with -9 |"):
        assert text in "\n".join(gpu_report.unfinished(result))


def test_what_falls_off_at_the_end_is_no_whole_cell_and_tells_the_least():
    for part in gpu_plan.SHARES:
        met = [entry.case for entry in gpu_plan.plan([part]) if entry.case]
        assert len({case.cell for case in met[: len(met) // 2]}) == len({case.cell for case in met})
    loop = [str(entry.case) for entry in gpu_plan.plan(["loop"])]
    assert loop[0] == "LSTM T=128 B=32 H=256" and loop[3] == "LSTM T=128 B=1 H=64"
    exams = [key for key, _ in itertools.groupby((e.case.cell, e.case.H) for e in gpu_plan.plan(["table"]))]
    assert len(set(exams)) == len(exams)


def test_a_part_whose_time_is_over_is_left(monkeypatch):
    monkeypatch.setattr(gpu_plan, "ends", lambda parts, begin, last: {"loop": last, "packed": begin - 1})
    monkeypatch.setattr(gpu_worker, "meetings", lambda *arguments: lambda entry: [])
    monkeypatch.setattr(gpu_place, "describe", lambda place: {})
    told = list(gpu_worker.attend(["packed", "loop"], time.time() + 60, 0, True))
    begun = [each["begins"] for each in told if "begins" in each]
    parts = [entry.part for entry in gpu_plan.plan(["packed", "loop"])]
    assert begun == [number for number, part in enumerate(parts) if part == "loop"]
    assert "about" in told[0] and "about" in told[-1] and len(told) == 2 + 2 * len(begun)


def test_a_process_that_says_nothing_or_dies_is_told(monkeypatch):
    def lines(code, seconds=60):
        return gpu.listen([sys.executable, "-c", code], None, time.time() + seconds)

    def told(*given):
        return list(lines(*given))

    assert told("print('{\"begins\": 1}'); raise SystemExit(3)") == [{"begins": 1}, {"ended": 3, "over": False}]
    assert told("import time; time.sleep(60)", 0.1) == [{"ended": -9, "over": True}]
    silent = lines("import time; print('[]', flush=True); time.sleep(60)")
    assert next(silent) == []
    monkeypatch.setattr(gpu, "STUCK", 0.5)
    assert list(silent) == [{"ended": -9, "over": False}]


def test_what_libraries_print_is_not_taken_for_the_worker_s_lines():
    code = """if True:
        import os, gpu_worker

        def attend(**task):
            print("a library's line")
            os.write(1, b"a line from C")
            os.system("echo a line of a child's")
            yield task

        gpu_worker.attend = attend
        gpu_worker.main('{"parts": []}')
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT / "benchmarks")}
    told = list(gpu.listen([sys.executable, "-c", code], environment, time.time() + 60))
    assert told == [{"parts": []}, {"ended": 0, "over": False}]


def test_the_last_exam_is_dropped_before_another_is_made():
    class Exam:
        def __init__(self, *key):
            assert not [one for one in map(weakref.ref.__call__, made) if one]
            made.append(weakref.ref(self))

    made = []
    exam = gpu_worker.latest(Exam)
    assert exam("LSTM", 1) is exam("LSTM", 1)
    exam("GRU", 1)
    exam("LSTM", 1)
    assert len(made) == 3


@pytest.mark.parametrize("left, given", [(30, 0), (20, 1)])
def test_memory_is_given_back_only_where_little_is_left(left, given, monkeypatch):
    freed = []
    runtime = types.SimpleNamespace(memGetInfo=lambda: (left, 80))
    pool = types.SimpleNamespace(free_all_blocks=lambda: freed.append("all"))
    cupy = types.SimpleNamespace(
        cuda=types.SimpleNamespace(runtime=runtime), get_default_memory_pool=lambda: pool
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "torch", None)
    gpu_place.free(gpu_place.cpu())
    assert not freed
    gpu_place.free(gpu_place.cpu()._replace(device="cuda"))
    assert len(freed) == given


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
                yield {"ended": -11, "over": False}
                return
            yield {"rows": [number]}
        yield {"ended": 0, "over": False}

    monkeypatch.setattr(gpu, "listen", listen)
    monkeypatch.setenv("XPRNN_KERNEL", "loop")
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--parts", "packed", "--output", "there"])
    *_, (about, found) = gpu.gather(gpu.options(), time.time())
    assert tasks == [0, 3, 6] and about == [{"now": 1}, {"now": 2}, {"now": 3}]
    wanted = {number: "the process ended with -11" if number in (2, 5) else [number] for number in range(count)}
    assert found == wanted
    monkeypatch.setattr(gpu, "listen", lambda *arguments: iter([{"ended": 1, "over": False}]))
    with pytest.raises(SystemExit, match="could not begin"):
        list(gpu.gather(gpu.options(), time.time()))


def test_what_the_clock_ends_is_not_reached_and_what_there_is_by_then_is_written(monkeypatch, tmp_path, capsys):
    output, reports = tmp_path / "some", []

    def listen(command, environment, last):
        yield {"about": {"device": "a card", "versions": {}, "torch": None}}
        first = json.loads(command[-1])["first"]
        for number in range(first, 3):
            yield {"begins": number}
            yield {"rows": []}
            reports.append(json.loads(output.with_suffix(".json").read_text()))
            assert output.with_suffix(".md").exists()
        yield {"begins": max(first, 3)}
        yield {"ended": -9, "over": True}

    monkeypatch.setattr(gpu, "listen", listen)
    monkeypatch.setattr(gpu, "EVERY", 0)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--parts", "packed", "--output", str(output)])
    with pytest.raises(SystemExit, match="0"):
        gpu.main()
    names = [str(entry) for entry in gpu_plan.plan(["packed"])]
    last = json.loads(output.with_suffix(".json").read_text())
    assert [each["not reached"] for each in (*reports, last)] == [names[1:], names[2:], names[3:], names[3:]]
    assert not last["problems"] and len(list(tmp_path.iterdir())) == 2


def test_what_is_missing_shows_before_anything_begins(monkeypatch):
    def describe():
        raise ModuleNotFoundError("array_api_compat")

    monkeypatch.setattr(gpu.machine, "describe", describe)
    monkeypatch.setattr(gpu, "gather", lambda *arguments: pytest.fail("it began"))
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--output", "there"])
    with pytest.raises(ModuleNotFoundError, match="array_api_compat"):
        gpu.main()


def test_a_dry_run_keeps_no_results(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--dry-run"])
    with pytest.raises(SystemExit):
        gpu.options()
    assert "name an --output" in capsys.readouterr().err


def test_a_dry_run(tmp_path):
    parts = [part for part in gpu_plan.SHARES if part != "jax"]  # which compiles for long: test_gpu_duel.py has it
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", "--dry-run", "--output", tmp_path / "dry"]
    command += ["--parts", *parts]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text, result = (tmp_path / "dry.md").read_text(), json.loads((tmp_path / "dry.json").read_text())
    assert done.stdout == text and "ms" not in text.split("## Sizes")[1] and "×" not in text.split("## ")[-1]
    entries = gpu_plan.plan(parts)
    rows = {(row["number"], row["pass"]): row for row in result["table"] if row["part"] != "epoch"}
    assert set(rows) == {(n, passes) for n, entry in enumerate(entries) if entry.case for passes in cases.PASSES}
    assert not result["not reached"]
    absent = set() if importlib.util.find_spec("torch") else {"torch", "packed", "limit", "all"}
    assert {who for _, who, _ in result["problems"]} == absent
    for row in rows.values():
        for one in row["found"].values():
            assert not {"milliseconds", "ratio", "calls of a round"} & set(one)
            assert "failed" in one or not one["wrong"]
        assert any(one["errors"]["y"] > 0 for one in row["found"].values() if one.get("errors"))
