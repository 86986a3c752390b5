"""The quick loop: the sweep as nearly every backward pass needs it, with all written out that can be.

Gradients are kept in the nodes' own slots instead of a table, so only one quick sweep runs at a time. Nodes that ask for more
(indexing, guards, hooks) are handed to the common sweep one by one, and passes that do (chosen inputs in the middle of the
graph, instruments, a second thread) as a whole. What each line costs was measured: on small arrays a user waits for it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from autograd_core.tape.fitting import fitted, without_structural_zeros
from autograd_core.tape.guard import any_changed, handed_out
from autograd_core.tape.node import Leaf, Node, by_number
from autograd_core.tape.plan import G_ITSELF, MORE_PARENTS, NO_PARENT, NOTHING_MORE, SAVED_FIRST, SAVED_SECOND, TWO_PARENTS
from autograd_core.tape.sweep import Sweep, freed_error
from autograd_core.tape.turns import Turns

__all__ = ["QuickSweep"]

SINGLE_COMPLEX, COMPLEX, LONG_COMPLEX = np.dtype(np.complex64), np.dtype(np.complex128), np.dtype(np.clongdouble)


class _Pending:
    """In a node's `gradient`: the sweep that put it there will come by, and no contribution has arrived yet.

    Each sweep has one of its own. What an interrupted sweep left in the nodes is nothing to the next one, which so need not
    rely on its having been cleaned up: a signal may arrive at any line, also of what cleans up.
    """

    def __repr__(self) -> str:
        return "<pending>"


class _InNodes:
    """The table of gradients kept in the nodes' own slots."""

    def __init__(self, pending: _Pending) -> None:
        self.pending = pending

    def get(self, node: Node) -> Any:
        return None if node.gradient is self.pending else node.gradient

    def __setitem__(self, node: Node, gradient: Any) -> None:
        node.gradient = gradient


# Gradients are in the nodes' own slots: one quick sweep runs at a time, and who finds the seat taken sweeps otherwise.
_turns = Turns()


class QuickSweep(Sweep):
    """A sweep by the quick loop where that can be, and by the common one else."""

    def _carry(self) -> None:
        if not self._carried_quickly():
            super()._carry()

    def _carried_quickly(self) -> bool:
        """The whole pass by the quick loop; False, with nothing done, if it asks for more or another one is running."""
        if self.instrument is not None or self.ends_at_wanted or (handed_out and any_changed()):
            return False
        seat = _turns.take()
        if seat is None:
            return False
        pending = _Pending()
        self.table = _InNodes(pending)
        operations: list[Node] = []
        leaves: list[Any] = []
        try:
            _mark(list(self.seeds), pending, operations, leaves)
            wanted = self.wanted
            if wanted is not None and not (wanted.issuperset(leaves) and all(isinstance(node, Leaf) for node in wanted)):
                return False  # not all of the graph has to be swept, or its middle is asked for
            operations.sort(key=by_number, reverse=True)
            for node, g in self.seeds.items():
                node.gradient = g
            self._pull_all(operations, pending)
            found = self.leaf_gradients
            for leaf in leaves:
                g = leaf.gradient
                leaf.gradient = None
                if g is not pending:
                    found[leaf] = g
            g = None  # else this frame's name would hold the last one, and it would be copied
            leaves.clear()
            return True
        finally:
            if leaves:  # the pass did not come to its end: hold no gradients longer than needed
                for node in (*operations, *leaves):
                    node.gradient = None
            del seat

    def _pull_all(self, operations: list[Node], pending: _Pending) -> None:
        owned, zeroed, keep = self.owned, self.zeroed, self.retain_graph
        own_kind = ndarray if ndarray in self.in_place else None
        for node in operations:
            g = node.gradient
            node.gradient = None
            if g is pending:
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
                for place, rule, how in plan.quick_edges:
                    if how == SAVED_FIRST:
                        contribution = rule(g, node.saved_first)
                    elif how == G_ITSELF:
                        contribution = g
                    elif how == SAVED_SECOND:
                        contribution = rule(g, node.saved_second)
                    elif how == NOTHING_MORE:
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
                    if total is pending:
                        parent.gradient = contribution
                    elif parent in owned:
                        total += contribution  # in place
                    else:
                        parent.gradient = total = total + contribution
                        if type(total) is own_kind:
                            owned.add(parent)
                if not keep:  # node.free(), written out
                    if plan.keeps:
                        node.saved_first = node.saved_second = None
                    node.plan = plan.freed  # type: ignore[assignment]  # only a freed plan has none


def _mark(stack: list[Node], pending: _Pending, operations: list[Node], leaves: list[Any]) -> None:
    """Collect the nodes that `stack` depends on and mark each as pending; refuse a freed graph."""
    for node in stack:
        node.gradient = pending
    while stack:
        node = stack.pop()
        plan = node.plan
        walk = plan.walk
        if walk == NO_PARENT:
            leaves.append(node)
            continue
        operations.append(node)
        if plan.is_freed:
            raise freed_error(node)
        if walk == MORE_PARENTS:
            for parent in node.parents:
                if parent.gradient is not pending:
                    parent.gradient = pending
                    stack.append(parent)
            continue
        parent = node.first
        if parent.gradient is not pending:
            parent.gradient = pending
            stack.append(parent)
        if walk == TWO_PARENTS:
            parent = node.second
            if parent.gradient is not pending:
                parent.gradient = pending
                stack.append(parent)
