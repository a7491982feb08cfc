"""``xprnn train``: a character language model, from text to a saved model, its measure, a sample and a picture."""

import argparse
import math
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .. import tree
from ..optimizers import Adam, schedules
from ..training import Report
from . import charlm, curve, options
from . import text as texts
from .charlm import CharacterModel
from .interrupt import Interrupt
from .options import Options
from .problem import Problem
from .progress import Progress, bits
from .sample import TEMPERATURE, continuation
from .threads import limited

OUTPUT = "charlm.safetensors"
WARMUP = 40  # updates in which the learning rate rises
PIECE = 1024  # steps of held-out text that are computed at a time
LANES = 16  # places of the held-out text that are measured side by side after an epoch


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``xprnn train``."""
    options.add(parser)
    parser.add_argument("--output", default=OUTPUT, metavar="FILE", help="the model's file (default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --output; --epochs may be raised")
    parser.add_argument(
        "--threads", type=options.positive, metavar="N",
        help="threads of NumPy's products (default: 1; large models gain)",
    )  # fmt: skip
    parser.add_argument(
        "--sample", type=options.count, default=300, metavar="N", help="characters to write at the end (default: 300)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Train, or go on, and report; 130 after Ctrl-C, with the run saved."""
    output, resume = arguments.output, arguments.resume
    charlm.check_output(output, resume)
    character_model, text = _resumed(arguments) if resume else _fresh(arguments)
    parts = texts.split(text)
    print(_header(character_model, parts, output, resume), file=sys.stderr)
    with limited(arguments.threads):
        if not learn(character_model, parts, output, resume):
            character_model.save(output)
            print(_interrupted(character_model, output), file=sys.stderr)
            return 130
        report(character_model, parts, output, arguments.sample)
    return 0


def learn(character_model: CharacterModel, parts: texts.Parts, output: str, resume: bool) -> bool:
    """Train to the last epoch, measuring and saving after each; False if Ctrl-C was pressed before its end.

    Raises Problem if the loss is no number any more; what was saved before stays.
    """
    chosen, history = character_model.options, character_model.history
    x, y = texts.rows(texts.encode(parts.training, character_model.vocabulary), chosen.batch)
    with Interrupt() as interrupt, Progress(chosen, x.shape, character_model.model.run) as progress:
        for update in updates(character_model, x, y, resume):
            progress.update(update)
            if update.last:
                if not math.isfinite(update.loss):
                    raise Problem(f"the loss is {update.loss} in epoch {update.epoch}: try a lower --learning-rate")
                history["training"].append(bits(update.loss))
                history["held-out"].append(measure(character_model, parts, LANES))
                progress.epoch(update, history["training"][-1], history["held-out"][-1])
                character_model.save(output)
            if interrupt.pressed:
                return character_model.finished
    return True


