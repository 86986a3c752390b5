"""The backward sweep: it carries gradients from the outputs back to the leaves, youngest node first.

A node's rules run when all contributions to its gradient have arrived. First contributions are kept as they are, a second
one makes an array of the sweep's own, later ones are added in place. Un-broadcasting and casts are done here and not in the
rules, so a gradient always has exactly its argument's shape and dtype.

There are two loops. `_run_quick` does what nearly every pass needs and keeps gradients in the nodes themselves; only one
such sweep runs at a time. `_pull` does everything: it serves nodes that ask for more (hooks, guards, indexing) and whole
passes that do (create_graph, chosen inputs, batches, instruments, a second thread), with gradients in a dict of the sweep's own.

Structural zeros. Where an operation leaves elements out (`np.where`, indexing, `clip`), their gradient is zero because they
do not matter, not because it happened to vanish. `np.where(x > 0, np.sqrt(x), 0)` at x = 0 sends 0 back to a square root of
infinite slope; 0 * inf would be nan. Below such an operation the sweep reads 0 * anything as 0 at those places.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy import ndarray

from autograd_core.arrays.batching.array import Batched, BatchingError
from autograd_core.arrays.batching.loop import each
from autograd_core.arrays.layers import finite
from autograd_core.arrays.shapes import unbroadcast
from autograd_core.tape.guard import check_unchanged, handed_out
from autograd_core.tape.mode import Instrument
from autograd_core.tape.node import Leaf, Node, by_number, program_order
from autograd_core.tape.plan import (
    ALL_LINKS,
    G_ITSELF,
    MORE_PARENTS,
    NO_PARENT,
    NOTHING_MORE,
    OUT,
    SAVED_FIRST,
    SAVED_SECOND,
    TWO_PARENTS,
    Edge,
    Plan,
)

__all__ = ["Sweep"]

SINGLE_COMPLEX, COMPLEX, LONG_COMPLEX = np.dtype(np.complex64), np.dtype(np.complex128), np.dtype(np.clongdouble)

_one_quick_sweep = threading.Lock()


class _Pending:
    """In a node's `gradient`: the running sweep will come by, and no contribution has arrived yet."""

    def __repr__(self) -> str:
        return "<pending>"


PENDING = _Pending()


class _InNodes:
    """The table of gradients kept in the nodes' own slots, as the quick sweep has it."""

    def get(self, node: Node) -> Any:
        return None if node.gradient is PENDING else node.gradient

    def __setitem__(self, node: Node, gradient: Any) -> None:
        node.gradient = gradient


class _Nothing(set[Any]):
    """A set that stays empty."""

    def add(self, _: Any) -> None:
        pass


