"""What the person at the keyboard can put right."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


class Problem(Exception):
    """Something the user asked for cannot be done; the text is the one line they get to see."""


@contextlib.contextmanager
def told(path: str) -> Iterator[None]:
    """A context in which what is wrong with a file, or with what it is to hold, is a Problem."""
    try:
        yield
    except FileNotFoundError as error:
        raise Problem(str(error) if error.errno is None else f"cannot read {path}: {error.strerror}") from error
    except OSError as error:
        raise Problem(f"{path}: {error.strerror or error}") from error
    except (ValueError, TypeError, ImportError) as error:
        text = str(error)
        raise Problem(text if path in text else f"{path}: {text}") from error


def check_writable(path: str) -> None:
    """Raise Problem unless there is, or can be, a file ``path``."""
    target = Path(path)
    if target.is_dir():
        raise Problem(f"cannot write {path}: that is a folder")
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise Problem(f"cannot write {path}: {os.fspath(target.parent)}: {error.strerror}") from error