def updates(character_model: CharacterModel, x: np.ndarray, y: np.ndarray, resume: bool) -> Iterator[Report]:
    """The training that the options describe."""
    chosen, model = character_model.options, character_model.model
    count = chosen.epochs * math.ceil(x.shape[1] / chosen.chunk)
    rate = schedules.Cosine(chosen.learning_rate, count, min(WARMUP, count // 10))
    return model.training(
        model.backend.asarray(x), model.backend.asarray(y), loss="cross_entropy", optimizer=Adam(rate),
        epochs=chosen.epochs, batch_size=chosen.batch, chunk=chosen.chunk, clip=chosen.clip, resume=resume,
    )  # fmt: skip


def measure(character_model: CharacterModel, parts: texts.Parts, lanes: int = 1) -> float:
    """Bits per character of the held-out text, without dropout: each character is predicted from those before it.

    The first is predicted from the last character of the training text. More than one lane is quicker but a little too
    high: each lane starts anew, somewhere in the text, and up to ``lanes`` characters at the end are left out.
    """
    model = character_model.model
    ids = texts.encode(parts.training[-1:] + parts.held_out, character_model.vocabulary)
    x, y = texts.rows(ids, min(lanes, len(parts.held_out)))
    x, y = model.backend.asarray(x), model.backend.asarray(y)
    return bits(model.evaluate(x, y, loss="cross_entropy", batch_size=lanes, chunk=PIECE)["loss"])


def report(character_model: CharacterModel, parts: texts.Parts, output: str, length: int) -> None:
    """Print what the model is worth beside compressors, a sample, and where things are; draw the learning curve."""
    compressors, chosen = texts.compressed(parts.held_out), character_model.options
    print(comparison(name(chosen), measure(character_model, parts), compressors, len(parts.held_out)))
    if length:
        first = character_model.start
        print(f"\nA sample, after {first!r} at temperature {TEMPERATURE}:\n")
        print("".join(continuation(character_model, "", length, TEMPERATURE, chosen.seed)).strip("\n"))
    print(f"\nmodel           {output}   (xprnn sample {output} --prompt '...' continues a text)")
    if not curve.possible():
        print(curve.MISSING)
        return
    picture = str(Path(output).with_suffix(".png"))
    curve.draw(picture, character_model.history, compressors, f"Character model, {name(chosen)}")
    print(f"learning curve  {picture}")


def comparison(model: str, measured: float, compressors: dict[str, float], characters: int) -> str:
    """A table of bits per character, and by how much the model is lower, or higher, than each compressor."""
    lines = [f"Bits per character of the held-out text, {characters:,} characters:", ""]
    width = max(map(len, (model, *compressors)))
    lines.append(f"  {model:<{width}}  {measured:.3f}")
    for compressor, other in compressors.items():
        change = 100 * (measured / other - 1)
        verdict = f"the model is {abs(change):.1f} % {'lower' if change < 0 else 'higher'}"
        lines.append(f"  {compressor:<{width}}  {other:.3f}   {verdict}")
    lines += ["", "The model has read the other 90 % before; a compressor gets the held-out text alone."]
    return "\n".join(lines)


def name(chosen: Options) -> str:
    """A short name for the network: "gru 256", "lstm 256,128"."""
    sizes = chosen.hidden if len(chosen.hidden) > 1 else chosen.hidden * chosen.layers
    return f"{chosen.cell} {','.join(map(str, sizes))}"


def _fresh(arguments: argparse.Namespace) -> tuple[CharacterModel, str]:
    """A new model for the text that the command line names."""
    chosen = options.fresh(options.given(arguments))
    text = texts.read(chosen.file)
    texts.check(text, chosen.batch)
    return charlm.build(chosen, text, texts.vocabulary(text)), text


def _resumed(arguments: argparse.Namespace) -> tuple[CharacterModel, str]:
    """The model of the run that is to go on, and its text. Raises Problem unless the text is what it was."""
    output = arguments.output
    found = options.given(arguments)
    character_model = charlm.load(output, arguments.backend)
    character_model.options = options.resumed(found, character_model.options, output)
    file = character_model.options.file
    text = texts.read(file)
    if charlm.digest(text) != character_model.digest:
        what = file or "the prose of this Python's help"
        raise Problem(f"{what} is not the text that the run in {output} has learned from")
    return character_model, text


def _header(character_model: CharacterModel, parts: texts.Parts, output: str, resume: bool) -> str:
    """What is about to be done."""
    chosen, model = character_model.options, character_model.model
    count = len(parts.training) + len(parts.held_out)
    learned = sum(math.prod(a.shape) for a in tree.leaves(model.params))
    lines = [
        f"text      {chosen.file or 'the prose of Python help (pydoc_data.topics)'}: {count:,} characters, "
        f"{len(character_model.vocabulary)} different; the last {len(parts.held_out):,} are held out",
        f"model     {name(chosen)}, {learned:,} parameters, {model.backend} in {model.backend.dtype}",
    ]
    if resume and model.run is not None:
        lines.append(f"resuming  {output} {_place(character_model)}")
    return "\n".join(lines)


def _interrupted(character_model: CharacterModel, output: str) -> str:
    """Where the run is saved, and how to go on."""
    named = "" if output == OUTPUT else f" --output {shlex.quote(output)}"
    return (
        f"Interrupted {_place(character_model)}: the run is saved in {output}.\n"
        f"To go on: xprnn train --resume{named}"
    )


def _place(character_model: CharacterModel) -> str:
    """How far the run has come."""
    run = character_model.model.run
    assert run is not None
    epochs = character_model.options.epochs
    return f"after {run.epoch} of {epochs} epochs" + (f" and {run.update} updates" if run.update else "")
