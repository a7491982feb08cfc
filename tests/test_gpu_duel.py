"""Whom the benchmark for GPUs believes, what it does with whom it does not, and how it reports a meeting."""

import functools
import itertools
import json
import time
from dataclasses import replace

import cases
import gpu_contestants
import gpu_duel
import gpu_judge
import gpu_place
import gpu_plan
import gpu_predicted
import gpu_report
import machine
import numpy as np
import pytest
import textbook
from emulation import MISSING, Emulated
from gpu_plan import Case, Entry

from xprnn import kernels
from xprnn.kernels import WALKS, cuda, loop

SMALL = Case("LSTM", 4, 2, 3, 5)


@pytest.fixture(autouse=True)
def own_kernels(monkeypatch):
    """Contestants put their kernels among those that there are."""
    monkeypatch.setattr(kernels, "KERNELS", dict(kernels.KERNELS))


def exam(case):
    found = gpu_judge.exam(case, np)
    return found, list(gpu_judge.papers(found, case))


def meeting(*names, mode="fp32", timed=False, place=None, case=SMALL):
    found, papers = exam(case)
    entry = Entry("table", case, mode, names)
    return entry, gpu_duel.meet(entry, found.weights, papers, place or gpu_place.cpu(), timed)


@pytest.mark.parametrize("cell", cases.CELLS)
def test_answers_to_some_rows_are_those_of_the_textbook(cell):
    case = Case(cell, 5, 2, 4, 6)
    found = gpu_judge.exam(case._replace(B=3), np)
    weights = {name: a.astype("float64") for name, a in found.weights[0, 0].items()}
    for paper in gpu_judge.papers(found, case):
        y, tape = textbook.forward(cell, weights, paper.x.astype("float64"))
        right = y, *textbook.backward(cell, weights, tape, paper.dy.astype("float64"))
        for name, a in zip(("y", "dx", "0.0.Wx", "0.0.Wh"), right, strict=True):
            np.testing.assert_allclose(paper.right[name], a, rtol=1e-12, atol=1e-13)


def test_questions_differ_and_padding_asks_for_nothing():
    _, papers = exam(Case("GRU", 8, 3, 2, 2, ragged=True))
    assert len({paper.x.tobytes() for paper in papers}) == gpu_judge.QUESTIONS
    for paper in papers:
        padding = np.arange(8)[:, None] >= paper.lengths
        assert padding.any()
        for a in (paper.dy, paper.right["y"], paper.right["dx"]):
            assert not a[padding].any() and a[~padding].all()


def rounded(a, bits):
    """a with so many bits of its mantissa, as operands have them."""
    mantissa, exponent = np.frexp(a)
    return np.ldexp(np.round(np.ldexp(mantissa, bits)), exponent - bits)


def test_no_narrower_arithmetic_passes_for_another():
    # Operands have 24, 11 and 8 bits.
    found, (paper, *_) = exam(Case("LSTM", 30, 4, 32, 32))
    errors = {}
    for name, bits in (("float32", 24), ("float32 by TF32", 11), ("float32 by bfloat16", 8)):
        weights = {key: rounded(a.astype("float64"), bits) for key, a in found.weights[0, 0].items()}
        y, tape = textbook.forward("LSTM", weights, rounded(paper.x.astype("float64"), bits))
        dx, _, _ = textbook.backward("LSTM", weights, tape, paper.dy.astype("float64"))
        errors[name] = gpu_judge.errors({"y": y, "dx": dx}, paper.right)
    names = list(errors)
    for asked, met in itertools.product(names, names):
        wanted = ["y", "dx"] if names.index(met) > names.index(asked) else []
        assert gpu_judge.wrong(errors[met], asked) == wanted, (asked, met, errors)
    assert gpu_judge.wrong({"y": float("nan")}, "bfloat16") == ["y"]
    with pytest.raises(ValueError, match=r"y has the shape \(4, 30, 32\), not \(30, 4, 32\)"):
        gpu_judge.errors({"y": paper.right["y"].swapaxes(0, 1)}, paper.right)


