"""``xprnn inspect``: what is in a model's file, without loading its numbers."""

import argparse
import json
from collections.abc import Callable, Iterator
from typing import Any

from ..io.describe import describe
from .problem import told

MUCH = 60  # characters of what is kept beside a model that are shown; --json shows all


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``xprnn inspect``."""
    parser.add_argument("file", metavar="FILE", help="a model of any format, or a .safetensors file of arrays alone")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def run(arguments: argparse.Namespace) -> int:
    """Print what is in the file."""
    with told(arguments.file):
        found = describe(arguments.file)
    print(json.dumps(found, indent=1, ensure_ascii=False) if arguments.json else "\n".join(map(shown, text(found))))
    return 0


def shown(line: str) -> str:
    """A line as a terminal can show it: names in a file may hold what moves the cursor."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def text(found: dict[str, Any]) -> Iterator[str]:
    """The lines that show what ``describe`` has found: values by name, then a table of layers or of arrays."""
    yield f"{found['file']}: {found['format']}, {found['bytes']:,} bytes"
    yield ""
    there = [name for name in VALUES if found.get(name) not in (None, {})]
    yield from aligned([[name, VALUES[name](found[name])] for name in there], "<<")
    yield ""
    if "layers" in found:
        layers = [
            [layer["name"], layer["layer"], f"{layer['parameters']:,}", sample(layer["output"]), sizes(layer["shapes"])]
            for layer in found["layers"]
        ]
        yield from aligned([["name", "layer", "parameters", "output", "shapes"], *layers], "<<><<")
    else:
        tensors = [[name, a["dtype"], axes(a["shape"])] for name, a in found["tensors"].items()]
        yield from aligned([["array", "dtype", "shape"], *tensors], "<<<")


def aligned(rows: list[list[str]], sides: str) -> Iterator[str]:
    """Rows of a table in columns, each to the left, <, or to the right, >."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:{side}{n}}" for cell, side, n in zip(row, sides, widths, strict=True)).rstrip()


def axes(shape: list[Any] | None) -> str:
    """A shape; an axis may have a name, or any size."""
    return "any" if shape is None else f"({', '.join('any' if n is None else str(n) for n in shape)})"


def sample(shape: list[Any]) -> str:
    """The shape of a batch of samples of ``shape``."""
    return axes(["batch", *shape])


def sizes(shapes: dict[str, list[int]]) -> str:
    """The shapes of parameters in a line."""
    return ", ".join(f"{name} {'×'.join(map(str, size))}" for name, size in shapes.items())


def ends(values: list[dict[str, Any]]) -> str:
    """The inputs or outputs of a graph."""
    return ", ".join(f"{value['name']} {axes(value['shape'])} {value['dtype']}" for value in values)


def beside(values: dict[str, Any]) -> str:
    """What is kept beside a model, shortened."""
    texts = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    return ", ".join(f"{name}: {t if len(t) <= MUCH else t[:MUCH] + '...'}" for name, t in texts.items())


VALUES: dict[str, Callable[[Any], str]] = {
    "input": sample,
    "output": sample,
    "inputs": ends,
    "outputs": ends,
    "parameters": "{:,}".format,
    "dtype": str,
    "seed": str,
    "run": beside,
    "extra": beside,
    "metadata": beside,
    "opset": str,
    "operators": lambda counts: ", ".join(f"{name} {count}" for name, count in counts.items()),
}
