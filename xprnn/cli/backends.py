"""``xprnn backends``: which array libraries can be used here, and what would fix the others."""

import argparse
import platform
import shutil
import sys
import textwrap

import numpy as np

from ..backend import Status, available, backend

WIDEST = 100  # columns of text that are still easy to read
MUCH = 240  # characters of a reason that are shown without -v


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``xprnn backends``."""
    parser.add_argument("-v", "--verbose", action="store_true", help="whole reasons, and what there is to know besides")


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    statuses = available()
    print(table(statuses, arguments.verbose, min(shutil.get_terminal_size().columns, WIDEST)))
    if arguments.verbose:
        print(f"\nauto       {backend('auto')}")
        print(f"Python     {sys.version.split()[0]}, {platform.platform()}")
        print(f"NumPy      {np.__version__} with {_blas()}")
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
            found += _below("to fix it: ", status.remedy, widths[0], columns)
    return "\n".join(found)


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
    # A command is to be copied: it stays in one piece.
    wrapped = [text] if label else textwrap.wrap(text, max(columns - len(margin), 40))
    return [margin + (label if n == 0 else " " * len(label)) + line for n, line in enumerate(wrapped)]


def _blas() -> str:
    """The library that computes NumPy's matrix products."""
    found = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return f"{found['name']} {found['version']}"
