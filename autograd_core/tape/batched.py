"""The sweep over batches (arrays/batching): a rule that cannot take all elements at once is run for one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core.arrays.batching.array import BatchingError
from autograd_core.arrays.batching.loop import each_of_innermost
from autograd_core.tape.node import Node
from autograd_core.tape.plan import Edge
from autograd_core.tape.sweep import Sweep

__all__ = ["BatchedSweep"]


class BatchedSweep(Sweep):
    """A sweep whose gradients may be batches."""

    def _contribution(self, edge: Edge, g: Any, links: tuple[Any, ...]) -> Any:
        try:
            return edge.pull(g, links)
        except BatchingError as error:
            # Of each element by this same method: there may be another batch around it.
            return self._for_each(lambda g, links: self._contribution(edge, g, links), (g, links), error)

    def _for_each(self, pull: Callable[..., Any], args: tuple[Any, ...], error: BatchingError) -> Any:
        return each_of_innermost(pull, args, {}, error)

    def _accumulate(self, edge: Edge, node: Node, g: Any, links: tuple[Any, ...], conjugate: bool) -> None:
        try:
            super()._accumulate(edge, node, g, links, conjugate)
        except BatchingError:
            self._add(node, g, self._contribution(edge, g, links), edge.place, links[edge.place], conjugate)
