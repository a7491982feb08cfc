"""What the benchmarks compute from their times, by value, and what they say of the machine."""

import json
import sys
from pathlib import Path

import cpu
import growth
import machine
import numpy as np
import pytest
import report
import training


def test_the_machine_is_described_in_json():
    about = json.loads(json.dumps(machine.describe()))
    assert about["versions"]["numpy"] == np.__version__
    assert about["cores"] >= 1 and about["processor"]
    assert about["blas"]["name"]


def test_threads_are_set_for_every_library():
    assert machine.threads(2) == {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}


def test_spread():
    assert machine.spread([5, 1, 2, 4, 3]) == {"median": 3, "quarters": [2, 4], "range": [1, 5]}
    assert machine.spread([7.0]) == {"median": 7.0, "quarters": [7.0, 7.0], "range": [7.0, 7.0]}


def test_ratios_are_taken_round_by_round():
    assert machine.ratios([2, 30, 8], [1, 10, 2]) == {"median": 3, "quarters": [2.5, 3.5], "range": [2, 4]}
    with pytest.raises(ValueError, match="shorter"):
        machine.ratios([1, 2], [1])


def test_a_table_and_a_spread_as_people_read_them():
    assert machine.table(["a", "b"], [["x", 1]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert machine.shown(machine.spread([1, 2, 3, 4, 5])) == "3.00 (2.00–4.00)"


def test_slopes_are_those_of_powers():
    sizes = [1, 2, 4, 8, 16]
    assert growth.slope(sizes, [7.0 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert growth.slope(sizes, [3.0] * 5) == pytest.approx(0)


def test_a_checkpointed_setting_differs_in_its_segment_alone():
    setting = growth.Setting(T=20000, B=3)
    assert setting.checkpointed == setting._replace(segment=141)


def test_a_process_is_timed_until_its_first_line():
    line, seconds, megabytes = machine.first_line(
        [sys.executable, "-c", "print(1, flush=True); b = bytes(1) * 300_000_000"], machine.compiled(1)
    )
    assert line == b"1\n"
    assert seconds > 0 and megabytes > 300
    with pytest.raises(SystemExit, match="ended with 3"):
        machine.first_line([sys.executable, "-c", "print(1); raise SystemExit(3)"], machine.compiled(1))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_peak_counts_what_is_given_back_and_not_what_was_there():
    there = np.ones(5_000_000)
    assert 78 < machine.peak_of(lambda: (2 * there).sum() + np.ones(10_000_000).sum()) < 90


def test_a_report_of_one_pass_leaves_out_the_other(tmp_path):
    ratio = machine.spread([1.5, 2.0, 2.5])
    row = {"ours": "xprnn", "peer": "onnxruntime", "threads": 1, "cell": "LSTM", "passes": "forward", "case": "charlm"}
    row |= {"pass": "forward", "ratio": ratio, "our seconds": [0.25], "seconds": [0.5]}
    text = report.by_case([row], "x")
    assert "| charlm LSTM forward | 250 | 2.00 | - | 2.00 |" in text and "backward" not in text


def test_those_who_meet_again_have_one_row():
    def row(case, ours, theirs):
        who = {"peer": "torch", "threads": 1, "cell": "LSTM", "case": case, "pass": "forward"}
        return who | {"our seconds": ours, "their seconds": theirs, "ratio": machine.ratios(theirs, ours)}

    first, other = cpu.joined([row("charlm", [1.0, 2.0], [2.0, 2.0]), row("large", [4.0], [1.0]),
                               row("charlm", [1.0, 2.0], [9.0, 8.0])])  # fmt: skip
    assert first == row("charlm", [1.0, 2.0, 1.0, 2.0], [2.0, 2.0, 9.0, 8.0])
    assert first["ratio"] == {"median": 3, "quarters": [1.75, 5.25], "range": [1, 9]}
    assert other == row("large", [4.0], [1.0])


def test_a_table_of_the_loop_alone_has_no_picture(tmp_path):
    written = Path(report.__file__).parent / "results" / "cpu-2026-11-22-loop.json"
    report.write(json.loads(written.read_text(encoding="utf-8")), tmp_path / written.stem)
    met = (tmp_path / written.stem).with_suffix(".md").read_text(encoding="utf-8")
    assert met == written.with_suffix(".md").read_text(encoding="utf-8")
    assert not list(tmp_path.glob("*.png"))


def test_lists_of_numbers_have_a_line_each():
    result = {"machine": {"cores": 2}, "a": {"b": [1.25, 2.0]}, "rows": [{"c": ["x y", 3]}], "none": []}
    text = report.compact(result | {"table": [{"d": [1.0]}]})
    assert json.loads(text) == result | {"table": [{"d": [1.0]}]}
    assert '"b": [1.25, 2.0]' in text and '"c": ["x y", 3]' in text


def test_training_is_told_by_cell_and_threads():
    def row(cell, threads, case, ratio):
        return {"cell": cell, "threads": threads, "case": case, "ratio": machine.spread([ratio])}

    rows = [row(cell, threads, case, ratio * threads) for cell in ("RNN", "GRU") for threads in (1, 2)
            for case, ratio in (("stream", 2.0), ("large", 8.0))]  # fmt: skip
    text = training.markdown(rows)
    assert "|  | stream | large | geometric mean |" in text
    assert "| GRU, 1 thread | 2.00 | 8.00 | **4.00** |" in text
    assert "| RNN, 2 threads | 4.00 | 16.00 | **8.00** |" in text
