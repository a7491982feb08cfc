"""``xprnn backends``: which array libraries can be used here, and what would fix the others."""

import argparse
import os
import platform
import shutil
import sys
import textwrap
from collections.abc import Collection

import numpy as np

from .. import cells
from ..backend import Status, available, backend
from ..kernels import KERNELS, NORM_WALKS, WALKS, choose, cpu, cuda, cuda_norm
from .blas import Blas, faster, features, installed

WIDEST = 100  # columns of text that are still easy to read
MUCH = 240  # characters of a reason that are shown without -v
TO_FIX = "to fix it: "
CELLS = (
    cells.RNN(1), cells.LSTM(1), cells.PeepholeLSTM(1), cells.GRU(1), cells.GRUResetBefore(1),
    cells.LayerNormLSTM(1), cells.Zoneout(cells.RNN(1), (0.1,)),
    cells.ProjectedLSTM(1, 1), cells.GeneralLSTM(1), cells.GeneralGRU(1),
)  # fmt: skip
REBUILD = "install g++ or clang++, then, in a copy of the repository, pip install -v --force-reinstall --no-deps -e ."


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``xprnn backends``."""
    parser.add_argument("-v", "--verbose", action="store_true", help="whole reasons, and what there is to know besides")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    statuses = available()
    columns = min(shutil.get_terminal_size().columns, WIDEST)
    print(table(statuses, arguments.verbose, columns))
    if arguments.verbose:
        about = {
            "auto": [str(backend("auto"))],
            "Python": [f"{sys.version.split()[0]}, {platform.platform()}"],
            "NumPy": [np.__version__],
            "BLAS": products(installed(), features()),
            "CPU kernel": kernel(cpu.MISSING),
            "GPU kernel": gpu_kernel(any(status.name == "cupy" and status.usable for status in statuses)),
            "kernels": [order(list(KERNELS)), *(takes(status.name) for status in statuses if status.usable)],
        }
        print("", *paragraphs(about, columns), sep="\n")
    return 0


def table(statuses: list[Status], verbose: bool, columns: int) -> str:
    """A line for each backend; below one that cannot be used, why not, and what fixes it, in so many columns."""
    cells = [("backend", "usable", "device", "version")]
    cells += [(s.name, "yes" if s.usable else "no", s.device or "-", s.version or "-") for s in statuses]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    found = [lines[0]]
    for status, line in zip(statuses, lines[1:], strict=True):
        found.append(line)
        if not status.usable or verbose:
            reason = _reason(status, verbose)
            found += _below("", reason, widths[0], columns)
            found += _below(TO_FIX, status.remedy, widths[0], columns)
    return "\n".join(found)


def products(found: Blas, features: Collection[str]) -> list[str]:
    """What computes NumPy's matrix products, and what would be faster."""
    if found.core is None:
        return [f"{found.name}; its kernels and threads cannot be asked for"]
    running = f"{found.name}, kernels for {found.core}, {_threads(found.threads)}"
    better = faster(found.core, features)
    if better is None:
        return [running]
    unused = "they leave this processor's AVX-512 unused; others would be faster"
    return [running, unused, f"{TO_FIX}set OPENBLAS_CORETYPE={better} in the environment"]


def kernel(missing: str) -> list[str]:
    """Whether the compiled kernel is there, what it uses and what it takes; or why not, and what mends it."""
    if missing:
        mend = "unset XPRNN_NATIVE" if "XPRNN_NATIVE" in missing else REBUILD
        return [f"not there: {missing}; the loop runs in its place", f"{TO_FIX}{mend}"]
    return [
        f"built; runs {cpu.INSTRUCTIONS[0]}, of {', '.join(cpu.INSTRUCTIONS)}",
        f"{_threads(cpu.THREADS)}, {cpu.THREADS_REASON}",
        _cells(cpu.ACTIVATIONS, cpu.KINDS),
        "in float32 and float64, on arrays of NumPy and of PyTorch on the CPU",
    ]


def gpu_kernel(usable: bool) -> list[str]:
    """What the kernel for GPUs takes, and how it multiplies; or that there is no GPU to run it on."""
    if not usable:
        return ["nothing to run on: CuPy cannot be used here, as is said above"]
    precision = os.environ.get("XPRNN_PRECISION", "highest")
    said = {"highest": "exactly", "high": "by TF32 operands", "medium": "by bfloat16 operands"}
    return [
        "compiled by NVRTC at its first use, and kept on disk by CuPy",
        f"{_cells(cuda.ACTIVATIONS, cuda.KINDS)}, and Zoneout of these but PeepholeLSTM",
        "of any number of steps, rows and units, in float32 and float64, on arrays of CuPy",
        f"multiplies float32 {said[precision]}: precision {precision!r}",
        *(f"by that name alone, {norm.runs}" for norm in (cuda_norm.STEPS, *NORM_WALKS.values())),
        *(f"by that name alone, {walk.runs}" for walk in WALKS.values()),
    ]


def order(names: list[str]) -> str:
    """Who runs a cell on an array."""
    why = "; XPRNN_KERNEL in the environment leaves out all others" if os.environ.get("XPRNN_KERNEL") else ""
    return f"{', '.join(names)}: the first that takes a cell on an array runs it, loop takes them all{why}"


def takes(name: str) -> str:
    """Which kernel runs which cell on a backend, as the kernels themselves say; none looks at the shape."""
    place = backend(name)
    chosen: dict[str, list[str]] = {}
    with place.active():
        x = place.asarray(np.zeros((1, 1, 1)))
        for cell in CELLS:
            try:
                kernel = choose(cell, x, None)
            except (TypeError, ValueError):  # of the only one that may run it
                key = "nobody"
            else:
                key = next(key for key, one in KERNELS.items() if one is kernel)
            chosen.setdefault(key, []).append(type(cell).__name__)
    said = (f"{key} runs {', '.join(some) if len(chosen) > 1 else 'every cell'}" for key, some in chosen.items())
    return f"on {name}, whatever the shape, {'; '.join(said)}"


def paragraphs(about: dict[str, list[str]], columns: int) -> list[str]:
    """The lines of each entry behind its name, one under the other, in so many columns."""
    width = max(map(len, about)) + 2
    found = []
    for name, lines in about.items():
        wrapped = [part for line in lines for part in _wrapped(line, columns - width)]
        found += [(name if n == 0 else "").ljust(width) + line for n, line in enumerate(wrapped)]
    return found


def _cells(activations: Collection[str], kinds: Collection[type]) -> str:
    return f"takes RNN ({', '.join(activations)}), {', '.join(kind.__name__ for kind in kinds)}"


def _threads(count: int | None) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"


def _wrapped(line: str, columns: int) -> list[str]:
    """A line in so many columns; one to be copied stays in one piece."""
    return [line] if line.startswith(TO_FIX) else textwrap.wrap(line, max(columns, 40))


def _reason(status: Status, verbose: bool) -> str:
    """The reason without what the table says already, in one line, and shortened unless ``verbose``."""
    reason = " ".join(status.reason.split())
    reason = reason.removeprefix(f"backend {status.name!r} cannot be used: ")
    return reason if verbose or len(reason) <= MUCH else f"{reason[:MUCH]}... (-v shows all)"


def _below(label: str, text: str, indent: int, columns: int) -> list[str]:
    """``text`` after ``label`` in lines that stand under the table's second column; none for no text."""
    if not text:
        return []
    margin = " " * (indent + 2)
    return [margin + line for line in _wrapped(label + text, columns - len(margin))]
