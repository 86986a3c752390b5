"""One operation of the collection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Entry:
    """A forward and a backward function, the inputs to try them on, and (of a wrong one) what a checker should say.

    inputs     natural ones, from a random generator;  keywords: further arguments
    arguments  which of them are wrong: naming any one is right
    causes     words of causes.CAUSES of which any one is right
    words      a regular expression that a reader would accept in what the first finding says (title and evidence), instead of causes
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: Callable[[np.random.Generator], tuple[Any, ...]]
    arguments: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    words: str = ""

    def __repr__(self) -> str:
        return self.name


def normal(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Standard normal inputs of these shapes."""
    return lambda random: tuple(random.normal(size=shape) for shape in shapes)


def positive(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Inputs between 0.5 and 2 of these shapes."""
    return lambda random: tuple(random.uniform(0.5, 2.0, size=shape) for shape in shapes)


def given(*arrays: Any) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """These very inputs."""
    return lambda random: tuple(np.array(a) if isinstance(a, list) else a for a in arrays)
