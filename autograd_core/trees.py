"""Nested containers of arrays: take the arrays out, and put others in their places.

A tree is an array (or number, or tensor), or a tuple, named tuple, list, dict or dataclass of trees. None is an empty tree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["axes_of_leaves", "children", "flatten", "paths", "tree_map"]


def children(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]] | None:
    """The parts of a container and how to build one like it; None for a leaf."""
    if hasattr(type(tree), "__array_ufunc__") or type(tree) is float:
        return None  # nearly all leaves, told at once
    if tree is None:
        return [], lambda _: None
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return list(tree), lambda parts: type(tree)(*parts)
    if isinstance(tree, tuple | list):
        return list(tree), lambda parts: type(tree)(parts)
    if isinstance(tree, dict):
        return list(tree.values()), lambda parts: type(tree)(zip(tree, parts, strict=True))
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = [field.name for field in dataclasses.fields(tree)]
        return [getattr(tree, n) for n in names], lambda parts: dataclasses.replace(tree, **dict(zip(names, parts, strict=True)))
    return None


def flatten(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves of `tree` in order, and a function that builds the same containers around other leaves.

    >>> leaves, rebuild = flatten({"a": 1.0, "b": (2.0, [3.0])})
    >>> leaves, rebuild([10, 20, 30])
    ([1.0, 2.0, 3.0], {'a': 10, 'b': (20, [30])})
    """
    found = children(tree)
    if found is None:
        return [tree], lambda leaves: leaves[0]
    parts, build = found
    flat = [flatten(part) for part in parts]

    def rebuild(leaves: list[Any]) -> Any:
        rest = iter(leaves)
        return build([inner([next(rest) for _ in range(len(own))]) for own, inner in flat])

    return [leaf for own, _ in flat for leaf in own], rebuild


def paths(tree: Any, name: str = "") -> Iterator[str]:
    """What to call each leaf of `tree` in a message, in the order of `flatten`.

    >>> list(paths({"a": 1.0, "b": (2.0,)}, "params"))
    ["params['a']", "params['b'][0]"]
    """
    found = children(tree)
    if found is None:
        yield name
        return
    parts, _ = found
    if isinstance(tree, dict):
        keys = [f"[{key!r}]" for key in tree]
    elif dataclasses.is_dataclass(tree):
        keys = [f".{field.name}" for field in dataclasses.fields(tree)]
    else:
        keys = [f"[{i}]" for i in range(len(parts))]
    for key, part in zip(keys, parts, strict=True):
        yield from paths(part, name + key)


def axes_of_leaves(tree: Any, axes: Any, what: str) -> list[Any]:
    """For each leaf of `tree` its entry of `axes`: a number or None for all of the tree, or a container like it with entries.

    >>> axes_of_leaves({"a": 1.0, "b": (2.0, 3.0)}, {"a": 0, "b": 1}, "in_axes")
    [0, 1, 1]
    """
    if axes is None or isinstance(axes, int):
        return [axes] * len(flatten(tree)[0])
    parts, entries = children(tree), children(axes)
    if parts is None or entries is None or type(tree) is not type(axes) or len(parts[0]) != len(entries[0]):
        raise ValueError(f"{what}: an entry must be a number, None, or a container like the value; got {axes!r} for a {type(tree).__name__}")
    if isinstance(tree, dict) and tree.keys() != axes.keys():
        raise ValueError(f"{what}: keys {sorted(map(str, axes))} for a value with keys {sorted(map(str, tree))}")
    order = entries[0] if not isinstance(tree, dict) else [axes[key] for key in tree]
    return [axis for part, entry in zip(parts[0], order, strict=True) for axis in axes_of_leaves(part, entry, what)]


def tree_map(function: Callable[..., Any], *trees: Any) -> Any:
    """`function` of the leaves in the same places of `trees`, in containers like those of the first.

    >>> tree_map(lambda a, b: a + b, {"a": 1, "b": (2,)}, {"a": 10, "b": (20,)})
    {'a': 11, 'b': (22,)}
    """
    flat, rebuild = flatten(trees[0])
    others = [flatten(tree)[0] for tree in trees[1:]]
    if any(len(other) != len(flat) for other in others):
        raise ValueError(f"tree_map: trees of {[len(flat), *map(len, others)]} leaves do not have the same structure")
    return rebuild([function(*leaves) for leaves in zip(flat, *others, strict=True)])
