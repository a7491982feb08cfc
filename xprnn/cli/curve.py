"""The learning curve as a picture."""

import importlib.util
import io
from pathlib import Path
from typing import Any

from .problem import Problem

MISSING = "no picture of the learning curve: pip install 'xprnn[plot]'"
TRAINING, HELD_OUT = "#8a8a8a", "#0b5fa5"
LINES = {"gzip -9": "#b3541e", "bzip2 -9": "#5b8c3a"}  # xz would lie on bzip2
GAP = 0.055  # of the height, between the middles of two labels


def possible() -> bool:
    """Whether Matplotlib is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(path: str, history: dict[str, list[float]], compressors: dict[str, float], title: str) -> None:
    """Write a PNG: bits per character in training and on the held-out text, epoch by epoch, and compressors as lines.

    Raises Problem if it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel("epoch")
    axes.set_ylabel("bits per character (less is better)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(axis="y", color="#ececec", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    label(axes, curves(axes, history, compressors))
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150)
    try:
        Path(path).write_bytes(picture.getvalue())
    except OSError as error:
        raise Problem(f"cannot write {path}: {error.strerror}") from error


def curves(axes: Any, history: dict[str, list[float]], compressors: dict[str, float]) -> list[tuple[float, str, str]]:
    """Draw them; for each its last value, its label and its colour."""
    epochs = range(1, len(history["training"]) + 1)
    margin = max(0.03 * len(epochs), 0.1)
    axes.set_xlim(1 - margin, len(epochs) + margin)
    drawn = []
    for name, color in LINES.items():
        axes.axhline(compressors[name], color=color, linewidth=1.3, linestyle=(0, (6, 3)))
        drawn.append((compressors[name], name, color))
    for name, color, marker in (("training", TRAINING, "o"), ("held-out", HELD_OUT, "s")):
        axes.plot(epochs, history[name], color=color, marker=marker, markersize=5, linewidth=2, clip_on=False)
        drawn.append((history[name][-1], f"{name} text" if name == "held-out" else f"{name} (mean of epoch)", color))
    return drawn


def label(axes: Any, drawn: list[tuple[float, str, str]]) -> None:
    """Write each label to the right of where its curve ends, moved up where it would cover the one below."""
    low, high = axes.get_ylim()
    lowest = -1.0
    for value, text, color in sorted(drawn):
        lowest = max((value - low) / (high - low), lowest + GAP)
        axes.text(1.02, lowest, f"{value:.2f}  {text}", color=color, transform=axes.transAxes, va="center", fontsize=10)
