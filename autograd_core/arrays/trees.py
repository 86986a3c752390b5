"""Nested containers of arrays: take the arrays out, and put others in their places.

A tree is an array (or number, or tensor), or a tuple, named tuple, list, dict or dataclass of trees. None is an empty tree.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.layers import sequence_like

__all__ = ["axes_of_leaves", "children", "flatten", "leaves_like", "paths", "tree_map"]


def children(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any]] | None:
    """The parts of a container and how to build one like it; None for a leaf."""
    if hasattr(type(tree), "__array_ufunc__") or type(tree) is float:
        return None  # nearly all leaves, told at once
    if tree is None:
        return [], lambda _: None
    if isinstance(tree, tuple | list):
        return list(tree), lambda parts: sequence_like(tree, parts)
    if isinstance(tree, dict):
        return list(tree.values()), lambda parts: _with_items(tree, parts)
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return [getattr(tree, name) for name in _keys(tree)], lambda parts: _with_fields(tree, parts)
    return None


def _with_items(tree: dict[Any, Any], parts: list[Any]) -> dict[Any, Any]:
    if type(tree) is dict:
        return dict(zip(tree, parts, strict=True))
    new = copy.copy(tree)  # a defaultdict or Counter cannot be made of pairs
    for key, part in zip(tree, parts, strict=True):
        new[key] = part
    return new


def _with_fields(tree: Any, parts: list[Any]) -> Any:
    new = copy.copy(tree)  # not by dataclasses.replace: __post_init__ has seen these values already
    for name, part in zip(_keys(tree), parts, strict=True):
        object.__setattr__(new, name, part)
    return new


def _keys(tree: Any) -> Sequence[Any]:
    """What tells the parts of a container apart."""
    if isinstance(tree, tuple | list):
        return range(len(tree))
    if isinstance(tree, dict):
        return list(tree)
    return [] if tree is None else [field.name for field in dataclasses.fields(tree)]


def leaves_like(tree: Any, reference: Any, what: str) -> list[Any]:
    """The leaves of `tree`, a container with the structure of `reference`, in the order in which `flatten` takes those of `reference`.

    >>> leaves_like({"b": 2.0, "a": 1.0}, {"a": 10.0, "b": 20.0}, "jvp: tangents")
    [1.0, 2.0]
    """
    found, wanted = children(tree), children(reference)
    if wanted is None and found is None:
        return [tree]
    if wanted is None or found is None or set(_keys(tree)) != set(_keys(reference)):
        raise ValueError(f"{what}: {_structure(tree)} in the place of {_structure(reference)}")
    parts = found[0]
    if not isinstance(tree, tuple | list):
        named = dict(zip(_keys(tree), parts, strict=True))
        parts = [named[key] for key in _keys(reference)]
    return [leaf for part, other in zip(parts, wanted[0], strict=True) for leaf in leaves_like(part, other, what)]


def _structure(tree: Any) -> str:
    found, name = children(tree), type(tree).__name__
    if found is None:
        return f"one {name}"
    if isinstance(tree, dict) or dataclasses.is_dataclass(tree):
        return f"a {name} of {', '.join(map(repr, _keys(tree))) or 'nothing'}"
    return f"a {name} of {len(found[0])}"


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
    for key, part in zip(_keys(tree), parts, strict=True):
        yield from paths(part, name + (f".{key}" if dataclasses.is_dataclass(tree) else f"[{key!r}]"))


def axes_of_leaves(tree: Any, axes: Any, what: str) -> list[Any]:
    """For each leaf of `tree` its entry of `axes`: a number or None for all of the tree, or a container like it with entries.

    >>> axes_of_leaves({"a": 1.0, "b": (2.0, 3.0)}, {"a": 0, "b": 1}, "in_axes")
    [0, 1, 1]
    """
    if axes is None or (isinstance(axes, int | np.integer) and not isinstance(axes, bool)):
        return [axes if axes is None else int(axes)] * len(flatten(tree)[0])
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
    others = [leaves_like(tree, trees[0], "tree_map: trees of different structures") for tree in trees[1:]]
    return rebuild([function(*leaves) for leaves in zip(flat, *others, strict=True)])
