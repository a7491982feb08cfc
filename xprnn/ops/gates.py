"""What cells share: cutting a row into gates, dropping recurrent units, and one bias or two."""

import functools
import operator

from .. import initializers
from ..arrays import device
from ..types import Array, Generator, Namespace, Params

BIASES = ("b", "bx", "bh")


def split(x: Array, parts: int) -> tuple[Array, ...]:
    """Cut the last axis of ``x`` into ``parts`` equal views, two or more."""
    return _cutter(x.shape[-1], parts)(x)


@functools.lru_cache(maxsize=256)  # a step asks for the same one as the step before
def _cutter(width: int, parts: int) -> operator.itemgetter:
    edges = range(0, width, width // parts)
    return operator.itemgetter(*((..., slice(start, start + width // parts)) for start in edges))


def scale_of(xp: Namespace, W: Array, sigmoid: tuple[bool, ...]) -> Array:
    """``scale`` (1, G) for W (n, G), whose blocks of columns are gates: ½ in those with a sigmoid, 1 in the others.

    With z = tanh(scale ⊙ a), scale ⊙ z + (1 - scale) is σ(a) in the gates with a sigmoid, as σ(a) = ½ tanh(½ a) + ½,
    and tanh(a) in the others: one tanh for all, which cannot overflow.
    """
    shape, kind = (1, W.shape[1] // len(sigmoid)), {"dtype": W.dtype, "device": device(W)}
    half, one = xp.full(shape, 0.5, **kind), xp.ones(shape, **kind)
    return xp.concat([half if s else one for s in sigmoid], axis=1)


def half(xp: Namespace, like: Array) -> Array:
    """½ as an array without axes, of the dtype and device of ``like``: faster for NumPy than a Python number."""
    return xp.full((), 0.5, dtype=like.dtype, device=device(like))


def transposed(xp: Namespace, W: Array) -> Array:
    """W.T with its rows one after the other in memory, which makes products with few rows faster."""
    return xp.reshape(xp.reshape(W.T, (-1,)), W.T.shape)


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


def add_biases(p: Params, u: Array, scale: Array | float = 1.0) -> Array:
    """u (N, G), which may be written to, and ``scale`` times the sum of the biases that p has."""
    biases = [p[name] for name in BIASES if name in p]
    if biases:
        u += scale * functools.reduce(operator.add, biases)
    return u


def add_biases_vjp(xp: Namespace, p: Params, du: Array) -> Params:
    """The gradients of the biases that p has: each that of the sum, as an array of its own."""
    names = [name for name in BIASES if name in p]
    db = xp.sum(du, axis=0) if names else None
    return {name: xp.asarray(db, copy=True) if n else db for n, name in enumerate(names)}
