"""README's Python runs as it stands, block by block."""

import re
import shlex
from pathlib import Path

import pytest

from xprnn.cli import parser

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=lambda code: re.search(r"xr\.\w+(\.\w+)?|SimpleRNN", code).group())
def test_blocks_run(code, tmp_path, monkeypatch, capsys):
    if "import torch" in code:
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})


def test_what_is_said_comes_out(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(BLOCKS[0], "README.md", "exec"), names)
    assert names["history"]["val_accuracy"][-1] > 0.95
    assert names["logits"].shape == (64, 20, 10)
    exec(compile(BLOCKS[2], "README.md", "exec"), {})
    assert "131" in capsys.readouterr().out


def test_what_it_links_to_is_there():
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", README)
    assert links and [link for link in links if not (ROOT / link).exists()] == []


def test_the_commands_are_there():
    lines = [line.partition("#")[0] for line in re.findall(r"^xprnn .*$", README, flags=re.MULTILINE)]
    assert [parser().parse_args(shlex.split(line)[1:]).command for line in lines] == ["convert", "inspect", "predict"]


def test_there_is_one_line_each_to_train_and_to_test():
    lines = re.findall(r"^python3 -m venv .venv && .*$", README, flags=re.MULTILINE)
    assert [line.split(" && ")[-1] for line in lines] == [".venv/bin/xprnn train", ".venv/bin/python -m pytest"]
