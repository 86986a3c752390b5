"""The tape's nodes: each remembers how one value was made.

A `Node` knows its operation's plan, its parents' nodes and the few values that the rules will need. It never points to a
tensor, so a graph has no cycles and dies by reference counting. Nodes are numbered as they are made; a parent is always
older than its children, so "youngest first" is a topological order and needs no recursion.
"""

from __future__ import annotations

import itertools
import operator
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from autograd_core.table import Op, Plan

__all__ = ["Leaf", "Node", "Watchers", "interned_shape", "make_leaf", "make_node", "next_number", "program_order", "watch"]

next_number = itertools.count().__next__
by_number = operator.attrgetter("number")

# Equal shapes are one object: the sweep then tells with `is` that nothing was broadcast, and a node costs one object less.
_shapes: dict[tuple[int, ...], tuple[int, ...]] = {}
interned_shape = _shapes.setdefault


class Node:
    """One recorded operation.

    plan      its op and pattern of tracked arguments (table.py)
    links     the parents' nodes, then the saved values, as the plan lays them out
    shape, dtype   of the result
    number    when it was made; parents have smaller numbers
    gradient  used by a running sweep only, else None
    """

    __slots__ = ("dtype", "gradient", "links", "number", "plan", "shape")

    plan: Plan
    links: tuple[Any, ...]
    shape: Any
    dtype: Any
    number: int
    gradient: Any

    @property
    def op(self) -> Op:
        return self.plan.op

    @property
    def parents(self) -> tuple[Node, ...]:
        """Nodes of the tracked arguments."""
        return self.links[: self.plan.arity]

    @property
    def saved(self) -> tuple[Any, ...]:
        """The values that the rules need, kept until the backward pass."""
        return self.links[self.plan.arity :]

    @property
    def watchers(self) -> Watchers | None:
        """Hooks and retained gradients; see `watch`."""
        return self.plan.watchers  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size

    def __repr__(self) -> str:
        return f"<node {self.number} {self.op.name} {self.shape} {self.dtype}>"

    def __reduce__(self) -> Any:
        raise TypeError("nodes of a tape cannot be pickled; pickle the tensor (its value), or ag.tape(t) as text")


class Leaf(Node):
    """Where a gradient ends: the node of a tensor that was not computed. It knows that tensor weakly."""

    __slots__ = ("tensor",)

    tensor: Callable[[], Any]


_leaf_plan = Plan(Op(lambda: None, name="leaf", signature=""), ())


def make_node(plan: Plan, links: tuple[Any, ...], data: Any) -> Node:
    """The node of an operation with the result `data`. (The operators' hot path has this written out.)"""
    node = Node()
    node.plan = plan
    node.links = links
    if len(_shapes) > 10_000:
        _shapes.clear()  # sharing is lost for old shapes, which only costs time
    shape = data.shape
    node.shape = interned_shape(shape, shape)
    node.dtype = data.dtype
    node.number = next_number()
    node.gradient = None
    return node


def make_leaf(tensor: Any, shape: tuple[int, ...], dtype: Any) -> Leaf:
    """The node of a tensor that the user made."""
    leaf = Leaf()
    leaf.plan = _leaf_plan
    leaf.links = ()
    leaf.shape = interned_shape(shape, shape)
    leaf.dtype = dtype
    leaf.number = next_number()
    leaf.gradient = None
    leaf.tensor = weakref.ref(tensor)
    return leaf


class Watchers:
    """What wants to see a node's gradient: hooks, which may replace it, and a tensor that retains it."""

    __slots__ = ("hooks", "retained_by")

    def __init__(self) -> None:
        self.hooks: dict[int, Callable[[Any], Any]] = {}
        self.retained_by: Callable[[], Any] | None = None


def watch(node: Node) -> Watchers:
    """The watchers of `node`, who are called when its gradient is known. They live in a plan of the node's own, so that
    a node that nobody watches (nearly all) has neither a slot nor a question for them."""
    if node.plan.watchers is None:
        own, freed = node.plan.copy(), node.plan.freed.copy()
        own.watchers = freed.watchers = Watchers()
        own.freed = freed  # (and freed.freed is the shared one: pointing to itself it would be a cycle)
        own.special = True
        node.plan = freed if node.plan.is_freed else own
    watchers: Watchers = node.plan.watchers
    return watchers


def program_order(roots: Iterable[Node]) -> tuple[list[Node], list[Leaf]]:
    """The operations that `roots` depend on, youngest first, and the leaves; iteratively and in linear time."""
    stack = list(roots)
    seen = set(stack)
    operations: list[Node] = []
    leaves: list[Any] = []
    while stack:
        node = stack.pop()
        arity = node.plan.arity
        (operations if arity else leaves).append(node)
        for parent in node.links[:arity]:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    operations.sort(key=by_number, reverse=True)
    return operations, leaves
