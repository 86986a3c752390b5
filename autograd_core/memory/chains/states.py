"""The state between two steps of a chain: raw values, and the container that they are in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from autograd_core.arrays.trees import flatten
from autograd_core.tensor.calls import variable
from autograd_core.tensor.handles import untracked
from autograd_core.tensor.tensor import Tensor, tensor

__all__ = ["State", "state_of"]


class State(NamedTuple):
    """The raw values of a state's leaves, and how to build the state around them or around tensors."""

    values: list[Any]
    rebuild: Callable[[list[Any]], Any]

    def variables(self, tracked: Sequence[bool]) -> list[Tensor]:
        """A tensor for each leaf, a new variable where it is tracked. The values are shared, not copied."""
        return [variable(value) if is_tracked else untracked(value) for value, is_tracked in zip(self.values, tracked, strict=True)]


def state_of(tree: Any, where: str) -> tuple[list[Tensor], State]:
    """The leaves of a state as tensors, and the state without its history."""
    leaves, rebuild = flatten(tree)
    if not leaves:
        raise TypeError(f"checkpoint_chain: {where} holds no tensors")
    tensors = []
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            if not isinstance(leaf, np.ndarray | np.generic | int | float | complex):
                raise TypeError(f"checkpoint_chain: {where} must be made of tensors, it holds a {type(leaf).__name__}")
            leaf = tensor(leaf)
        tensors.append(leaf)
    values = [t._array for t in tensors]
    # `rebuild` refers to the tensors, and so to their tape; this one to the values.
    return tensors, State(values, rebuild if len(leaves) == 1 and leaves[0] is tree else flatten(rebuild(values))[1])
