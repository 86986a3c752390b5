"""The tape: nodes that remember how a value was made, and the sweep that carries gradients back through them.

A `Node` knows its operation's plan, its parents' nodes and the few values that the rules will need. It never points to a
tensor, so a graph has no cycles and dies by reference counting. Nodes are numbered as they are made; a parent is always
older than its children, so "youngest first" is a topological order and needs no recursion.

Structural zeros. Where an operation leaves elements out (`np.where`, indexing, `clip`), their gradient is zero because they
do not matter, not because it happened to vanish. `np.where(x > 0, np.sqrt(x), 0)` at x = 0 sends 0 back to a square root of
infinite slope; 0 * inf would be nan. Below such an operation the sweep reads 0 * anything as 0 at those places.
"""

from __future__ import annotations

import itertools
import operator
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from autograd_core.fingerprint import check_unchanged, something_handed_out
from autograd_core.grad_mode import Instrument
from autograd_core.shapes import unbroadcast
from autograd_core.table import OUT, Edge, Op, Plan

__all__ = ["Leaf", "Node", "Watchers", "next_number", "program_order", "sweep"]

next_number = itertools.count().__next__
_by_number = operator.attrgetter("number")


class Node:
    """One recorded operation.

    plan      its op and pattern of tracked arguments (table.py)
    links     the parents' nodes, then the saved values, as the plan lays them out
    shape, dtype   of the result
    number    when it was made; parents have smaller numbers
    watchers  hooks and retained gradients, or None
    """

    __slots__ = ("dtype", "links", "number", "plan", "shape", "watchers")

    plan: Plan
    links: tuple[Any, ...]
    shape: Any
    dtype: Any
    number: int
    watchers: Watchers | None

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


def make_leaf(tensor: Any, shape: tuple[int, ...], dtype: Any) -> Leaf:
    leaf = Leaf()
    leaf.plan = _leaf_plan
    leaf.links = ()
    leaf.shape = shape
    leaf.dtype = dtype
    leaf.number = next_number()
    leaf.watchers = None
    leaf.tensor = weakref.ref(tensor)
    return leaf


class Watchers:
    """What wants to see a node's gradient: hooks, which may replace it, and a tensor that retains it."""

    __slots__ = ("hooks", "retained_by")

    def __init__(self) -> None:
        self.hooks: dict[int, Callable[[Any], Any]] = {}
        self.retained_by: Callable[[], Any] | None = None


def program_order(roots: Iterable[Node], *, refuse_freed: bool = False) -> tuple[list[Node], list[Leaf]]:
    """The operations that `roots` depend on, youngest first, and the leaves; iteratively and in linear time."""
    stack = list(roots)
    seen = set(stack)
    operations: list[Node] = []
    leaves: list[Any] = []
    while stack:
        node = stack.pop()
        plan = node.plan
        arity = plan.arity
        if arity == 0:
            leaves.append(node)
            continue
        if refuse_freed and plan._freed is plan:
            raise RuntimeError(
                f"backward a second time through a freed graph (at {plan.op.name}, shape {node.shape}): its saved values "
                "are gone; pass retain_graph=True to the first backward, or compute the forward pass again"
            )
        operations.append(node)
        if arity == 1:
            parent = node.links[0]
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
        else:
            for parent in node.links[:arity]:
                if parent not in seen:
                    seen.add(parent)
                    stack.append(parent)
    operations.sort(key=_by_number, reverse=True)
    return operations, leaves


