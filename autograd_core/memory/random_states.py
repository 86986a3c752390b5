"""The states of random generators, so that a second run draws the numbers of the first."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

__all__ = ["RandomStates"]


class RandomStates:
    """NumPy's global generator and some others: what state they are in, and how to set it."""

    def __init__(self, generators: Iterable[np.random.Generator] = ()) -> None:
        self.generators = tuple(generators)

    def get(self) -> list[Any]:
        return [np.random.get_state(), *(generator.bit_generator.state for generator in self.generators)]

    def set(self, states: list[Any]) -> None:
        np.random.set_state(states[0])
        for generator, state in zip(self.generators, states[1:], strict=True):
            generator.bit_generator.state = state

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """What is drawn inside does not disturb the program's own sequence of numbers."""
        now = self.get()
        try:
            yield
        finally:
            self.set(now)
