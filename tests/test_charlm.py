"""The character model behind ``xprnn train``: its numbers, its runs, its texts."""

import bz2
import gzip
import itertools
import lzma
import math
import os
import random
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from xprnn.cli import charlm, main, text, train
from xprnn.cli.charlm import load
from xprnn.cli.options import CELLS, Options
from xprnn.cli.problem import Problem
from xprnn.cli.progress import Progress
from xprnn.cli.sample import choose, continuation
from xprnn.io.files import read_extra
from xprnn.optimizers import Adam

SMALL = ["--hidden", "12", "--embedding", "6", "--batch", "4", "--chunk", "16", "--epochs", "2", "--sample", "0"]
WORDS = ["the", "a", "cat", "dog", "reads", "writes", "long", "short", "letters", "to", "of", "and", "in\n"]
PROSE = " ".join(random.Random(0).choices(WORDS, k=300))


@pytest.fixture
def prose(tmp_path):
    """A text of about 1300 characters in a file."""
    file = tmp_path / "prose.txt"
    file.write_text(PROSE)
    return str(file)


@pytest.fixture
def run(prose, tmp_path):
    """Train on the prose into a file of the given name, which is returned."""

    def train(name, *options, wanted=0):
        output = str(tmp_path / f"{name}.safetensors")
        assert main(["train", prose, *SMALL, *options, "--output", output]) == wanted
        return output

    return train


def test_text_becomes_rows_of_ids_and_the_ids_that_follow():
    assert text.vocabulary("banana\n") == "\nabn"
    ids = text.encode("banana\n", "\nabn")
    assert ids.dtype == np.int32 and ids.tolist() == [2, 1, 3, 1, 3, 1, 0]
    x, y = text.rows(ids, 3)
    assert x.tolist() == [[2, 1], [3, 1], [3, 1]] and y.tolist() == [[1, 3], [1, 3], [1, 0]]
    x, y = text.rows(ids, 4)
    assert x.tolist() == [[2], [1], [3], [1]] and y.tolist() == [[1], [3], [1], [3]]
    assert text.encode("z€𝄞", "z€𝄞").tolist() == [0, 1, 2]


def test_the_last_tenth_is_held_out():
    parts = text.split("abcdefghij" * 2 + "kl")
    assert parts == ("abcdefghij" * 2, "kl")


def test_characters_that_the_model_does_not_know_are_named_once_each():
    with pytest.raises(Problem, match=r"'z', '\\t': these characters"):
        text.encode("az\tz", "abc")


def test_line_ends_and_a_byte_order_mark_are_not_characters(tmp_path):
    file = tmp_path / "windows.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo")
    assert text.read(str(file)) == "one\ntwo"


def test_compressors_are_counted_per_character():
    sizes = text.compressed("né" * 500)
    data = ("né" * 500).encode()
    assert sizes == {
        "gzip -9": 8 * len(gzip.compress(data, 9)) / 1000,
        "bzip2 -9": 8 * len(bz2.compress(data, 9)) / 1000,
        "xz -9": 8 * len(lzma.compress(data, preset=9)) / 1000,
    }


def test_the_learning_rate_rises_and_falls(run, monkeypatch):
    rates = []
    monkeypatch.setattr(train, "Adam", lambda rate: rates.append(rate) or Adam(rate))
    run("model", "--learning-rate", "0.08")  # 2 epochs of 20 updates: it rises over 4 of them
    (rate,) = rates
    assert [rate(step) for step in (0, 3, 4, 22, 40)] == pytest.approx([0.02, 0.08, 0.08, 0.04, 0.0])


def test_the_default_text_is_english_prose():
    assert text.read(None).count(" the ") > 1000


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_the_same_seed_gives_the_same_first_epoch_on_every_library(library):
    pytest.importorskip(library)
    x, y = text.rows(text.encode(PROSE, text.vocabulary(PROSE)), 4)
    small = Options(hidden=(12,), embedding=6, batch=4, chunk=32, epochs=1, learning_rate=0.03, dropout=0.2)
    models = (charlm.build(replace(small, backend=name), PROSE, text.vocabulary(PROSE)) for name in ("numpy", library))
    wanted, met = (list(train.updates(model, x[:, :320], y[:, :320], False))[-1] for model in models)
    assert met.last and met.update == 10
    assert met.loss == pytest.approx(wanted.loss, rel=1e-5)
    assert wanted.loss < math.log(len(set(PROSE)))  # it has learned something