def test_the_worst_of_all_calls_counts():
    assert gpu_duel.worst({"y": 1.0}, {"y": 2.0, "dx": 3.0}) == {"y": 2.0, "dx": 3.0}
    assert gpu_duel.worst({"y": 2.0}, {"y": 1.0}) == {"y": 2.0}
    for pair in ((1.0, float("nan")), (float("nan"), 1.0)):
        assert np.isnan(gpu_duel.worst({"y": pair[0]}, {"y": pair[1]})["y"])


class Wrong:
    """The loop, with one of its outputs spoiled in every third call."""

    def __init__(self, name):
        self.name, self.calls = name, 0

    def __call__(self, *arguments):
        self.right = gpu_contestants.loop(*arguments)
        self.says, self.arithmetic, self.clock = self.right.says, self.right.arithmetic, self.right.clock
        self.prepare, self.infer, self.train = self.right.prepare, self.right.infer, self.right.train
        return self

    def named(self, output):
        found = self.right.named(output)
        self.calls += self.name in found
        if self.name in found and self.calls % 3 == 0:
            found[self.name][(0,) * found[self.name].ndim] += 0.01
        return found


class Lazy(Wrong):
    """The loop, which gives its first answer to a question again when it is asked the same."""

    def __call__(self, *arguments):
        super().__call__(*arguments)
        kept = {}
        self.infer = lambda question: kept.setdefault(question[0].tobytes(), self.right.infer(question))
        return self


@pytest.mark.parametrize("name", ["y", "dx", "0.0.Wx", "0.0.Wh", "0.0.bx"])
def test_one_wrong_answer_is_seen_and_its_time_is_not_shown(name, monkeypatch):
    monkeypatch.setitem(gpu_contestants.ALL, "torch", Wrong(name))
    entry, rows = meeting("xprnn", "torch", timed=True)
    result = gpu_report.sorted_out([entry], {0: rows})
    passes = cases.PASSES if name == "y" else cases.PASSES[1:]
    wanted = [[f"table: {SMALL}, fp32, {each}", "torch"] for each in passes]
    assert [problem[:2] for problem in result["problems"]] == wanted
    assert all(problem.startswith(f"{name} is wrong by ") for _, _, problem in result["problems"])
    assert not gpu_report.ours(result["problems"])
    text = gpu_report.section("table", [entry], result)
    assert text.count("| wrong |") == len(passes) and text.count("×") == 2 - len(passes)
    assert len(gpu_report.ratios_of(rows, "torch")) == 2 - len(passes)


def test_an_answer_that_is_not_written_anew_is_seen(monkeypatch):
    monkeypatch.setitem(gpu_contestants.ALL, "torch", Lazy("none"))
    _, (forward, _) = meeting("xprnn", "torch", timed=True)
    assert forward["found"]["torch"]["wrong"] == ["y"] and not forward["found"]["xprnn"]["wrong"]


def test_who_fails_is_named_and_the_others_go_on(monkeypatch):
    def fails(*arguments):
        raise RuntimeError("no algorithm\nfor this")

    monkeypatch.setitem(gpu_contestants.ALL, "torch", fails)
    monkeypatch.setattr(gpu_contestants.XPRNN, "train", fails)
    entry, rows = meeting("xprnn", "torch", timed=True)
    result = gpu_report.sorted_out([entry], {0: rows})
    what = "RuntimeError: no algorithm"
    assert [each[1:] for each in result["problems"]] == [["torch", what], ["xprnn", what], ["torch", what]]
    assert len(gpu_report.ours(result["problems"])) == 1
    assert rows[0]["found"]["xprnn"]["milliseconds"]["median"] > 0
    assert gpu_report.section("table", [entry], result).count("failed") == 3


