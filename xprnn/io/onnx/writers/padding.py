"""What the padding of sequences asks for where a graph takes their lengths: as our layers have it, so in the file."""

import math

from .draft import NUMBERS, Draft, Value

LENGTHS = "lengths"


def clean(draft: Draft, x: Value, path: str) -> Value:
    """x with 0 in its padding, as a layer that works step by step sees it."""
    if not x.masked or x.zero:
        return x
    zero = draft.constant(0, "int64" if x.ids else None)
    name = draft.add("Where", (real(draft, len(x.shape)), x.name, zero), path)
    return x._replace(name=name, zero=True)


def real(draft: Draft, rank: int) -> str:
    """The mask (B, T, 1, ...) of samples with ``rank`` axes: True where a step is real."""
    length = draft.add("Gather", (draft.add("Shape", ("x",), LENGTHS), draft.constant(1, "int64")), LENGTHS)
    bounds = (draft.constant(0, "int64"), length, draft.constant(1, "int64"))
    steps = draft.add("Unsqueeze", (draft.add("Range", bounds, LENGTHS), draft.integers(0)), LENGTHS)
    ends = draft.add("Unsqueeze", (LENGTHS, draft.integers(1)), LENGTHS)
    mask = draft.add("Less", (steps, ends), LENGTHS)
    more = range(2, rank + 1)
    return draft.add("Unsqueeze", (mask, draft.integers(*more)), LENGTHS) if more else mask


def any_step(draft: Draft) -> str:
    """(B, 1), True in rows that have a step."""
    some = draft.add("Greater", (LENGTHS, draft.constant(0, "int64")), LENGTHS)
    return draft.add("Unsqueeze", (some, draft.integers(1)), LENGTHS)


def without_empty(draft: Draft, name: str, path: str) -> str:
    """(B, D) with 0 in rows without a step."""
    return draft.add("Where", (any_step(draft), name, draft.constant(0)), path)


def count(draft: Draft) -> str:
    """(B, 1), how many steps are real, 1 for none."""
    steps = draft.add("Cast", (LENGTHS,), LENGTHS, {"to": NUMBERS[draft.dtype]})
    least = draft.add("Max", (steps, draft.constant(1)), LENGTHS)
    return draft.add("Unsqueeze", (least, draft.integers(1)), LENGTHS)


def without_padding(draft: Draft, x: Value, path: str) -> str:
    """x (B, T, D) with -∞ in its padding, which no maximum takes."""
    if not x.masked:
        return x.name
    return draft.add("Where", (real(draft, len(x.shape)), x.name, draft.constant(-math.inf)), path)