class Sweep:
    """One backward pass from `seeds` (node -> gradient).

    wanted       nodes whose gradients are asked for, if not just those of the leaves; they come to be in `found`
    lift         (raw value, node) -> tensor; given when a graph of the gradient is wanted (create_graph), else None
    recorded_loop  (function, args, kwargs) -> the results over a batch in tensors (tensor/batches.py); given with `lift`
    batched      gradients may be batches (arrays/batching/array.py): a rule that cannot take one is run for its elements
    dual         gradients may be duals (arrays/duals.py), which no plain array can be made to hold: nothing is added in place
    on_watched   (node, gradient) -> gradient, for nodes with watchers
    """

    def __init__(
        self,
        seeds: Mapping[Node, Any],
        *,
        wanted: Iterable[Node] | None = None,
        retain_graph: bool = False,
        lift: Callable[[Any, Node], Any] | None = None,
        recorded_loop: Callable[..., Any] | None = None,
        batched: bool = False,
        dual: bool = False,
        on_watched: Callable[[Node, Any], Any],
        instrument: Instrument | None = None,
    ) -> None:
        self.seeds = seeds
        self.wanted = None if wanted is None else set(wanted)
        self.retain_graph = retain_graph
        self.lift = lift
        self.recorded_loop = recorded_loop
        self.batched = batched
        self.on_watched = on_watched
        self.instrument = instrument
        self.table: Any = {}
        self.owned: set[Node] = _Nothing() if dual else set()  # whose gradient is an array that nobody else holds
        self.zeroed: set[Node] = set()  # whose gradient has structural zeros
        self.needed: set[Node] | None = None  # through which a wanted node can be reached
        self.leaf_gradients: dict[Leaf, Any] = {}
        self.found: dict[Node, Any] = {}

    def run(self) -> None:
        """Carry the seeds back. A gradient that is infinite is documented (sqrt at 0), not worth a RuntimeWarning from here."""
        with np.errstate(all="ignore"):
            if not self._run_quick():
                self._run_carefully()
            for leaf, g in self.leaf_gradients.items():
                if leaf.plan.watchers is not None:
                    self.leaf_gradients[leaf] = self.on_watched(leaf, g)
        if self.wanted is not None:
            self.found.update((leaf, g) for leaf, g in self.leaf_gradients.items() if leaf in self.wanted)

    # --- the quick loop -----------------------------------------------------------------------------------------------------

    def _run_quick(self) -> bool:
        """The whole pass by the quick loop; False, with nothing done, if it asks for more or another one is running."""
        plain = self.lift is None and self.instrument is None and not handed_out and not self.batched
        if not plain or not _one_quick_sweep.acquire(blocking=False):
            return False
        self.table = _InNodes()
        operations: list[Node] = []
        leaves: list[Any] = []
        try:
            _mark_pending(list(self.seeds), operations, leaves)
            if self.wanted is not None and not (self.wanted.issuperset(leaves) and all(isinstance(n, Leaf) for n in self.wanted)):
                for node in operations:
                    node.gradient = None
                return False  # not all of the graph has to be swept, or its middle is asked for
            operations.sort(key=by_number, reverse=True)
            for node, g in self.seeds.items():
                node.gradient = g
            self._pull_all(operations)
            return True
        except BaseException:
            for node in operations:
                node.gradient = None
            raise
        finally:
            found = self.leaf_gradients
            for leaf in leaves:
                g = leaf.gradient
                leaf.gradient = None
                if g is not PENDING and g is not None:
                    found[leaf] = g
            g = None  # else this frame's name would hold the last one, and it would be copied
            _one_quick_sweep.release()

    def _pull_all(self, operations: list[Node]) -> None:
        owned, zeroed, keep = self.owned, self.zeroed, self.retain_graph
        for node in operations:
            g = node.gradient
            node.gradient = None
            if g is PENDING:
                continue  # no rule had anything to say about it
            plan = node.plan
            like = node.like
            dtype = like.dtype
            # Results of ufuncs have the native dtypes, which are single objects: three comparisons instead of dtype.kind.
            if plan.special or dtype is COMPLEX or dtype is SINGLE_COMPLEX or dtype is LONG_COMPLEX:
                self._pull(node, g)
                if not keep:
                    node.free()
            else:
                exact = plan.exact
                spreads = zeroed and plan.spreads and node in zeroed
                for place, rule, takes in plan.quick_edges:
                    if takes == SAVED_FIRST:
                        contribution = rule(g, node.saved_first)
                    elif takes == G_ITSELF:
                        contribution = g
                    elif takes == SAVED_SECOND:
                        contribution = rule(g, node.saved_second)
                    elif takes == NOTHING_MORE:
                        contribution = rule(g)
                    else:
                        contribution = rule(g, node.links)
                    parent = node.second if place else node.first
                    if spreads:
                        zeroed.add(parent)
                        if plan.op.elementwise and contribution is not None:
                            contribution = without_structural_zeros(g, contribution)
                    if not exact or parent.like is not like:
                        if contribution is None:
                            continue
                        contribution = fitted(contribution, parent, plan, place)
                    total = parent.gradient
                    if total is PENDING:
                        parent.gradient = contribution
                    elif parent in owned:
                        total += contribution  # in place
                    else:
                        parent.gradient = total = total + contribution
                        if type(total) is ndarray:
                            owned.add(parent)
                if not keep:  # node.free(), written out
                    if plan.keeps:
                        node.saved_first = node.saved_second = None
                    node.plan = plan.freed  # type: ignore[assignment]  # only a freed plan has none

    # --- with everything ------------------------------------------------------------------------------------------------------

    def _run_carefully(self) -> None:
        table = self.table = dict(self.seeds)
        operations, leaves = program_order(table)
        for node in operations:
            if node.plan.is_freed:
                raise freed_error(node)
        if self.wanted is not None:
            self.needed = _leading_to(self.wanted, operations)
        for node in operations:
            g = table.pop(node, None)
            if g is None:
                continue
            ran = self._pull(node, g)
            if ran and not self.retain_graph:
                node.free()
        self.leaf_gradients = {leaf: table.pop(leaf) for leaf in leaves if leaf in table}  # pop: what is held twice would be copied

    def _pull(self, node: Node, g: Any) -> bool:
        """Run a node's rules with everything that the quick loop leaves out; False if none of them was needed."""
        g = self._attend(node, g)
        plan, table, needed = node.plan, self.table, self.needed
        if needed is not None and needed.isdisjoint(node.parents):
            return False
        if self.instrument is not None:
            self.instrument.sweeping(node, g)
        if plan.is_guarded or handed_out:
            check_unchanged(node)
        links = node.links if self.lift is None else lifted_links(node, self.lift)
        # (conj(g) J) conj = g conj(J): the conjugate that PyTorch's convention wants, around a rule that knows none.
        conjugate = plan.op.holomorphic and node.dtype.kind == "c"
        if conjugate:
            g = g.conjugate()
        for edge in plan.edges if self.lift is None else plan.graph_edges:
            if isinstance(edge.place, tuple):
                contributions = self._contribution(edge, g, links)
                for link, element in edge.place:
                    if needed is None or links[link] in needed:
                        self._add(node, g, contributions[element], link, links[link], conjugate)
                continue
            parent = links[edge.place]
            if needed is not None and parent not in needed:
                continue
            if edge.accumulate is None:
                self._add(node, g, self._contribution(edge, g, links), edge.place, parent, conjugate)
            else:
                try:
                    total = edge.accumulate(table.get(parent), parent in self.owned, g, node in self.owned, links)
                except BatchingError:
                    self._add(node, g, self._contribution(edge, g, links), edge.place, parent, conjugate)
                    continue
                table[parent] = total
                if self.instrument is not None:
                    self.instrument.swept(node, parent, g, total)
                if type(total) in _ADDED_IN_PLACE:  # a list of several results' gradients, or a lazy array, is not
                    self.owned.add(parent)
        return True

    def _contribution(self, edge: Edge, g: Any, links: tuple[Any, ...]) -> Any:
        """What a rule makes of `g`; of a batch that it cannot take as a whole, for one element after the other."""
        try:
            if edge.takes == ALL_LINKS:
                return edge.rule(g, links)
            if edge.takes == G_ITSELF:
                return g
            return edge.rule(g) if edge.takes == NOTHING_MORE else edge.rule(g, links[edge.takes])
        except BatchingError:
            if self.recorded_loop is not None:
                return self.recorded_loop(lambda g, links: self._contribution(edge, g, links), (g, links), {})
            return each(lambda g, links: self._contribution(edge, g, links), (g, links), {})

    def _attend(self, node: Node, g: Any) -> Any:
        """What a node asks for before its rules run: its hooks, its place among the results, structural zeros."""
        if node.watchers is not None:
            g = self.on_watched(node, g)
            self.owned.discard(node)
        if self.wanted is not None and node in self.wanted:
            self.found[node] = g
            self.owned.discard(node)
        op = node.op
        if node.plan.selects or (node in self.zeroed and (op.elementwise or op.structural)):
            self.zeroed.update(node.parents)
        return g

    def _add(self, node: Node, g: Any, contribution: Any, place: int, parent: Node, conjugate: bool) -> None:
        """Add a contribution, fitted to its parent's shape and dtype, to what the table holds for the parent."""
        if contribution is None:
            return
        if conjugate:
            contribution = contribution.conjugate()
        if node in self.zeroed and node.op.elementwise:
            contribution = without_structural_zeros(g, contribution)
        contribution = fitted(contribution, parent, node.plan, place)
        if self.instrument is not None:
            self.instrument.swept(node, parent, g, contribution)
        total = self.table.get(parent)
        if total is None:
            self.table[parent] = contribution
        elif parent in self.owned and type(total) is type(contribution) is ndarray:
            total += contribution
        else:
            self.table[parent] = total = total + contribution
            if type(total) in _ADDED_IN_PLACE:
                self.owned.add(parent)