def test_times_are_those_of_a_call_and_ratios_above_1_say_that_xprnn_is_faster(monkeypatch):
    rounds = []

    def clock(work, seconds=0.002):
        found = work()
        rounds.append(len(found))
        return seconds * len(found), found

    def slow(*arguments):
        return replace(gpu_contestants.loop(*arguments), clock=functools.partial(clock, seconds=0.006))

    monkeypatch.setitem(gpu_contestants.ALL, "torch", slow)
    entry, rows = meeting("xprnn", "torch", timed=True, place=gpu_place.cpu()._replace(clock=clock))
    for row, (name, seconds, calls) in itertools.product(rows, (("xprnn", 0.002, 6), ("torch", 0.006, 2))):
        found = row["found"][name]
        assert found["milliseconds"]["range"] == pytest.approx([1e3 * seconds] * 2)
        assert found["ratio"]["range"] == pytest.approx([seconds / 0.002] * 2)
        assert found["calls of a round"] == calls
    # Two blocks of each to begin with, and then who begins changes.
    assert rounds == 2 * [3, 6, 3, 2, *(2, 6), *(6, 2), *(2, 6), *(6, 2), *(2, 6)]
    result = gpu_report.sorted_out([entry], {0: rows})
    text = gpu_report.section("table", [entry], result)
    assert text.count("| 2.000 (2.000–2.000) ms, ") == text.count("| × 3.00 (3.00–3.00), ") == 2
    means = gpu_report.means(result["table"])
    assert f"| LSTM fp32 forward, 1 sizes | - | - | - | - | 3.00 (3.00 {SMALL} fp32) | - |" in means
    assert "0 of 2 comparisons" in gpu_report.losses(result["table"])
    for row in rows:
        row["found"]["torch"]["ratio"]["median"] = 0.5
    lost = gpu_report.losses(result["table"])
    assert "2 of 2 comparisons" in lost and f"| {SMALL} fp32 forward | torch | 0.50 |" in lost


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
@pytest.mark.parametrize("mode, least, most", [("fp32", 0, 5e-7), ("tf32", 5e-5, 2e-3), ("bf16", 5e-4, 1e-2)])
def test_each_contestant_runs_its_own_kernel_in_its_turn(mode, least, most, monkeypatch):
    monkeypatch.setattr(cuda, "CUDA", functools.partial(cuda.CUDA, device=Emulated()))
    monkeypatch.setattr(kernels, "KERNELS", {"cuda": cuda.CUDA(), "loop": loop})
    case = Case("GRU", 4, 3, 20, 20, layers=2, directions=2)
    _, rows = meeting("xprnn", "16 bit", "loop", mode=mode, case=case)
    word = gpu_plan.MODES[mode].precision
    for found in (row["found"] for row in rows):
        says = {name: one["says"] for name, one in found.items()}
        stored = f"cuda {word}, bfloat16" if mode == "bf16" else f"cuda {word}"
        assert says == {"xprnn": f"cuda {word}", "16 bit": stored, "loop": "loop"}
        assert all(least < error < most for error in found["xprnn"]["errors"].values())
        assert max(found["loop"]["errors"].values()) < 5e-7
        assert (found["16 bit"]["errors"] != found["xprnn"]["errors"]) == (mode == "bf16")
        assert not any(one["wrong"] for one in found.values())


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_walks_run_under_their_names_or_refuse(monkeypatch):
    monkeypatch.setattr(cuda, "CUDA", functools.partial(cuda.CUDA, device=Emulated()))
    monkeypatch.setattr(kernels, "KERNELS", {"cuda": cuda.CUDA(), "loop": loop})
    place = gpu_place.cpu()._replace(device="cuda")
    monkeypatch.setattr(gpu_place, "free", lambda place: None)
    _, rows = meeting(*WALKS, mode="tf32", case=Case("RNN", 3, 2, 4, 16), place=place)
    for found in (row["found"] for row in rows):
        assert {name: one["says"] for name, one in found.items()} == {name: f"{name} high" for name in WALKS}
        assert all(1e-5 < max(one["errors"].values()) < 2e-3 and not one["wrong"] for one in found.values())
    entry, rows = meeting("graph", "cluster", case=Case("RNN", 2, 1, 1, 513), place=place)
    result = gpu_report.sorted_out([entry], {0: rows})
    (_, who, told), *_ = result["problems"]
    assert who == "cluster" and told.startswith("Refused: kernel='cluster' runs ") and "H=513 on this GPU" in told
    assert not gpu_report.ours(result["problems"])
    assert gpu_report.section("table", [entry], result).count("| refused |") == len(cases.PASSES)


