"""What gated cells share: cutting a row into gates, and dropping recurrent units."""

from ..types import Array, Params


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
