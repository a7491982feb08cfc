"""A character model: a network with the characters it knows and the run that made it, and its file."""

import hashlib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import backend
from ..io import files
from ..io.formats import FORMATS
from ..io.spec import fits
from ..io.store import FileError, told
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
        extra = _about(path)
        if not extra:
            raise Problem(f"{path} is an xprnn model, but no {KIND}; xprnn train makes those")
        options = extra["options"]
        model = Model.load(path, backend(backend_name or options.backend, options.dtype))
        with told(path, "contradicts itself"):
            _check(model, extra["vocabulary"])
    except (FileError, FileNotFoundError) as error:
        raise Problem(str(error)) from error
    except OSError as error:
        raise Problem(f"cannot read {path}: {error.strerror}") from error
    return CharacterModel(model, extra["vocabulary"], extra["start"], extra["digest"], options, extra["history"])


def _about(path: str) -> dict[str, Any]:
    """What is kept beside a character model, the options as such; {} for another model. Raises as ``read_extra``."""
    extra = files.read_extra(path)
    if extra.get("kind") != KIND:
        return {}
    with told(path, "contradicts itself"):
        options = Options(**extra["options"] | {"hidden": tuple(extra["options"]["hidden"])})
        wrong = [field.name for field in fields(Options) if not fits(getattr(options, field.name), field.type)]
        wrong += [name for name in ("vocabulary", "start", "digest") if not isinstance(extra[name], str)]
        history = {name: tuple(extra["history"][name]) for name in ("training", "held-out")}
        wrong += [name for name, values in history.items() if not fits(values, tuple[float, ...])]
        if wrong or extra["start"] not in extra["vocabulary"]:
            raise ValueError(f"what it says beside the model is of another kind: {', '.join(wrong or ['start'])}")
        return extra | {"options": options}


def _check(model: Model, vocabulary: str) -> None:
    """Raise ValueError unless the model goes character by character from ids of ``vocabulary`` to logits of these."""
    size = len(vocabulary)
    ids = model.backend.asarray(np.asarray([[size - 1, 0]], dtype=np.int32))
    if not model.layer.takes_ids or not model.layer.streams or model(ids).shape != (1, 2, size):
        raise ValueError(f"its layers do not go from {size} characters to the next of these: {model.layer}")


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
    if target.suffix.lower() not in FORMATS:
        raise Problem(f"cannot write {path}: a model's file is called {' or '.join(f'*{end}' for end in FORMATS)}")
    if resume or not target.exists():
        return
    try:
        extra = _about(path)
    except (FileError, OSError):
        extra = {}
    if not extra:
        raise Problem(f"{path} is there already and is no {KIND}: name another --output, or remove it")
    if len(extra["history"]["training"]) < extra["options"].epochs:
        raise Problem(f"{path} holds a run that is not finished: add --resume, name another --output, or remove it")
