"""ONNX's operators as plain functions on arrays of any library, found by their names."""

from . import activations, constants, elementwise, indexing, layers, pooling, reductions, shapes
from .base import Operator

__all__ = ["OPERATORS", "Operator", "find"]

OPERATORS: dict[str, Operator] = {
    **activations.TABLE, **constants.TABLE, **elementwise.TABLE, **indexing.TABLE, **layers.TABLE, **pooling.TABLE,
    **reductions.TABLE, **shapes.TABLE,
}  # fmt: skip


def find(op: str, opset: int) -> Operator | None:
    """The operator of this name in this version of ONNX, None if it is not known."""
    if opset < 13 and op in layers.BEFORE_13:
        return layers.BEFORE_13[op]
    return OPERATORS.get(op)