_ADDED_IN_PLACE = frozenset({ndarray, Batched})


def _mark_pending(stack: list[Node], operations: list[Node], leaves: list[Leaf]) -> None:
    """Collect the nodes that `stack` depends on and mark each as pending; refuse a freed graph.

    Each node is in `operations` or `leaves` before it is marked, so that the caller can unmark them whatever happens.
    """
    for node in stack:
        node.gradient = PENDING
    while stack:
        node = stack.pop()
        plan = node.plan
        walk = plan.walk
        if walk == NO_PARENT:
            leaves.append(node)  # type: ignore[arg-type]
            continue
        operations.append(node)
        if plan.is_freed:
            operations.extend(stack)
            raise freed_error(node)
        if walk == MORE_PARENTS:
            for parent in node.parents:
                if parent.gradient is None:
                    parent.gradient = PENDING
                    stack.append(parent)
            continue
        parent = node.first
        if parent.gradient is None:
            parent.gradient = PENDING
            stack.append(parent)
        if walk == TWO_PARENTS:
            parent = node.second
            if parent.gradient is None:
                parent.gradient = PENDING
                stack.append(parent)


def freed_error(node: Node) -> RuntimeError:
    return RuntimeError(
        f"backward a second time through a freed graph (at {node.op.name}, shape {node.shape}): its saved values are gone; "
        "pass retain_graph=True to the first backward, or compute the forward pass again"
    )


