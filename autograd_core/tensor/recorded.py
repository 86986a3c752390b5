"""The sweep that is recorded itself (`create_graph`): its rules compute with tensors of the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core.arrays.batching.array import BatchingError
from autograd_core.tape.batched import BatchedSweep
from autograd_core.tape.node import Node
from autograd_core.tape.plan import OUT, Edge
from autograd_core.tensor.batches import recorded_loop
from autograd_core.tensor.handles import lift

__all__ = ["RecordedSweep"]


class RecordedSweep(BatchedSweep):
    """A sweep over tensors: the rules compute with the tensors of the graph, so what they do is recorded."""

    def _links(self, node: Node) -> tuple[Any, ...]:
        return lifted_links(node)

    def _edges(self, node: Node) -> tuple[Edge, ...]:
        return node.plan.graph_edges

    def _for_each(self, pull: Callable[..., Any], args: tuple[Any, ...], error: BatchingError) -> Any:
        return recorded_loop(pull, args, {}, error)


def lifted_links(node: Node) -> tuple[Any, ...]:
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