def gru_bits(weights, ids):
    """Bits per character of ids[1:], each given those before it: a plain loop with the saved weights."""
    p = {name.removeprefix("params."): a for name, a in weights.items() if name.startswith("params.")}
    Wx, Wh, bx, bh = (p[f"gru.0.{name}"] for name in ("Wx", "Wh", "bx", "bh"))
    h, total = np.zeros(len(Wh)), 0.0
    for id, following in itertools.pairwise(ids):
        u = np.split(p["embedding.W"][id] @ Wx + bx, 3)
        v = np.split(h @ Wh + bh, 3)
        r, z = (1 / (1 + np.exp(-(u[gate] + v[gate]))) for gate in (0, 1))
        h = (1 - z) * np.tanh(u[2] + r * v[2]) + z * h
        logits = h @ p["dense.W"] + p["dense.b"]
        total += np.log(np.exp(logits).sum()) - logits[following]
    return total / (len(ids) - 1) / math.log(2)


def test_the_held_out_bits_are_those_of_a_plain_loop(run, capsys):
    weights = load_file(run("model", "--dtype", "float64", "--dropout", "0.3"))
    printed = float(re.search(r"gru 12 +([\d.]+)", capsys.readouterr().out)[1])
    cut = len(PROSE) - len(PROSE) // 10
    ids = text.encode(PROSE[cut - 1 :], text.vocabulary(PROSE))
    assert printed == pytest.approx(gru_bits(weights, ids), abs=5.1e-4)
    assert 1.0 < printed < math.log2(len(set(PROSE)))


def test_each_epoch_is_measured_in_lanes_that_start_anew(run):
    output = run("model", "--dtype", "float64", "--epochs", "1")
    weights = load_file(output)
    cut = len(PROSE) - len(PROSE) // 10
    ids = text.encode(PROSE[cut - 1 :], text.vocabulary(PROSE))
    steps = (len(ids) - 1) // 16
    lanes = [gru_bits(weights, ids[n * steps : (n + 1) * steps + 1]) for n in range(16)]
    assert read_extra(output)["history"]["held-out"] == [pytest.approx(np.mean(lanes), rel=1e-10)]


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns(run, cell):
    history = read_extra(run(cell, "--cell", cell, "--epochs", "3", "--learning-rate", "0.02"))["history"]
    assert len(history["held-out"]) == 3
    assert history["held-out"][-1] < history["held-out"][0] < math.log2(len(set(PROSE)))


def test_options_make_the_model(run):
    model = load(run("model", "--hidden", "7,5", "--dropout", "0.25", "--cell", "lstm", "--seed", "3")).model
    embedding, stack, dropout, dense = model.layer.layers
    assert [cell.hidden for cell in stack.cell_stack()] == [7, 5] and stack.dropout == dropout.rate == 0.25
    assert (embedding.units, dense.units, model.seed) == (6, len(set(PROSE)), 3)
    same = load(run("same", "--hidden", "7", "--layers", "2")).model
    assert [cell.hidden for cell in same.layer.layers[1].cell_stack()] == [7, 7]


@pytest.mark.parametrize("option", ["--clip", "--chunk", "--batch", "--learning-rate", "--seed", "--dropout"])
def test_every_option_of_training_counts(run, option):
    value = {"--clip": "0.01", "--learning-rate": "0.01", "--dropout": "0.1"}.get(option, "5")
    assert read_extra(run("model"))["history"] != read_extra(run("other", option, value))["history"]


@pytest.fixture
def interrupted_at(monkeypatch):
    """Press Ctrl-C in the update of that number."""

    def press(number):
        update, seen = Progress.update, []

        def pressing(self, report):
            seen.append(report)
            if len(seen) == number:
                os.kill(os.getpid(), signal.SIGINT)
            update(self, report)

        monkeypatch.setattr(Progress, "update", pressing)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background may ignore it
    yield press
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [1, 20, 39, 40, 45])  # 20 updates an epoch, 3 epochs
def test_a_run_that_goes_on_equals_one_that_never_stopped(run, interrupted_at, capsys, number):
    options = ["--epochs", "3", "--hidden", "8,8", "--dropout", "0.3", "--cell", "lstm"]
    whole = run("whole", *options)
    interrupted_at(number)
    output = run("cut", *options, wanted=130)
    epochs, updates = divmod(number, 20)
    errors = capsys.readouterr().err
    assert f"Interrupted after {epochs} of 3 epochs" + (f" and {updates} updates" if updates else "") in errors
    assert f"xprnn train --resume --output {output}" in errors
    assert load(output).model.run[2:4] == (epochs, updates)
    assert main(["train", "--resume", "--output", output, "--sample", "0"]) == 0
    with open(whole, "rb") as one, open(output, "rb") as other:
        assert one.read() == other.read()  # weights, optimizer, step, history, options


