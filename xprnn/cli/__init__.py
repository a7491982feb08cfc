"""The command ``xprnn``."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from .. import __version__
from ..backend import BackendError
from . import backends, convert, inspect, predict, sample, train
from .problem import Problem

__all__ = ["main"]

COMMANDS = {
    "train": (train, "train a character language model on a text, and print a sample"),
    "sample": (sample, "continue a text with a trained model"),
    "convert": (convert, "write a model's file in another format"),
    "inspect": (inspect, "show what is in a model's file"),
    "predict": (predict, "run a model on the samples in a .npy file"),
    "backends": (backends, "which array libraries can be used here, and what would fix the others"),
}


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} ({self.prog} --help lists all)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` -> 0, 2 for what the user can put right (said in one line), 130 after Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a sample may hold what this terminal has no letters for
            stream.reconfigure(errors="replace")
    try:
        arguments = parser().parse_args(argv)
        if arguments.command is None:
            parser().print_help()
            return 0
        return COMMANDS[arguments.command][0].run(arguments)
    except SystemExit as exit:  # argparse, after --help or an error
        return int(exit.code or 0)
    except (Problem, BackendError) as error:
        text = str(error).replace("\nTo fix it:", "; to fix it:")
        print(f"xprnn: {' '.join(text.split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("xprnn: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who was reading has gone; Python would complain once more when it flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def parser() -> Parser:
    """The parser of all commands."""
    top = Parser(prog="xprnn", description="Recurrent neural networks on any array library.")
    top.add_argument("--version", action="version", version=f"xprnn {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        module.add(commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + "."))
    return top