def _leading_to(wanted: set[Node], operations: list[Node]) -> set[Node]:
    """The nodes through which a gradient can reach a wanted one: no other rule has to run."""
    needed = set(wanted)
    for node in reversed(operations):
        if not needed.isdisjoint(node.parents):
            needed.add(node)
    return needed


def lifted_links(node: Node, lift: Callable[[Any, Node], Any]) -> tuple[Any, ...]:
    """The links with their saved values as tensors of the graph, so that rules record what they do."""
    plan = node.plan
    lifted = list(node.links)
    for at, where in enumerate(plan.lifts, plan.arity):
        if where is None:
            continue
        if where == OUT:
            lifted[at] = lift(lifted[at], node)
        elif isinstance(where, int):
            lifted[at] = lift(lifted[at], lifted[where])
        else:
            lifted[at] = [lift(value, lifted[where[i]]) if i in where else value for i, value in enumerate(lifted[at])]
    return tuple(lifted)


def fitted(contribution: Any, parent: Node, plan: Plan, place: int) -> Any:
    """`contribution` in its argument's own shape and dtype; a real argument takes the real part of a complex gradient.

    raises : ValueError or TypeError naming the op and the argument, if the rule returned something that does not fit
    """
    dtype = parent.like.dtype
    try:
        if contribution.shape != parent.like.shape:
            contribution = unbroadcast(contribution, parent.like.shape)
        if contribution.dtype == dtype:
            return contribution
        if contribution.dtype.kind == "c" and dtype.kind != "c":
            contribution = np.real(contribution)
        return contribution.astype(dtype)
    except (ValueError, TypeError, AttributeError):
        raise _wrong_contribution(plan, place, contribution, parent) from None


def without_structural_zeros(g: Any, contribution: Any) -> Any:
    """Read 0 * inf as 0 where `g` is a structural zero; see the module's first paragraph.

    The product with itself tells cheaply whether there is anything to mend: it is finite if all elements are (or overflows,
    which costs a look).
    """
    if contribution is g or contribution.shape != g.shape:
        return contribution
    if isinstance(contribution, ndarray) and math.isfinite(np.vdot(contribution, contribution).real):
        return contribution
    good = finite(contribution)
    if isinstance(good, ndarray | np.bool_) and good.all():  # a lazy array is not computed to be asked
        return contribution
    return np.where((g == 0) & ~good, 0.0, contribution)


def _wrong_contribution(plan: Plan, place: int, contribution: Any, parent: Node) -> Exception:
    where = plan.tracked[place]
    name = plan.op.parameters[where] if isinstance(where, int) else f"{plan.op.parameters[where[0]]}[{where[1]}]"
    rule = f"{plan.op.name}: rule for {name} returned"
    shape = getattr(contribution, "shape", None)
    if shape is None:
        return TypeError(f"{rule} {type(contribution).__name__}, expected an array of shape {parent.shape}")
    if shape == parent.shape:
        return TypeError(f"{rule} dtype {contribution.dtype}, which {parent.dtype} cannot hold")
    return ValueError(f"{rule} shape {shape}, expected {parent.shape}")
