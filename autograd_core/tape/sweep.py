"""The backward sweep: it carries gradients from the outputs back to the leaves, youngest node first.

A node's rules run when all contributions to its gradient have arrived. First contributions are kept as they are, a second
one makes an array of the sweep's own, later ones are added in place.

`Sweep` does everything that a pass can ask for. What nearly all passes need is done by the quick loop (quick.py), a sweep
over batches knows what to do where a rule cannot take all elements at once (batched.py), and one that is recorded lets the
rules compute with tensors (tensor/passes.py). Whoever makes a pass picks the class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar, copy_context
from types import MappingProxyType
from typing import Any

from numpy import ndarray

from autograd_core.tape.fitting import fitted, without_structural_zeros
from autograd_core.tape.guard import check_unchanged, handed_out
from autograd_core.tape.mode import Instrument, set_for_good, silence_numpy_for_good
from autograd_core.tape.node import Node, program_order
from autograd_core.tape.plan import Edge

__all__ = ["Sweep", "freed_error"]


class Sweep:
    """One backward pass from `seeds` (node -> gradient). The gradients of leaves come to be in `leaf_gradients`.

    wanted          nodes whose gradients are asked for, if not just those of the leaves; they come to be in `found`
    ends_at_wanted  do not look behind the wanted nodes, and call no watchers: the pass is a part of a larger one
    in_place        a sum of one of these types is the sweep's own, and more is added to it in place
    on_watched      (node, gradient) -> gradient, for nodes with watchers
    mode            whether what the rules do is recorded (mode.py); as it is, if None
    settings        context variables that the rules look at
    """

    def __init__(
        self,
        seeds: Mapping[Node, Any],
        *,
        wanted: Iterable[Node] | None = None,
        ends_at_wanted: bool = False,
        retain_graph: bool = False,
        in_place: frozenset[type] = frozenset({ndarray}),
        on_watched: Callable[[Node, Any], Any],
        instrument: Instrument | None = None,
        mode: Instrument | None = None,
        settings: Mapping[ContextVar[Any], Any] = MappingProxyType({}),
    ) -> None:
        self.seeds = seeds
        self.wanted = None if wanted is None else set(wanted)
        self.ends_at_wanted = ends_at_wanted
        self.retain_graph = retain_graph
        self.in_place = in_place
        self.on_watched = on_watched
        self.instrument = instrument
        self.mode = mode
        self.settings = settings
        self.table: Any = {}
        self.owned: set[Node] = set()  # whose gradient is an array that nobody else holds
        self.zeroed: set[Node] = set()  # whose gradient has structural zeros (fitting.py)
        self.needed: set[Node] | None = None  # through which a wanted node can be reached
        self.leaf_gradients: dict[Any, Any] = {}
        self.found: dict[Node, Any] = {}

    def run(self) -> None:
        """Carry the seeds back, in a context of the sweep's own, where it can set what it wants with nothing to restore."""
        copy_context().run(self._run)

    def _run(self) -> None:
        silence_numpy_for_good()  # a gradient that is infinite is documented (sqrt at 0), not worth a RuntimeWarning from here
        if self.mode is not None:
            set_for_good(self.mode)
        for variable, value in self.settings.items():
            variable.set(value)
        self._carry()
        for leaf, g in self.leaf_gradients.items():
            if leaf.plan.watchers is not None and not self.ends_at_wanted:
                self.leaf_gradients[leaf] = self.on_watched(leaf, g)
        if self.wanted is not None:
            self.found.update((leaf, g) for leaf, g in self.leaf_gradients.items() if leaf in self.wanted)

    def _carry(self) -> None:
        table = self.table = dict(self.seeds)
        wanted = self.wanted
        ends = wanted if self.ends_at_wanted and wanted else ()
        # What is older than all wanted nodes leads to none of them.
        oldest = min((node.number for node in wanted), default=0) if wanted else 0
        operations, leaves = program_order(table, ends, oldest)
        for node in operations:
            if node.plan.is_freed:
                raise freed_error(node)
        if wanted is not None:
            self.needed = _leading_to(wanted, operations)
        for node in operations:
            g = table.pop(node, None)
            if g is not None and self._pull(node, g) and not self.retain_graph:
                node.free()
        self.leaf_gradients = {leaf: table.pop(leaf) for leaf in leaves if leaf in table}  # pop: what is held twice would be copied

    def _pull(self, node: Node, g: Any) -> bool:
        """Run the rules of a node whose gradient is `g`; False if none of them was needed."""
        g = self._attended(node, g)
        needed = self.needed
        if needed is not None and needed.isdisjoint(node.parents):
            return False
        if self.instrument is not None:
            self.instrument.sweeping(node, g)
        if node.plan.is_guarded or handed_out:
            check_unchanged(node)
        links = self._links(node)
        # (conj(g) J) conj = g conj(J): the conjugate that PyTorch's convention wants, around a rule that knows none.
        conjugate = node.plan.op.holomorphic and node.dtype.kind == "c"
        if conjugate:
            g = g.conjugate()
        for edge in self._edges(node):
            if isinstance(edge.place, tuple):
                contributions = self._contribution(edge, g, links)
                for place, element in edge.place:
                    if needed is None or links[place] in needed:
                        self._add(node, g, contributions[element], place, links[place], conjugate)
            elif needed is None or links[edge.place] in needed:
                if edge.accumulate is None:
                    self._add(node, g, self._contribution(edge, g, links), edge.place, links[edge.place], conjugate)
                else:
                    self._accumulate(edge, node, g, links, conjugate)
        return True

    # What a recorded sweep has otherwise (tensor/passes.py), and one over batches (batched.py).

    def _links(self, node: Node) -> tuple[Any, ...]:
        return node.links

    def _edges(self, node: Node) -> tuple[Edge, ...]:
        return node.plan.edges

    def _contribution(self, edge: Edge, g: Any, links: tuple[Any, ...]) -> Any:
        return edge.pull(g, links)

    def _attended(self, node: Node, g: Any) -> Any:
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
            self._keep(parent, total + contribution)

    def _accumulate(self, edge: Edge, node: Node, g: Any, links: tuple[Any, ...], conjugate: bool) -> None:
        """The same by a function that adds to the parent's gradient itself, as indexing does into its elements."""
        parent: Node = links[edge.place]
        add: Any = edge.accumulate
        total = add(self.table.get(parent), parent in self.owned, g, node in self.owned, links)
        if self.instrument is not None:
            self.instrument.swept(node, parent, g, total)
        self._keep(parent, total)

    def _keep(self, parent: Node, total: Any) -> None:
        self.table[parent] = total
        if type(total) in self.in_place:
            self.owned.add(parent)
        else:
            self.owned.discard(parent)  # a 0-d array and a number make a number, which no sum in place can change


def freed_error(node: Node) -> RuntimeError:
    """What a second pass through `node` is told."""
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
