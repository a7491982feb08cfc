"""What cells share: cutting a row into gates, dropping recurrent units, and one bias or two."""

import functools
import operator

from .. import initializers
from ..types import Array, Generator, Namespace, Params

BIASES = ("b", "bx", "bh")


def split(x: Array, parts: int) -> tuple[Array, ...]:
    """Cut the last axis of ``x`` into ``parts`` equal views."""
    width = x.shape[-1] // parts
    return tuple(x[..., n * width : (n + 1) * width] for n in range(parts))


def drop(p: Params, h: Array) -> Array:
    """The output as the recurrent weights see it: h ⊙ keep, where p carries recurrent dropout's multipliers.

    p["keep"] has h's shape, holds 0 or 1 / (1 - rate), and stays the same for all steps of a sequence (Gal and
    Ghahramani, 2016). It is no parameter: there is no gradient for it. ``drop`` is its own reverse.
    """
    return h * p["keep"] if "keep" in p else h


def init_biases(rng: Generator, width: int, bias: bool, double: bool) -> Params:
    """A cell's biases, zeros: "b", or where there are two of which only the sum counts "bx" and "bh", or none."""
    if double and not bias:
        raise ValueError("double_bias=True means two biases, bias=False none")
    names = (("bx", "bh") if double else ("b",)) if bias else ()
    return {name: initializers.zeros(rng, (width,)) for name in names}


def add_biases(p: Params, u: Array) -> Array:
    """u (N, G) and the biases that p has, first added to each other: u is large."""
    biases = [p[name] for name in BIASES if name in p]
    return u + functools.reduce(operator.add, biases) if biases else u


def add_biases_vjp(xp: Namespace, p: Params, du: Array) -> Params:
    """The gradients of the biases that p has: each that of the sum, as an array of its own."""
    names = [name for name in BIASES if name in p]
    db = xp.sum(du, axis=0) if names else None
    return {name: xp.asarray(db, copy=True) if n else db for n, name in enumerate(names)}
