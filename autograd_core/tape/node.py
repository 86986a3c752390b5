"""The tape's nodes: each remembers how one value was made.

A `Node` knows its operation's plan, its parents' nodes and the few values that the rules will need. It never points to a
tensor, so a graph has no cycles and dies by reference counting. Nodes are numbered as they are made; a parent is always
older than its children, so "youngest first" is a topological order and needs no recursion.
"""

from __future__ import annotations

import itertools
import operator
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from autograd_core.tape.collector import Watch
from autograd_core.tape.op import Op
from autograd_core.tape.plan import NO_PARENT, ONE_PARENT, TWO_PARENTS, Like, Plan

__all__ = [
    "FLOAT64_SCALAR",
    "Leaf",
    "Node",
    "Watchers",
    "back_to",
    "like_of",
    "look_at",
    "make_leaf",
    "make_node",
    "map_began",
    "next_number",
    "program_order",
    "watch",
    "watch_collector",
    "watched_collector",
]

next_number = itertools.count().__next__

# When the innermost map (ag.vmap) began to evaluate its function, as a number of nodes: what is older is the same for all its elements.
map_began: ContextVar[int] = ContextVar("autograd_core_map_began", default=0)
by_number = operator.attrgetter("number")

_likes: dict[Any, Like] = {}
MOST_LIKES = 1000  # what stays in the processor's cache: with ever new shapes a larger table is slower, not quicker


def like_of(data: Any) -> Like:
    """Shape and dtype of `data`, as one object for all equal ones: the sweep then tells with `is` that nothing was broadcast."""
    key = (data.shape, data.dtype)
    like = _likes.get(key)
    if like is None:
        if data.dtype.hasobject:
            raise TypeError("a tensor holds numbers (bool, int, float or complex), not Python objects; convert the array with a.astype(float)")
        if len(_likes) >= MOST_LIKES:
            _likes.clear()  # sharing is lost for old shapes, which only costs time
        like = _likes[key] = Like(*key)
    return like


# NumPy scalars take ten times as long as arrays to tell their shape and dtype, and these are most of them.
FLOAT64_SCALAR = like_of(np.float64(0))


class Node:
    """One recorded operation.

    plan      its op and pattern of tracked arguments (plan.py)
    like      shape and dtype of the result
    number    when it was made; parents have smaller numbers
    gradient  used by a running sweep only, else None
    first, second              the parents' nodes, where the plan is compact
    saved_first, saved_second  what the rules will need, likewise
    rest      where it is not compact: the parents' nodes, then the saved values

    Slots that a plan does not use are never set; read them through `parents`, `saved` and `links`.
    """

    __slots__ = ("first", "gradient", "like", "number", "plan", "rest", "saved_first", "saved_second", "second")

    plan: Plan
    like: Like
    number: int
    gradient: Any
    first: Node
    second: Node
    saved_first: Any
    saved_second: Any
    rest: tuple[Any, ...]

    @property
    def op(self) -> Op:
        return self.plan.op

    @property
    def shape(self) -> Any:
        return self.like.shape

    @property
    def dtype(self) -> Any:
        return self.like.dtype

    @property
    def ndim(self) -> int:
        return self.like.ndim

    @property
    def size(self) -> int:
        return self.like.size

    @property
    def parents(self) -> tuple[Node, ...]:
        """Nodes of the tracked arguments."""
        walk = self.plan.walk
        if walk == ONE_PARENT:
            return (self.first,)
        if walk == TWO_PARENTS:
            return (self.first, self.second)
        return () if walk == NO_PARENT else self.rest[: self.plan.arity]

    @property
    def saved(self) -> tuple[Any, ...]:
        """The values that the rules need, kept until the backward pass."""
        plan = self.plan
        if not plan.compact:
            return self.rest[plan.arity :]
        return () if not plan.saves else (self.saved_first,) if len(plan.saves) == 1 else (self.saved_first, self.saved_second)

    @property
    def links(self) -> tuple[Any, ...]:
        """The parents' nodes, then the saved values."""
        return self.plan.links_of(self)

    def free(self) -> None:
        """Forget the saved values; the structure stays, for listings and pictures."""
        plan = self.plan
        if not plan.compact:
            self.rest = self.rest[: plan.arity]
        elif plan.keeps:
            self.saved_first = self.saved_second = None
        self.plan = plan.freed or plan

    @property
    def watchers(self) -> Watchers | None:
        """Hooks and retained gradients; see `watch`."""
        return self.plan.watchers

    def __repr__(self) -> str:
        return f"<node {self.number} {self.op.name} {self.shape} {self.dtype}>"

    def __reduce__(self) -> Any:
        raise TypeError("nodes of a tape cannot be pickled; pickle the tensor (its value), or ag.tape(t) as text")


