"""The sweep of a function that is recorded to be replayed: rules of operations written in Python are handed to whoever follows it."""

from __future__ import annotations

from typing import Any

from autograd_core.tape.batched import BatchedSweep
from autograd_core.tape.mode import follower
from autograd_core.tape.node import Node
from autograd_core.tape.plan import Edge

__all__ = ["FollowedSweep"]


class FollowedSweep(BatchedSweep):
    """A sweep that tells of its rules."""

    _node: Node

    def _edges(self, node: Node) -> tuple[Edge, ...]:
        self._node = node
        return super()._edges(node)

    def _contribution(self, edge: Edge, g: Any, links: tuple[Any, ...]) -> Any:
        told = follower()
        if told is not None and self._node.op.in_python:
            found = told.rule(edge.pull, g, links)
            if found is not NotImplemented:
                return found
        return super()._contribution(edge, g, links)