def test_ctrl_c_in_the_last_update_changes_nothing(run, interrupted_at):
    interrupted_at(40)
    assert load(run("model")).finished


def test_epochs_may_be_raised(run):
    output = run("model")
    assert main(["train", "--resume", "--output", output, "--epochs", "3", "--sample", "0"]) == 0
    character_model = load(output)
    assert character_model.finished and character_model.options.epochs == 3
    assert character_model.model.run.optimizer["step"] == 60 and len(character_model.history["training"]) == 3


def test_a_run_may_go_on_with_another_library(run):
    pytest.importorskip("torch")
    output = run("model")
    assert main(["train", "--resume", "--output", output, "--epochs", "3", "--backend", "torch", "--sample", "0"]) == 0
    assert load(output).model.backend.name == "torch"


def test_a_real_ctrl_c_saves_and_says_where(prose, tmp_path):
    output = str(tmp_path / "model.safetensors")
    # A shell that starts tests in the background has them ignore Ctrl-C.
    code = "import signal; signal.signal(2, signal.default_int_handler); from xprnn import cli; exit(cli.main())"
    command = [sys.executable, "-c", code, "train", prose, *SMALL, "--epochs", "100000", "--output", output]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=root) as process:
        for line in process.stderr:
            if line.startswith("epoch 2/"):
                break
        process.send_signal(signal.SIGINT)
        errors = process.stderr.read()
    assert process.returncode == 130
    assert f"the run is saved in {output}" in errors and "Traceback" not in errors
    assert load(output).model.run.epoch >= 2


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy says so too
def test_a_loss_that_is_no_number_stops_training(run, capsys):
    run("model", "--learning-rate", "1e38", wanted=2)
    assert "the loss is nan in epoch 1: try a lower --learning-rate" in capsys.readouterr().err


def test_choose_draws_from_the_softmax():
    logits = np.log([0.1, 0.6, 0.3])
    assert [choose(logits, 1.0, u) for u in (0.0, 0.09, 0.11, 0.69, 0.71, 1 - 2**-53)] == [0, 0, 1, 1, 2, 2]
    squares = np.array([0.01, 0.36, 0.09]) / 0.46
    assert [choose(logits, 0.5, u) for u in (squares[0] - 0.01, squares[0] + 0.01)] == [0, 1]
    assert choose(logits, 0.0, 0.99) == choose(logits, 1e-320, 0.99) == 1
    assert choose(np.array([-1e4, 0.0]), 1.0, 0.0) == 1  # never what has probability 0
    assert choose(logits + 1e4, 1.0, 0.5) == choose(logits - 1e4, 1.0, 0.5) == 1


def test_choose_refuses_what_is_no_number():
    with pytest.raises(Problem, match="diverged"):
        choose(np.array([0.0, math.nan]), 1.0, 0.5)


def test_a_sample_is_the_same_for_the_same_seed_on_every_library(run):
    output = run("model", "--epochs", "4", "--learning-rate", "0.02")
    sample = "".join(continuation(load(output), "the cat", 200, 0.8, 5))
    assert len(sample) == 200 and set(sample) <= set(PROSE)
    assert sample == "".join(continuation(load(output), "the cat", 200, 0.8, 5))
    assert sample != "".join(continuation(load(output), "the cat", 200, 0.8, 6))
    assert sample != "".join(continuation(load(output), "the dog", 200, 0.8, 5))
    for library in ("torch", "jax", "array_api_strict"):
        try:
            other = load(output, library)
        except RuntimeError:  # not installed
            continue
        assert sample == "".join(continuation(other, "the cat", 200, 0.8, 5))


def test_at_temperature_zero_each_character_is_the_likeliest(run):
    character_model = load(run("model", "--epochs", "4", "--learning-rate", "0.02"))
    sample = "".join(continuation(character_model, "the", 30, 0.0, 1))
    ids = text.encode("the" + sample, character_model.vocabulary)
    logits = character_model.model(ids)
    assert logits[2:-1].argmax(axis=-1).tolist() == ids[3:].tolist()


def test_an_empty_prompt_stands_for_the_start(run):
    character_model = load(run("model"))
    assert character_model.start == "\n"
    empty, start = ("".join(continuation(character_model, prompt, 20, 1.0, 0)) for prompt in ("", "\n"))
    assert empty == start
