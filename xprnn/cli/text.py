"""Text as numbers: reading it, its vocabulary, what is held out, and what compressors make of it."""

import bz2
import gzip
import lzma
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .problem import Problem

HELD_OUT = 0.1


class Parts(NamedTuple):
    """A text cut in two: what is learned from, and the end, which is held out to be measured on."""

    training: str
    held_out: str


def read(file: str | None) -> str:
    """The characters of a UTF-8 ``file``, or without one the English prose of Python's own help, as one string.

    Line ends become a single newline. Raises Problem if the file cannot be read or is not text.
    """
    if file is None:
        from pydoc_data.topics import topics

        return "\n".join(topics.values())
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problem(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise Problem(f"cannot read {file}: {error.strerror}") from error


def check(text: str, rows: int) -> None:
    """Raise Problem if ``text`` is too short to hold something out and to make so many rows of the rest."""
    training, held_out = split(text)
    if not held_out:
        raise Problem(f"the text is too short: of {len(text)} characters nothing can be held out")
    if len(training) <= rows:
        raise Problem(f"the text is too short: of {len(training)} characters --batch {rows} rows cannot be made")


def split(text: str) -> Parts:
    """The first 90 % of ``text`` and the rest."""
    cut = len(text) - int(HELD_OUT * len(text))
    return Parts(text[:cut], text[cut:])


def vocabulary(text: str) -> str:
    """The characters that occur, each once, in the order of their code points: the id of a character is its place."""
    return "".join(sorted(set(text)))


def encode(text: str, vocabulary: str) -> np.ndarray:
    """The ids (N,) int32 of the characters of ``text``. Raises Problem, naming them, if some have none."""
    known = set(vocabulary)
    strange = [character for character in dict.fromkeys(text) if character not in known]
    if strange:
        raise Problem(f"the model has never met {', '.join(map(repr, strange))}: these characters are not in its text")
    return np.searchsorted(_points(vocabulary), _points(text)).astype(np.int32)


def rows(ids: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """``ids`` (N,) as ``count`` rows, one after the other -> inputs and next characters, (count, (N − 1) // count)."""
    used = (len(ids) - 1) // count * count
    return ids[:used].reshape(count, -1), ids[1 : used + 1].reshape(count, -1)


def compressed(text: str) -> dict[str, float]:
    """The bits per character that general compressors need for ``text`` alone, each at its best setting."""
    data = text.encode()
    sizes = {
        "gzip -9": len(gzip.compress(data, 9)),
        "bzip2 -9": len(bz2.compress(data, 9)),
        "xz -9": len(lzma.compress(data, preset=9)),
    }
    return {name: 8 * size / len(text) for name, size in sizes.items()}


def _points(text: str) -> np.ndarray:
    """The code points of ``text``."""
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)