def test_predictions_stand_behind_what_was_measured():
    size = Case("LSTM", 512, 32, 256, 256)._asdict()
    one = {"milliseconds": machine.spread([1.024]), "wrong": []}
    about = {"part": "table", "size": size, "mode": "tf32", "pass": "forward"}
    text = gpu_predicted.section([about | {"found": {"cluster": one, "torch": one | {"wrong": ["y"]}}}])
    assert "| LSTM H=256 B=32 tf32 forward | - (10.0) | - (6.0) | 2.00 (1.1) | - (-) | - (5.5) |" in text
    for other in ({"T": 32}, {"layers": 2}, {"cell": "GRU"}, {"B": 8}, {"D": 3}):
        text = gpu_predicted.section([about | {"size": size | other, "found": {"cluster": one}}])
        assert "2.00 (" not in text
    table = [entry for entry in gpu_plan.plan() if entry.part in ("table", "persistent") and entry.case.cell == "LSTM"]
    met = {(f"H={e.case.H} B={e.case.B}", e.mode): e.names for e in table}
    for size, modes in gpu_predicted.PREDICTED.items():
        for mode, told in modes.items() if size != "what" else ():
            assert told.keys() - {"grid"} <= set(met[size, mode])


def test_jax_is_right():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_default_matmul_precision
    _, rows = meeting("xprnn", "jax", case=Case("GRU", 4, 2, 3, 5))
    jax.config.update("jax_default_matmul_precision", before)
    for row, count in zip(rows, (1, 6), strict=True):
        found = row["found"]["jax"]
        assert found["says"] == "lax.scan" and len(found["errors"]) == count and not found["wrong"]
        assert 0 < max(found["errors"].values()) < 1e-6


def test_the_host_s_clock_waits():
    seconds, found = gpu_place.by_host(lambda found: time.sleep(0.05))(lambda: "done")
    assert found == "done" and 0.05 <= seconds < 10


def test_a_result_says_on_what_it_was_made(tmp_path):
    entries = gpu_plan.plan(["epoch", "packed"])
    spread = {"median": 0.5, "quarters": [0.4, 0.6], "range": [0.3, 0.7]}
    epoch = {"model": "gru", "update": "16 rows", "updates of an epoch": 818, "updates compared": 815}
    epoch |= {"losses differ by": 1e-6, "ratio": spread, "seconds of an update": {"torch": spread, "xprnn": spread}}
    _, rows = meeting("xprnn", "loop", timed=True)
    result = gpu_report.sorted_out(entries, {0: [{"part": "epoch", "mode": "fp32", "found": epoch}], 1: rows})
    card = {"name": "Some card", "driver_version": "1.2"}
    about = {"device": "Some card", "CUDA runtime": 13000, "card": card, "now": {"clocks.sm": "345 MHz"}}
    about |= {"versions": {"torch": "2"}, "torch": {"cuDNN": 9, "TF32 in RNNs, as it stands": True}}
    result |= {"machine": machine.describe(), "gpu": about, "GPU at the end": {"clocks.sm": "1980 MHz"}}
    gpu_report.write(result | {"minutes": 1.5, "dry run": False}, entries, tmp_path / "made" / "gpu")
    text = (tmp_path / "made" / "gpu.md").read_text()
    for part in (
        "on Some card, ", "CUDA runtime 13000; ", "driver_version 1.2; ", "TF32 in RNNs, as it stands True; ",
        "at the beginning clocks.sm 345 MHz; at the end clocks.sm 1980 MHz",
        "## Not reached in the time there was: 7 meetings",
        "milliseconds of a call", "## Not won: 0 of 0", "| GPU | 500.00 | 500.00 | 409.0 | 409.0 | 0.50",
    ):  # fmt: skip
        assert part in text, part
    assert json.loads((tmp_path / "made" / "gpu.json").read_text())["not reached"] == list(map(str, entries[2:]))
