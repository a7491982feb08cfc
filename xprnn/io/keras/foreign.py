"""The description of a model as Keras writes it: what it names is looked up in a table, and never imported or run."""

from typing import Any

DEPTH = 64  # lists and dicts in one another; Keras's own go to about twelve


def refuse_foreign(config: Any) -> None:
    """Raise ValueError for whatever a description names that is not Keras's own, wherever it stands in it."""
    waiting = [(config, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEPTH:
            raise ValueError(f"the description is nested more than {DEPTH} deep")
        if isinstance(item, dict):
            _look(item)
        if isinstance(item, (dict, list, tuple)):
            waiting += [(inner, depth + 1) for inner in (item.values() if isinstance(item, dict) else item)]


def _look(item: dict[str, Any]) -> None:
    """Raise ValueError if ``item`` names a class or a function of someone else's."""
    kind, module, registered = (item.get(key) for key in ("class_name", "module", "registered_name"))
    named = repr(item.get("config") if kind == "function" else kind)
    if kind in ("Lambda", "__lambda__"):
        raise ValueError("it has a Lambda, which is code, and code in a file is never run")
    own = module == "keras" or (isinstance(module, str) and module.startswith("keras."))
    if ("module" in item and not own) or registered not in (None, kind):
        raise ValueError(f"it has the custom object {named} of {module!r} ({registered!r}), which only its maker knows")
