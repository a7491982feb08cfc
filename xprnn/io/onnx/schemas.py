"""What ONNX's own tables say of an operator: how many inputs and outputs it has, which attributes of which types."""

from typing import Any

import numpy as np

from .graph import Node, shown
from .package import package

# ONNX's names for the types of attributes, and what Python has for them.
_ONE: dict[str, type | tuple[type, ...]] = {"FLOAT": (float, int), "INT": int, "STRING": str, "TENSOR": np.ndarray}


def check(node: Node, opset: int) -> None:
    """Raise ValueError if the operator, where ONNX has it in ``opset``, cannot have what the node gives it."""
    onnx = package()
    try:
        schema = onnx.defs.get_schema(node.op, opset, "")
    except onnx.defs.SchemaError:
        return  # whether an operator is known is asked where it shall run
    for what, names, least, most in (
        ("inputs", node.inputs, schema.min_input, schema.max_input),
        ("outputs", node.outputs, schema.min_output, schema.max_output),
    ):
        if not least <= len(names) <= most:
            raise ValueError(f"it has {len(names)} {what}, and takes {least if least == most else f'{least} or more'}")
    for name, formal in zip(node.inputs, schema.inputs, strict=False):
        if not name and formal.option == onnx.defs.OpSchema.FormalParameterOption.Single:
            raise ValueError(f"its input {formal.name} is left out")
    _check_attributes(node.attributes, schema.attributes)


def _check_attributes(given: dict[str, Any], known: Any) -> None:
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"it has no attribute {shown(name)}")
        kind = known[name].type.name
        if kind.endswith("S"):
            right = isinstance(value, tuple) and all(isinstance(one, _ONE.get(kind[:-1], ())) for one in value)
        else:
            right = isinstance(value, _ONE.get(kind, ()))
        if not right:
            raise ValueError(f"its attribute {shown(name)} is of another type than {kind}")
    for name, attribute in known.items():
        if attribute.required and name not in given:
            raise ValueError(f"its attribute {shown(name)} is missing")
