"""What the steps of a chain cost, measured: seconds, and the bytes that a step's tape keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd_core.memory.chains.schedules import Cost
from autograd_core.memory.chains.states import State, state_of
from autograd_core.memory.ledger import arrays_in
from autograd_core.tape.guard import memory_owner
from autograd_core.tape.node import Leaf, next_number
from autograd_core.tensor.tensor import Tensor

__all__ = ["measured"]

_NODE_BYTES = 200  # of a recorded operation, without what it saved


def measured(run: Callable[[Any], Any], where: str, state: State, tracked: Sequence[bool]) -> tuple[Cost, State, list[bool]]:
    """What a step costs, and the state after it, which errors call `where`.

    It is run twice: what both tapes keep is not theirs, but a constant's.
    """
    runs = []
    for _ in range(2):
        start = next_number()
        began = time.perf_counter()
        variables = state.variables(tracked)
        outputs, after = state_of(run(state.rebuild(variables)), where)
        seconds = time.perf_counter() - began
        runs.append((seconds, _kept(outputs, start), outputs, after))
    (first, kept, outputs, after), (second, kept_again, _, _) = runs
    own = {id(memory_owner(v)) for v in (*state.values, *after.values) if isinstance(v, np.ndarray)}
    tape = sum(size for key, size in kept.items() if key is None or (key not in kept_again and key not in own))
    sizes = [sum(int(v.nbytes) for v in s.values if hasattr(v, "nbytes")) for s in (state, after)]
    return Cost(min(first, second), tape, *sizes), after, [t.requires_grad for t in outputs]


def _kept(outputs: Sequence[Tensor], start: int) -> dict[int | None, int]:
    """The bytes that nodes younger than `start` keep: by the memory's owner, and under None those of the nodes themselves."""
    kept: dict[int | None, int] = {None: 0}
    stack = [t.node for t in outputs if t.node is not None and t.node.number > start]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if isinstance(node, Leaf):
            continue
        kept[None] += _NODE_BYTES
        for value in node.saved:
            for array in arrays_in(value):
                owner = memory_owner(array)
                kept[id(owner)] = int(owner.nbytes)
        for parent in node.parents:
            if parent not in seen and parent.number > start:
                seen.add(parent)
                stack.append(parent)
    # A parameter's own array is there with or without the tape.
    for leaf in {parent for node in seen for parent in node.parents if isinstance(parent, Leaf)}:
        t = leaf.tensor()
        if t is not None and isinstance(t._array, np.ndarray):
            kept.pop(id(memory_owner(t._array)), None)
    return kept