watched_collector = Watch(lambda value: type(value) is Node)
watch_collector = watched_collector.look
look_at = watched_collector.look_at


class Leaf(Node):
    """Where a gradient ends: the node of a tensor that was not computed. It knows that tensor weakly."""

    __slots__ = ("tensor",)

    tensor: Callable[[], Any]


_leaf_plan = Plan(Op(lambda: None, name="leaf", signature=""), ())


def make_node(plan: Plan, parents: Sequence[Node], saved: Sequence[Any], data: Any) -> Node:
    """The node of an operation with the result `data`. (The operators' hot path has this written out.)."""
    node = Node()
    node.plan = plan
    if plan.compact:
        node.first = parents[0]
        if plan.arity == 2:
            node.second = parents[1]
        if saved:
            node.saved_first = saved[0]
            if len(saved) == 2:
                node.saved_second = saved[1]
    else:
        node.rest = (*parents, *saved)
    node.like = like_of(data)
    number = node.number = next_number()
    node.gradient = None
    if number > look_at[0]:
        watch_collector(number)
    return node


def make_leaf(tensor: Any, data: Any) -> Leaf:
    """The node of a tensor that the user made, with the array `data`."""
    leaf = Leaf()
    leaf.plan = _leaf_plan
    leaf.like = like_of(data)
    leaf.number = next_number()
    leaf.gradient = None
    leaf.tensor = weakref.ref(tensor)
    return leaf


class Watchers:
    """What wants to see a node's gradient: hooks, which may replace it, a tensor that retains it, and hooks after a leaf has it."""

    __slots__ = ("after", "hooks", "retained_by")

    def __init__(self) -> None:
        self.hooks: dict[int, Callable[[Any], Any]] = {}
        self.after: dict[int, Callable[[Any], Any]] = {}
        self.retained_by: Callable[[], Any] | None = None


def watch(node: Node) -> Watchers:
    """The watchers of `node`, who are called when its gradient is known. They live in a plan of the node's own, so that
    a node that nobody watches (nearly all) has neither a slot nor a question for them."""
    if node.plan.watchers is None:
        node.plan = node.plan.changed(watchers=Watchers(), special=True)
    watchers: Watchers = node.plan.watchers
    return watchers


def back_to(start: int, nodes: Iterable[Node], own: Iterable[Node] = ()) -> tuple[list[Node], list[Node]]:
    """What `nodes` depend on: the nodes older than `start` that are reached first, and all younger ones.

    own : nodes that are in neither, and beyond which nothing is looked for
    """
    seen = set(own)
    stack = [node for node in nodes if node not in seen]
    older: list[Node] = []
    younger: list[Node] = []
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.number < start:
            older.append(node)
        else:
            younger.append(node)
            stack.extend(node.parents)
    return older, younger


def program_order(roots: Iterable[Node], ends: Collection[Node] = (), since: int = 0) -> tuple[list[Node], list[Any]]:
    """The operations that `roots` depend on, youngest first, and the leaves; iteratively and in linear time.

    ends  : nodes that are taken for leaves
    since : nodes with smaller numbers are left out: a loop that differentiates in each step would walk all of the earlier ones
    """
    stack = [node for node in roots if node.number >= since]
    seen = set(stack)
    operations: list[Node] = []
    leaves: list[Any] = []
    while stack:
        node = stack.pop()
        parents = () if node in ends else node.parents
        (operations if parents else leaves).append(node)
        for parent in parents:
            if parent not in seen and parent.number >= since:
                seen.add(parent)
                stack.append(parent)
    operations.sort(key=by_number, reverse=True)
    return operations, leaves
