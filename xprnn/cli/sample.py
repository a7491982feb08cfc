"""``xprnn sample``: a text, continued character by character."""

import argparse
import sys
from collections.abc import Iterator

import numpy as np

from ..random import Key
from . import charlm, options
from .charlm import CharacterModel
from .problem import Problem
from .text import encode
from .threads import limited

TEMPERATURE = 0.7


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``xprnn sample``."""
    parser.add_argument("model", metavar="MODEL", help="what xprnn train has saved")
    parser.add_argument("--prompt", default="", help="the text to continue (default: the beginning of a line)")
    parser.add_argument("--length", type=options.count, default=300, help="characters to add (default: %(default)s)")
    parser.add_argument(
        "--temperature", type=options.temperature, default=TEMPERATURE,
        help="above 1 bolder, below 1 safer, 0 always the likeliest character (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--backend", help="where to compute (default: where the model was trained)")
    parser.add_argument("--seed", type=options.seed, default=0, help="another one, another text (default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Print the prompt and its continuation as it comes about."""
    character_model = charlm.load(arguments.model, arguments.backend)
    characters = continuation(
        character_model, arguments.prompt, arguments.length, arguments.temperature, arguments.seed
    )
    with limited(None):
        first = next(characters, "")
        if not arguments.prompt:
            print(f"no --prompt: the text begins after {character_model.start!r}", file=sys.stderr)
        print(arguments.prompt + first, end="", flush=True)
        for character in characters:
            print(character, end="", flush=True)
    print()
    return 0


def continuation(
    character_model: CharacterModel, prompt: str, length: int, temperature: float, seed: int
) -> Iterator[str]:
    """``length`` characters that go on from ``prompt``; the same seed gives the same ones on every backend.

    Each is drawn from softmax(logits / temperature), computed on the host in float64; at 0 it is the likeliest.
    Raises Problem for a prompt of characters that the model does not know, and if the model gives no numbers.
    """
    model, vocabulary = character_model.model, character_model.vocabulary
    ids = encode(prompt or character_model.start, vocabulary)
    stream, rng = model.stream(), Key(seed).fold("sample").generator()
    for id in ids[:-1]:
        stream(model.backend.asarray(id.reshape(())))
    last = ids[-1]
    for _ in range(length):
        logits = model.backend.to_numpy(stream(model.backend.asarray(last.reshape(()))))
        last = np.asarray(choose(logits.astype(np.float64), temperature, rng.random()), dtype=np.int32)
        yield vocabulary[int(last)]


def choose(logits: np.ndarray, temperature: float, u: float) -> int:
    """The class at which the distribution function of softmax(logits / temperature) passes u, 0 ≤ u < 1.

    Raises Problem if there is a logit that is not finite.
    """
    if not np.isfinite(logits).all():
        raise Problem("the model gives NaN or infinity: its training has diverged, try a lower --learning-rate")
    if temperature == 0:
        return int(logits.argmax())
    with np.errstate(over="ignore"):  # a tiny temperature: exp(−inf) is the 0 that it should be
        total = np.cumsum(np.exp((logits - logits.max()) / temperature))
    return min(int(np.searchsorted(total, u * total[-1], side="right")), len(total) - 1)
