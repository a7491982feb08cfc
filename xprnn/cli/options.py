"""What a run of ``xprnn train`` is made of, on the command line and in the model's file."""

import argparse
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..layers.base import Layer
from ..layers.recurrent import GRU, LSTM, RNN, PeepholeLSTM
from .problem import Problem

CELLS: dict[str, Callable[..., Layer]] = {
    "rnn": RNN,
    "lstm": LSTM,
    "gru": GRU,
    "gru-reset-before": partial(GRU, reset_after=False),
    "peephole-lstm": PeepholeLSTM,
}
FREE = ("file", "epochs", "backend")  # what may be another when a run goes on; a file is known by what it holds
METAVARS = {"hidden": "N[,N]", "backend": "NAME", "dropout": "RATE", "learning_rate": "RATE", "clip": "LIMIT"}
LARGEST_SEED = 2**64 - 1


@dataclass(frozen=True)
class Options:
    """How a character model is made and trained; each field is the option of that name."""

    file: str | None = None
    cell: str = "gru"
    hidden: tuple[int, ...] = (256,)
    layers: int = 1
    embedding: int = 64
    dropout: float = 0.0
    backend: str = "numpy"
    dtype: str = "float32"
    epochs: int = 4
    batch: int = 16
    chunk: int = 32
    learning_rate: float = 0.004
    clip: float = 1.0
    seed: int = 0

    def json(self) -> dict[str, Any]:
        """The options as JSON has them."""
        return asdict(self) | {"hidden": list(self.hidden)}


HELP = {
    "cell": "what recurs",
    "hidden": "units of a layer, or of each: 256 or 256,128",
    "layers": "how many recurrent layers",
    "embedding": "numbers that stand for a character",
    "dropout": "rate of dropout between layers",
    "backend": "numpy, torch, jax, cupy, cupy:1, ..., auto",
    "dtype": "precision",
    "epochs": "how often the text is gone through",
    "batch": "places of the text that are learned from side by side",
    "chunk": "characters that the gradient goes back through",
    "learning_rate": "Adam's rate at its peak; it rises over the first updates and falls to 0 along a cosine",
    "clip": "limit of the gradient's norm",
    "seed": "all randomness comes from it; another seed, another run",
}


def add(parser: argparse.ArgumentParser) -> None:
    """Add FILE and an option for each field. None is what was not given: only so a run that goes on can tell."""
    parser.add_argument("file", metavar="FILE", nargs="?", help="UTF-8 text (default: the prose of Python's own help)")
    default = Options()
    kinds: dict[str, Callable[[str], Any]] = {
        "hidden": widths, "layers": positive, "embedding": positive, "dropout": rate, "epochs": positive,
        "batch": positive, "chunk": positive, "learning_rate": above_zero, "clip": above_zero, "seed": seed,
    }  # fmt: skip
    choices = {"cell": tuple(CELLS), "dtype": ("float32", "float64")}
    for name, text in HELP.items():
        value = getattr(default, name)
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
        parser.add_argument(
            flag(name),
            type=kinds.get(name, str),
            choices=choices.get(name),
            metavar=None if name in choices else METAVARS.get(name, "N"),
            help=f"{text} (default: {shown})",
        )


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The fields of Options that stand on the command line. Raises Problem for sizes that do not go together."""
    found = {field.name: getattr(arguments, field.name) for field in fields(Options)}
    found = {name: value for name, value in found.items() if value is not None}
    if "file" in found:
        found["file"] = str(Path(found["file"]).absolute())
    width, count = found.get("hidden", (1,)), found.get("layers")
    if len(width) > 1 and count not in (None, len(width)):
        raise Problem(f"--hidden {','.join(map(str, width))} gives {len(width)} layers, --layers gives {count}")
    return found


def fresh(found: dict[str, Any]) -> Options:
    """The options of a new run: what was given, and defaults."""
    chosen = replace(Options(), **found)
    return replace(chosen, layers=len(chosen.hidden)) if len(chosen.hidden) > 1 else chosen


def resumed(found: dict[str, Any], old: Options, output: str) -> Options:
    """The options of the run in ``output``; what was given may raise its epochs and move it to another backend.

    Raises Problem, naming both, where what was given says something else.
    """
    for name, value in found.items():
        before = getattr(old, name)
        if name not in FREE and value != before:
            raise Problem(f"{_typed(name, value)} does not go with the run in {output}: it has {_typed(name, before)}")
    if found.get("epochs", old.epochs) < old.epochs:
        raise Problem(f"--epochs {found['epochs']} is fewer than the --epochs {old.epochs} of the run in {output}")
    return replace(old, **{name: value for name, value in found.items() if name in FREE})


def flag(name: str) -> str:
    """The option of a field."""
    return "--" + name.replace("_", "-")


def _typed(name: str, value: Any) -> str:
    """A field as it is typed."""
    return f"{flag(name)} {','.join(map(str, value)) if isinstance(value, tuple) else value}"


def positive(text: str) -> int:
    """A whole number of at least 1."""
    return _number(text, int, lambda n: n >= 1, "a whole number, 1 or more")


def count(text: str) -> int:
    """A whole number of at least 0."""
    return _number(text, int, lambda n: n >= 0, "a whole number, 0 or more")


def seed(text: str) -> int:
    """A whole number that Key takes."""
    return _number(text, int, lambda n: 0 <= n <= LARGEST_SEED, "a whole number from 0 to 2**64 - 1")


def widths(text: str) -> tuple[int, ...]:
    """One whole number of at least 1, or several with commas between."""
    return tuple(positive(part) for part in text.split(","))


def rate(text: str) -> float:
    """A number from 0 to below 1."""
    return _number(text, float, lambda x: 0 <= x < 1, "a number from 0 to below 1")


def above_zero(text: str) -> float:
    """A finite number above 0."""
    return _number(text, float, lambda x: 0 < x < math.inf, "a number above 0")


def temperature(text: str) -> float:
    """A finite number of at least 0."""
    return _number(text, float, lambda x: 0 <= x < math.inf, "a number, 0 or more")


def _number(text: str, kind: type, fits: Callable[[Any], bool], wanted: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = math.nan
    if not fits(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value
