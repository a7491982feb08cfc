"""The attributes of a node as the keywords of its function."""

import inspect
from typing import Any

import numpy as np

from ...backend import BackendError
from ...types import Namespace
from .graph import Node, shown
from .operators import Operator
from .tensors import kind

# What a Constant node may hold, and the dtype of what is no array already.
CONSTANTS = {
    "value": None, "value_float": "float32", "value_floats": "float32", "value_int": "int64", "value_ints": "int64",
}  # fmt: skip


def keywords(node: Node, operator: Operator, xp: Namespace, floats: dict[str, str]) -> dict[str, Any]:
    """What to call the operator's function with beside its inputs, for arrays of the library xp.

    floats says in which dtype each of a file's float dtypes is. Raises ValueError for attributes that are not known.
    """
    given = dict(node.attributes)
    if node.op == "Constant":
        given = {"value": _constant(given)}
    elif node.op == "ConstantOfShape":
        given = {"value": np.zeros(1, np.float32)} | given
    known = inspect.signature(operator.function).parameters
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"its attribute {shown(name)} is not known")
        if name in operator.only and value != operator.only[name]:
            raise ValueError(f"its {name} is {shown(str(value))}; known is {operator.only[name]!r} alone")
        if isinstance(value, np.ndarray):
            given[name] = value.astype(floats.get(value.dtype.name, value.dtype.name), copy=False)
    if "to" in given:
        to = kind(given["to"]).dtype
        given["to"] = dtype(xp, floats.get(to, to))
    return given | ({"outputs": len(node.outputs)} if "outputs" in known else {})


def dtype(xp: Namespace, name: str) -> Any:
    """A dtype of the library by NumPy's name; a whole number of 64 bits has 32 where there are no others (JAX)."""
    known = xp.__array_namespace_info__().dtypes()
    narrow = name.replace("int64", "int32")
    if name not in known and narrow not in known:
        fix = "give dtype='float32'" if name == "float64" else "use another backend"
        raise BackendError(f"the file computes in {name}, which {xp.__name__} has not", fix)
    return known[name if name in known else narrow]


def _constant(attributes: dict[str, Any]) -> np.ndarray:
    """What a Constant node holds."""
    if len(attributes) != 1 or not attributes.keys() <= CONSTANTS.keys():
        raise ValueError(f"it holds {shown(', '.join(attributes))}, and not one of {', '.join(CONSTANTS)}")
    ((name, value),) = attributes.items()
    return np.asarray(value, CONSTANTS[name])
