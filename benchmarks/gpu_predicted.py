"""What was predicted of a step of an LSTM before anything had run on a GPU, beside what was measured."""

import itertools
import json
from pathlib import Path

import machine
from cases import PASSES

PREDICTED = json.loads((Path(__file__).parent / "gpu_predicted.json").read_text())
STEPS = 512
NAMES = ("xprnn", "graph", "cluster", "grid", "torch")


def section(rows):
    """A line for each size, mode and pass with a prediction: microseconds of a step."""
    sizes = {size: modes for size, modes in PREDICTED.items() if size != "what"}
    lines = []
    for (size, modes), number in itertools.product(sizes.items(), range(len(PASSES))):
        for mode, told in modes.items():
            found = next((row["found"] for row in rows if _meets(row, size, mode, PASSES[number])), {})
            cells = [_cell(found.get(name), told.get(name), number) for name in NAMES]
            lines.append([f"LSTM {size} {mode} {PASSES[number]}", *cells])
    text = f"{PREDICTED['what']} They stand in parentheses behind what was measured.\n\n"
    return f"## Predicted and measured\n\n{text}" + machine.table(["", *NAMES], lines)


def _meets(row, size, mode, passes):
    """Whether the row is of this plain LSTM."""
    if row["part"] == "epoch" or (row["mode"], row["pass"]) != (mode, passes):
        return False
    met = row["size"]
    plain = {"cell": "LSTM", "D": met["H"], "T": STEPS, "layers": 1, "directions": 1, "ragged": False}
    return f"H={met['H']} B={met['B']}" == size and met | plain == met and row["part"] in ("table", "persistent")


def _cell(one, told, number):
    """The median that was measured, and in parentheses what was predicted; "-" for what is not there."""
    good = one is not None and "milliseconds" in one and not one["wrong"]
    measured = f"{1e3 * one['milliseconds']['median'] / STEPS:.2f}" if good else "-"
    return f"{measured} ({told[number] if told else '-'})"