class Sweep:
    """One backward pass. The gradients live in `table` until they are used.

    lift         (raw value, node) -> tensor; given when a graph of the gradient is wanted (create_graph), else None
    on_watched   (node, gradient) -> gradient, for nodes with watchers
    """

    def __init__(
        self,
        seeds: Mapping[Node, Any],
        *,
        wanted: Iterable[Node] | None = None,
        retain_graph: bool = False,
        lift: Callable[[Any, Node], Any] | None = None,
        on_watched: Callable[[Node, Any], Any],
        instrument: Instrument | None = None,
    ) -> None:
        self.table: dict[Node, Any] = dict(seeds)
        self.owned: set[Node] = set()  # whose entry in the table is an array that nobody else holds
        self.zeroed: set[Node] = set()  # whose gradient has structural zeros
        self.wanted = None if wanted is None else set(wanted)
        self.found: dict[Node, Any] = {}
        self.retain_graph = retain_graph
        self.lift = lift
        self.on_watched = on_watched
        self.instrument = instrument

    def run(self) -> list[Leaf]:
        """Carry the seeds back to the leaves, whose gradients stay in `table`; wanted nodes' go to `found`."""
        operations, leaves = program_order(self.table, refuse_freed=True)
        needed = None if self.wanted is None else _leading_to(self.wanted, operations)
        # A derivative that is infinite is documented (sqrt at 0), not worth a RuntimeWarning from inside the engine.
        with np.errstate(all="ignore"):
            self._run(operations, needed)
            for leaf in leaves:
                if leaf in self.table and leaf.watchers is not None:
                    self.table[leaf] = self.on_watched(leaf, self.table[leaf])
                    self.owned.discard(leaf)
        if self.wanted:
            self.found.update((leaf, self.table[leaf]) for leaf in leaves if leaf in self.wanted and leaf in self.table)
        return leaves

    def _run(self, operations: list[Node], needed: set[Node] | None) -> None:
        table, owned, zeroed, wanted = self.table, self.owned, self.zeroed, self.wanted
        lift, instrument, retain_graph = self.lift, self.instrument, self.retain_graph
        take = table.pop
        for node in operations:
            g = take(node, None)
            if g is None:
                if not retain_graph:
                    node.links = node.links[: node.plan.arity]
                    node.plan = node.plan.freed
                continue
            if node.watchers is not None:
                g = self.on_watched(node, g)
                owned.discard(node)
            if wanted is not None and node in wanted:
                self.found[node] = g
                owned.discard(node)
            links, plan = node.links, node.plan
            if plan.guarded is plan or something_handed_out():
                check_unchanged(node)
            if lift is None:
                edges = plan.edges
            else:
                edges, links = plan.graph_edges, lifted_links(node, links, lift)
            if zeroed or plan.op.selects:
                self._mark_zeroed(node, plan)
            for place, pull, accumulate, name in edges:
                if plan.sequences:
                    self._pull_sequence(node, g, links, (place, pull, accumulate, name), needed)
                    continue
                parent = links[place]
                if needed is not None and parent not in needed:
                    continue
                if accumulate is not None:
                    table[parent] = accumulate(table.get(parent), parent in owned, g, node in owned, links)
                    owned.add(parent)
                    continue
                contribution = pull(g, links)
                if contribution is None:
                    continue
                if zeroed and node in zeroed and plan.op.elementwise:
                    contribution = without_structural_zeros(g, contribution)
                try:
                    if contribution.shape != parent.shape:
                        contribution = unbroadcast(contribution, parent.shape)
                    if contribution.dtype is not parent.dtype:
                        contribution = cast(contribution, parent.dtype)
                except (ValueError, AttributeError):
                    raise wrong_contribution(plan.op, name, contribution, parent) from None
                if instrument is not None:
                    instrument.swept(node, parent, g, contribution)
                if parent not in table:
                    table[parent] = contribution
                elif parent in owned:
                    table[parent] += contribution
                else:
                    table[parent] = table[parent] + contribution
                    if lift is None:
                        owned.add(parent)
            if not retain_graph:
                if plan.keeps:
                    node.links = node.links[: plan.arity]
                node.plan = plan._freed or plan.freed

    def _pull_sequence(self, node: Node, g: Any, links: Any, edge: Edge, needed: set[Node] | None) -> None:
        """One rule for a sequence argument (concatenate's arrays) gives one contribution per element."""
        place, pull, _, name = edge
        places = ((place, None),) if isinstance(place, int) else place
        contributions = pull(g, links)
        for link, element in places:
            parent = links[link]
            contribution = contributions if element is None else contributions[element]
            if contribution is None or (needed is not None and parent not in needed):
                continue
            label = name if element is None else f"{name}[{element}]"
            try:
                contribution = cast(unbroadcast(contribution, parent.shape), parent.dtype)
            except (ValueError, AttributeError):
                raise wrong_contribution(node.op, label, contribution, parent) from None
            if self.instrument is not None:
                self.instrument.swept(node, parent, g, contribution)
            self.table[parent] = self.table[parent] + contribution if parent in self.table else contribution

    def _mark_zeroed(self, node: Node, plan: Plan) -> None:
        op = plan.op
        if op.selects or (node in self.zeroed and (op.elementwise or op.structural)):
            self.zeroed.update(node.links[: plan.arity])


def _leading_to(wanted: set[Node], operations: list[Node]) -> set[Node]:
    """The nodes through which a gradient can reach a wanted one: no other rule has to run."""
    needed = set(wanted)
    for node in reversed(operations):
        if not needed.isdisjoint(node.links[: node.plan.arity]):
            needed.add(node)
    return needed


def lifted_links(node: Node, links: tuple[Any, ...], lift: Callable[[Any, Node], Any]) -> tuple[Any, ...]:
    """The links with their saved values as tensors of the graph, so that rules record what they do."""
    plan = node.plan
    lifted = list(links)
    for at, where in enumerate(plan.lifts, plan.arity):
        if where is None:
            continue
        if where == OUT:
            lifted[at] = lift(links[at], node)
        elif isinstance(where, int):
            lifted[at] = lift(links[at], links[where])
        else:
            lifted[at] = [lift(value, links[where[i]]) if i in where else value for i, value in enumerate(links[at])]
    return tuple(lifted)


def cast(contribution: Any, dtype: Any) -> Any:
    """`contribution` in the argument's own dtype; a real argument takes the real part of a complex gradient."""
    if contribution.dtype == dtype:
        return contribution
    if contribution.dtype.kind == "c" and dtype.kind != "c":
        contribution = np.real(contribution)
    return contribution.astype(dtype)


def without_structural_zeros(g: Any, contribution: Any) -> Any:
    """Read 0 * inf as 0 where `g` is a structural zero; see the module's first paragraph.

    The sum tells cheaply whether there is anything to mend: it is finite if all elements are (or overflows, which costs a look).
    """
    if contribution is g or contribution.shape != g.shape or bool(np.isfinite(contribution.sum())):
        return contribution
    return np.where((g == 0) & ~np.isfinite(contribution), 0.0, contribution)


def wrong_contribution(op: Op, name: str, contribution: Any, parent: Node) -> Exception:
    shape = getattr(contribution, "shape", None)
    if shape is None:
        return TypeError(f"{op.name}: rule for {name} returned {type(contribution).__name__}, expected an array of shape {parent.shape}")
    if shape == parent.shape:
        return TypeError(f"{op.name}: rule for {name} returned dtype {contribution.dtype}, which {parent.dtype} cannot hold")
    return ValueError(f"{op.name}: rule for {name} returned shape {shape}, expected {parent.shape}")
