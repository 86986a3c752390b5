"""How a function is computed under `ag.vmap`: for the whole batch at once, by a loop over it, or not at all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from autograd_core.arrays.batching import BatchingError, loop
from autograd_core.gradcheck.subjects.subjects import Traced, leaf
from autograd_core.tensor.backward import gradient
from autograd_core.tensor.tensor import Tensor
from autograd_core.transforms.vmap import map_over

__all__ = ["AT_ONCE", "BY_LOOP", "NOT_MAPPED", "mapped_state"]

AT_ONCE, BY_LOOP, NOT_MAPPED = "at once", "loop", "refused"


def mapped_state(subjects: Sequence[Traced]) -> str:
    """What mapping the samples, and their gradients, over all of their arguments takes at most."""
    states = [_state(subject) for subject in subjects]
    return next((state for state in (NOT_MAPPED, BY_LOOP) if state in states), AT_ONCE if states else "")


def _state(subject: Traced) -> str:
    batches = [np.stack([a, a]) for a in subject.arrays]

    def value_and_gradient(parts: Sequence[Any]) -> list[Any]:
        leaves = [leaf_of(part) for part in parts]
        values = subject.call(leaves)
        tracked = [y for y in values if isinstance(y, Tensor) and y.requires_grad]
        found = gradient(tracked, leaves, [np.ones(y.shape, y.dtype) for y in tracked], allow_unused=True) if tracked else ()
        return [*(y if isinstance(y, Tensor) else None for y in values), *found]

    with _watched_loop() as loops:
        try:
            map_over(value_and_gradient, batches, 2)
        except BatchingError:
            return NOT_MAPPED
    return BY_LOOP if loops else AT_ONCE


def leaf_of(part: Any) -> Tensor:
    """A variable with the value of a batch."""
    made = leaf(np.zeros(()))
    made.node = None
    made._array = part._array
    made.requires_grad = True
    return made


@contextmanager
def _watched_loop() -> Iterator[list[str]]:
    """Note each call of the loop over a batch, whatever module calls it."""
    loops: list[str] = []
    original = loop.each

    def noting(function: Callable[..., Any], *rest: Any) -> Any:
        loops.append(getattr(function, "__name__", ""))
        return original(function, *rest)

    holders = [m for name, m in sys.modules.items() if name.startswith("autograd_core") and getattr(m, "each", None) is original]
    for module in holders:
        module.each = noting  # type: ignore[attr-defined]
    try:
        yield loops
    finally:
        for module in holders:
            module.each = original  # type: ignore[attr-defined]
