"""A character model: a network with the characters it knows and the run that made it, and its file."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from ..backend import backend
from ..io import files
from ..io.store import FileError
from ..layers.dense import Dense
from ..layers.dropout import Dropout
from ..layers.embedding import Embedding
from ..layers.sequential import Sequential
from ..model import Model
from .options import CELLS, Options
from .problem import Problem, check_writable

KIND = "character model"


@dataclass
class CharacterModel:
    """A model over characters, and what its file says beside it.

    vocabulary: each character at the place that is its id. start: what an empty prompt stands for.
    digest:     of the text it learns from. history: bits per character of each epoch, "training" and "held-out".
    """

    model: Model
    vocabulary: str
    start: str
    digest: str
    options: Options
    history: dict[str, list[float]] = field(default_factory=lambda: {"training": [], "held-out": []})

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.model.run is not None and self.model.run.epoch >= self.options.epochs

    def save(self, path: str) -> None:
        """Write the model with its run, atomically. Raises Problem if the system refuses."""
        about = {name: getattr(self, name) for name in ("vocabulary", "start", "digest", "history")}
        extra = {"kind": KIND, "options": self.options.json()} | about
        try:
            self.model.save(path, run=True, extra=extra)
        except OSError as error:
            raise Problem(f"cannot write {path}: {error.strerror}") from error


def build(options: Options, text: str, vocabulary: str) -> CharacterModel:
    """A model with fresh parameters for ``text``. Raises BackendError if the backend cannot be used."""
    sizes = options.hidden if len(options.hidden) > 1 else options.hidden * options.layers
    between = [Dropout(options.dropout)] if options.dropout else []
    network = Sequential(
        Embedding(len(vocabulary), options.embedding),
        CELLS[options.cell](sizes, len(sizes), dropout=options.dropout),
        *between,
        Dense(len(vocabulary)),
    )
    model = Model(network, options.backend, options.dtype, options.seed)
    start = "\n" if "\n" in vocabulary else max(vocabulary, key=text.count)
    return CharacterModel(model, vocabulary, start, digest(text), options)


def load(path: str, backend_name: str | None = None) -> CharacterModel:
    """The model that ``CharacterModel.save`` wrote, on the backend it was trained on unless another is named.

    Raises Problem for a file that cannot be read or holds something else, BackendError for the backend.
    """
    try:
        extra = files.read_extra(path)
        if extra.get("kind") != KIND:
            raise Problem(f"{path} is an xprnn model, but no {KIND}; xprnn train makes those")
        options = Options(**extra["options"] | {"hidden": tuple(extra["options"]["hidden"])})
        model = Model.load(path, backend(backend_name or options.backend, options.dtype))
    except (FileError, FileNotFoundError) as error:
        raise Problem(str(error)) from error
    except OSError as error:
        raise Problem(f"cannot read {path}: {error.strerror}") from error
    return CharacterModel(model, extra["vocabulary"], extra["start"], extra["digest"], options, extra["history"])


def digest(text: str) -> str:
    """A number by which to tell whether two texts are the same."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_output(path: str, resume: bool) -> None:
    """Raise Problem unless ``path`` can be written to and, unless ``resume``, holds nothing but a finished model."""
    target = Path(path)
    if target.is_dir() or target.suffix == ".png":
        what = "a folder" if target.is_dir() else "where the picture goes"
        raise Problem(f"cannot write {path}: that is {what}, --output names the model's file")
    check_writable(path)
    if resume or not target.exists():
        return
    try:
        extra = files.read_extra(path)
    except (FileError, OSError):
        extra = {}
    if extra.get("kind") != KIND:
        raise Problem(f"{path} is there already and is no {KIND}: name another --output, or remove it")
    if len(extra["history"]["training"]) < extra["options"]["epochs"]:
        raise Problem(f"{path} holds a run that is not finished: add --resume, name another --output, or remove it")
