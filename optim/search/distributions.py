"""What a hyperparameter may be drawn from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Choice", "Distribution", "Integer", "LogUniform", "Uniform", "as_distribution", "as_list"]


class Distribution:
    """Draws values of one hyperparameter."""

    def draw(self, random: np.random.Generator) -> Any:
        """A value."""
        raise NotImplementedError(f"{type(self).__name__} defines no draw(self, random)")


@dataclass(frozen=True)
class Uniform(Distribution):
    """Numbers in [low, high), all equally likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"{self!r}: low must be less than high, and both finite")

    def draw(self, random: np.random.Generator) -> float:
        return float(random.uniform(self.low, self.high))


@dataclass(frozen=True)
class LogUniform(Distribution):
    """Numbers in [low, high) of which all orders of magnitude are equally likely: what learning rates want."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high < math.inf:
            raise ValueError(f"{self!r}: must have 0 < low < high, both finite")

    def draw(self, random: np.random.Generator) -> float:
        return float(math.exp(random.uniform(math.log(self.low), math.log(self.high))))


@dataclass(frozen=True)
class Integer(Distribution):
    """Integers from low to high, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not (self.low <= self.high and self.low == int(self.low) and self.high == int(self.high)):
            raise ValueError(f"{self!r}: low and high must be integers, and low not larger than high")

    def draw(self, random: np.random.Generator) -> int:
        return int(random.integers(int(self.low), int(self.high) + 1))


@dataclass(frozen=True)
class Choice(Distribution):
    """One of several values."""

    values: Sequence[Any]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("Choice: there is nothing to choose from")

    def draw(self, random: np.random.Generator) -> Any:
        return self.values[int(random.integers(len(self.values)))]


def as_distribution(value: Any) -> Distribution:
    """A distribution as it is; several values as a choice; anything else as itself always."""
    if isinstance(value, Distribution):
        return value
    several = as_list(value)
    return Choice([value] if several is None else several)


def as_list(value: Any) -> list[Any] | None:
    """The values of a list, tuple, range or array of one axis; None if it is one value."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        several: list[Any] = value.tolist()
        return several
    return list(value) if isinstance(value, list | tuple | range) else None
