"""The description of a model in a .keras file, JSON that nobody has to trust; what it names is looked up, never run."""

import json
import math
from typing import Any

DEPTH = 64  # lists and dicts in one another; Keras's own go to about twelve


def parsed(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in ``data``. ValueError for keys twice, NaN and infinities, or nesting beyond all use."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key is there twice")
        return found

    def finite(text: str) -> float:
        if not math.isfinite(float(text)):
            raise ValueError(f"the number {text} is none that JSON has")
        return float(text)

    try:
        found = json.loads(data, object_pairs_hook=unique, parse_float=finite, parse_constant=finite)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {what} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"its {what} is a {type(found).__name__}, wanted is an object")
    return found


def refuse_foreign(config: Any) -> None:
    """Raise ValueError for whatever a description names that is not Keras's own, wherever it stands in it."""
    todo = [(config, 0)]
    while todo:
        item, depth = todo.pop()
        if depth > DEPTH:
            raise ValueError(f"the description is nested more than {DEPTH} deep")
        if isinstance(item, dict):
            _look(item)
        if isinstance(item, (dict, list, tuple)):
            todo += [(inner, depth + 1) for inner in (item.values() if isinstance(item, dict) else item)]


def _look(item: dict[str, Any]) -> None:
    """Raise ValueError if ``item`` names a class or a function of someone else's."""
    kind, module, registered = (item.get(key) for key in ("class_name", "module", "registered_name"))
    named = repr(item.get("config") if kind == "function" else kind)
    if kind in ("Lambda", "__lambda__"):
        raise ValueError("it has a Lambda, which is code, and code in a file is never run")
    own = module == "keras" or (isinstance(module, str) and module.startswith("keras."))
    if ("module" in item and not own) or registered not in (None, kind):
        raise ValueError(f"it has the custom object {named} of {module!r} ({registered!r}), which only its maker knows")
