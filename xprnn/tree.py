"""Trees: nested dicts and tuples of arrays. Parameters are dicts, states are tuples; None holds no leaf."""

import operator
from collections.abc import Callable
from typing import Any

from .arrays import namespace


def map(f: Callable, *trees: Any) -> Any:  # the field's name for it
    """Apply ``f`` to the leaves that stand at the same place of all ``trees``, which have one structure."""
    first = trees[0]
    if isinstance(first, dict):
        return {name: map(f, *[tree[name] for tree in trees]) for name in first}
    if isinstance(first, tuple):
        return tuple([map(f, *branches) for branches in zip(*trees, strict=True)])
    return None if first is None else f(*trees)


def leaves(tree: Any) -> list:
    """The leaves of ``tree`` from left to right."""
    return list(flatten(tree).values())


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Name each leaf by its path: {"a": {"b": (x, y)}} becomes {"a.b.0": x, "a.b.1": y}."""
    if tree is None:
        return {}
    if isinstance(tree, tuple):
        tree = {str(index): branch for index, branch in enumerate(tree)}
    if not isinstance(tree, dict):
        return {prefix: tree}
    flat: dict[str, Any] = {}
    for name, branch in tree.items():
        flat.update(flatten(branch, f"{prefix}.{name}" if prefix else str(name)))
    return flat


def unflatten(flat: dict[str, Any]) -> dict[str, Any]:
    """Nested dicts from path names, the inverse of ``flatten`` for trees of dicts."""
    tree: dict[str, Any] = {}
    for path, leaf in flat.items():
        *branches, name = path.split(".")
        node = tree
        for branch in branches:
            node = node.setdefault(branch, {})
        node[name] = leaf
    return tree


def fill(like: Any, flat: dict[str, Any], prefix: str = "") -> Any:
    """A tree of the structure of ``like`` with the leaves of ``flat``: the inverse of ``flatten`` for any tree."""
    paths = iter(flatten(like, prefix))
    return map(lambda _: flat[next(paths)], like)


def add(total: Any, more: Any) -> Any:
    """The sum of ``more`` and ``total``, written over ``total`` where arrays can be written to.

    Of nothing, which is None, and ``more`` it is a copy: what is added up later may be one array in two places.
    """
    if total is None:
        return map(lambda a: namespace(a).asarray(a, copy=True), more)
    return map(operator.iadd, total, more)
