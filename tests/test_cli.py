"""The command line: what it prints, what it refuses, and what it leaves behind."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xprnn
from xprnn.cli import COMMANDS, blas, curve, main, threads, train

ROOT = Path(__file__).parents[1]
SMALL = ["--hidden", "8", "--embedding", "4", "--batch", "2", "--chunk", "10", "--epochs", "1", "--sample", "40"]


@pytest.fixture
def prose(tmp_path, monkeypatch):
    """The name of a short text in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prose.txt").write_text("to be or not to be that is the question\n" * 10)
    return "prose.txt"


@pytest.fixture
def model(prose, capsys):
    """The name of a model trained on it."""
    assert main(["train", prose, *SMALL]) == 0
    capsys.readouterr()
    return "charlm.safetensors"


def problem(capsys, *argv):
    """The one line that the command ends with."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_alone_it_prints_help(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^    {command} ", out, re.M) for command in COMMANDS)


def test_it_says_its_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"xprnn {xprnn.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(capsys, command):
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: xprnn {command} ")


def test_it_runs_as_a_module():
    command = [sys.executable, "-m", "xprnn", "train", "--epochs", "0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("xprnn train: argument --epochs: '0' is not a whole number, 1 or more")


def test_train_prints_epochs_bits_a_sample_and_where_things_are(prose, capsys):
    assert main(["train", prose, *SMALL, "--epochs", "2", "--output", "x.safetensors"]) == 0
    out, err = capsys.readouterr()
    assert "400 characters, 14 different; the last 40 are held out" in err
    assert len(re.findall(r"^epoch \d/2   training \d\.\d{3}   held-out \d\.\d{3} bits/char", err, re.M)) == 2
    assert err.count("\n") == 4  # no bar where nobody looks
    assert re.search(r"^  gru 8 +\d\.\d{3}\n  gzip -9 +\d+\.\d{3} .*\n  bzip2 -9 .*\n  xz -9 ", out, re.M)
    sample = out.partition("temperature 0.7:\n\n")[2].partition("\nmodel  ")[0]
    assert 30 < len(sample) <= 42 and set(sample) <= set("to be or not to be that is the question\n")
    assert "xprnn sample x.safetensors --prompt" in out


def test_a_terminal_gets_a_bar(prose, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main(["train", prose, *SMALL]) == 0
    assert re.search(r"\repoch 1/1  \d\.\d{3} bits/char +\d+% \|.*\| .*char/s  \d+:\d+ left", terminal.getvalue())


def test_comparison_says_plainly_which_is_lower():
    table = train.comparison("lstm 64,32", 1.5, {"gzip -9": 2.0, "xz -9": 1.2}, 12345)
    assert "12,345 characters" in table
    assert "  lstm 64,32  1.500\n" in table
    assert "  gzip -9     2.000   the model is 25.0 % lower\n" in table
    assert "  xz -9       1.200   the model is 25.0 % higher\n" in table


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nothing.txt"], "cannot read .*nothing.txt: No such file"),
        (["."], "cannot read .*: Is a directory"),
        (["latin.txt"], "latin.txt is not UTF-8 text: .* byte 2"),
        (["empty.txt"], "too short: of 0 characters"),
        (["prose.txt", "--batch", "360"], "too short: of 360 characters --batch 360 rows"),
        (["prose.txt", "--backend", "abacus"], "no backend 'abacus'; to fix it: choose one of numpy"),
        (["prose.txt", "--backend", "numpy:gpu"], "computes on the cpu only, not on 'gpu'"),
        (["prose.txt", "--output", "no/x.safetensors"], "cannot write no/x.safetensors: no: No such file"),
        (["prose.txt", "--output", "."], "cannot write .: that is a folder"),
        (["prose.txt", "--output", "x.png"], "cannot write x.png: that is where the picture goes"),
        (["prose.txt", "--output", "x.txt"], r"cannot write x.txt: a model's file is called \*.safetensors or \*.npz"),
        (["prose.txt", "--output", "empty.npz"], "empty.npz is there already and is no character model"),
        (["prose.txt", "--resume"], "there is no file charlm.safetensors"),
        (["prose.txt", "--hidden", "8,x"], "--hidden: 'x' is not a whole number, 1 or more"),
        (["prose.txt", "--hidden", "8,4", "--layers", "3"], "--hidden 8,4 gives 2 layers, --layers gives 3"),
        (["prose.txt", "--dropout", "1"], "--dropout: '1' is not a number from 0 to below 1"),
        (["prose.txt", "--learning-rate", "nan"], "--learning-rate: 'nan' is not a number above 0"),
        (["prose.txt", "--clip", "0"], "--clip: '0' is not a number above 0"),
        (["prose.txt", "--seed", "-1"], "--seed: '-1' is not a whole number from 0"),
        (["prose.txt", "--cell", "brain"], "invalid choice: 'brain'"),
        (["prose.txt", "--speed", "9"], "unrecognized arguments: --speed 9"),
    ],
)
def test_train_refuses_before_it_begins(prose, tmp_path, capsys, argv, words):
    (tmp_path / "latin.txt").write_bytes(b"na\xefve")
    for name in ("empty.txt", "empty.npz"):
        (tmp_path / name).touch()
    before = set(tmp_path.iterdir())
    assert re.search(words, problem(capsys, "train", *argv))
    assert set(tmp_path.iterdir()) == before and not (tmp_path / "empty.txt").read_bytes()


def test_a_finished_model_may_be_replaced_and_a_run_that_is_not_may_not(model, prose, capsys):
    assert main(["train", prose, *SMALL, "--seed", "1"]) == 0
    extra = xprnn.io.files.read_extra(model)
    extra["options"]["epochs"] = 9
    xprnn.load(model).save(model, extra=extra)
    capsys.readouterr()
    assert f"{model} holds a run that is not finished: add --resume" in problem(capsys, "train", prose, *SMALL)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--hidden", "16"], "--hidden 16 does not go with the run in charlm.safetensors: it has --hidden 8"),
        (["--cell", "lstm"], "--cell lstm does not go with .* --cell gru"),
        (["--learning-rate", "0.1"], "--learning-rate 0.1 does not go with .* --learning-rate 0.004"),
        (["--seed", "1"], "--seed 1 does not go with .* --seed 0"),
        (["other.txt"], "other.txt is not the text that the run in charlm.safetensors has learned from"),
    ],
)
def test_a_run_goes_on_with_its_own_options_only(model, tmp_path, capsys, argv, words):
    (tmp_path / "other.txt").write_text("another text")
    before = (tmp_path / model).read_bytes()
    assert re.search(words, problem(capsys, "train", "--resume", *argv))
    assert (tmp_path / model).read_bytes() == before


def test_a_run_goes_on_with_its_text_from_another_place(model, prose, tmp_path, capsys):
    (tmp_path / prose).rename(tmp_path / "moved.txt")
    assert "cannot read" in problem(capsys, "train", "--resume")
    assert main(["train", "moved.txt", "--resume", "--hidden", "8", "--sample", "0"]) == 0


def test_fewer_epochs_than_before_are_refused(prose, capsys):
    assert main(["train", prose, *SMALL, "--epochs", "2"]) == 0
    capsys.readouterr()
    assert "--epochs 1 is fewer than the --epochs 2 of the run" in problem(capsys, "train", "--resume", "--epochs", "1")


def test_sample_continues_the_prompt(model, capsys):
    texts = []
    for seed in ("1", "1", "2"):
        assert main(["sample", model, "--prompt", "to be", "--length", "30", "--seed", seed]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith("to be") and len(texts[0]) == len("to be") + 30 + 1


def test_sample_without_a_prompt_says_where_it_begins(model, capsys):
    assert main(["sample", model, "--length", "5"]) == 0
    out, err = capsys.readouterr()
    assert len(out) == 6 and err == "no --prompt: the text begins after '\\n'\n"


def test_sample_refuses(model, prose, tmp_path, capsys):
    xprnn.Model(xprnn.Dense(2), input_shape=(None, 3)).save("other.safetensors")
    (tmp_path / "half.safetensors").write_bytes((tmp_path / model).read_bytes()[:2000])
    for argv, words in (
        ([model, "--prompt", "to bé, ça"], "has never met 'é', ',', 'ç': these"),
        ([model, "--temperature", "-1"], "--temperature: '-1' is not a number, 0 or more"),
        ([model, "--length", "-1"], "--length: '-1' is not a whole number, 0 or more"),
        ([model, "--backend", "abacus"], "there is no backend 'abacus'"),
        (["nothing"], "there is no file nothing"),
        ([prose], "prose.txt cannot be read as a model"),
        (["half.safetensors"], "half.safetensors cannot be read as a model"),
        (["other.safetensors"], "other.safetensors is an xprnn model, but no character model"),
    ):
        assert words in problem(capsys, "sample", *argv)


def test_what_is_said_beside_a_character_model_may_be_wrong(model, capsys):
    loaded, extra = xprnn.load(model), xprnn.io.files.read_extra(model)
    wrong = {
        "has no 'vocabulary'": {"kind": extra["kind"], "options": extra["options"]},
        "of another kind: epochs, seed": extra | {"options": extra["options"] | {"epochs": "9", "seed": None}},
        "argument 'code'": extra | {"options": extra["options"] | {"code": "import os"}},
        "of another kind: start": extra | {"start": 5},
        "of another kind: training": extra | {"history": {"training": ["1"], "held-out": []}},
        "do not go from 3 characters to the next": extra | {"vocabulary": "abc", "start": "a"},
    }
    for words, beside in wrong.items():
        loaded.save(model, extra=beside)
        told = problem(capsys, "sample", model)
        assert f"{model} contradicts itself" in told and words in told


def test_a_reader_that_goes_away_is_no_accident(model):
    command = [sys.executable, "-m", "xprnn", "sample", os.path.abspath(model), "--length", "100000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout.read(4)
        process.stdout.close()
        assert process.stderr.read() == b"no --prompt: the text begins after '\\n'\n"


def test_the_picture_shows_both_curves_and_the_compressors(model, tmp_path):
    figure = pytest.importorskip("matplotlib.figure")
    picture = (tmp_path / "charlm.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and picture.rstrip(b"\0").endswith(b"IEND\xaeB`\x82")
    axes = figure.Figure().add_subplot()
    history = {"training": [3.0, 2.5], "held-out": [2.8, 2.1]}
    curve.label(axes, curve.curves(axes, history, {"gzip -9": 2.11, "bzip2 -9": 2.0, "xz -9": 2.0}))
    assert [list(line.get_ydata()) for line in axes.lines] == [[2.11, 2.11], [2.0, 2.0], [3.0, 2.5], [2.8, 2.1]]
    texts = sorted((text.get_position()[1], text.get_text()) for text in axes.texts)
    assert [text for _, text in texts] == [
        "2.00  bzip2 -9", "2.10  held-out text", "2.11  gzip -9", "2.50  training (mean of epoch)"
    ]  # fmt: skip
    heights = [height for height, _ in texts]
    assert min(np.diff(heights)) >= curve.GAP - 1e-9


def test_without_matplotlib_a_line_says_how_to_get_it(prose, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(curve, "possible", lambda: False)
    assert main(["train", prose, *SMALL]) == 0
    assert "pip install 'xprnn[plot]'" in capsys.readouterr().out
    assert not (tmp_path / "charlm.png").exists()


def test_matplotlib_is_imported_for_the_picture_alone():
    code = "import sys, xprnn.cli; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_products_take_one_thread_unless_told_otherwise(monkeypatch):
    library = blas.openblas()
    if library is None:
        pytest.skip("this NumPy has no OpenBLAS of its own")
    before = library.scipy_openblas_get_num_threads64_()
    for count, environment, wanted in ((None, None, 1), (2, None, 2), (None, "7", before), (2, "7", 2)):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
        if environment:
            monkeypatch.setenv("OMP_NUM_THREADS", environment)
        with threads.limited(count):
            assert library.scipy_openblas_get_num_threads64_() == wanted
        assert library.scipy_openblas_get_num_threads64_() == before
