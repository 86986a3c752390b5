"""Schedules made of schedules: warm-up, one after the other, values at given steps."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optim.schedules.base import Schedule, value_at
from optim.schedules.decay import require

__all__ = ["Piecewise", "Sequential", "Warmup"]


@dataclass(frozen=True)
class Warmup(Schedule):
    """From start * then(0) to then(0) in a straight line of `steps` steps; after that `then`, which begins there.

    then  a schedule, or a number

    >>> [Warmup(1.0, steps=4)(t) for t in range(6)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    then: Any
    steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        require(self, self.steps >= 0, "steps must not be negative")

    def at(self, step: float) -> float:
        if step >= self.steps:
            return value_at(self.then, step - self.steps)
        return value_at(self.then, 0) * (self.start + (1 - self.start) * step / self.steps)

    @property
    def length(self) -> float:
        return self.steps + (self.then.length if isinstance(self.then, Schedule) else 0)


@dataclass(frozen=True)
class Sequential(Schedule):
    """One schedule after the other: the next one begins, with its own step 0, at each of the milestones.

    >>> from optim import Polynomial
    >>> two = Sequential([0.5, Polynomial(1.0, steps=2)], milestones=[3])
    >>> [two(t) for t in range(6)]
    [0.5, 0.5, 0.5, 1.0, 0.5, 0.0]
    """

    schedules: Sequence[Any]
    milestones: Sequence[float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedules", tuple(self.schedules))
        object.__setattr__(self, "milestones", tuple(self.milestones))
        require(self, len(self.schedules) == len(self.milestones) + 1, "there must be one milestone between each two schedules")
        require(self, list(self.milestones) == sorted(self.milestones), "the milestones must be in order")

    def at(self, step: float) -> float:
        i = bisect_right(self.milestones, step)
        return value_at(self.schedules[i], step - (self.milestones[i - 1] if i else 0))

    @property
    def length(self) -> float:
        last = self.schedules[-1]
        return (self.milestones[-1] if self.milestones else 0) + (last.length if isinstance(last, Schedule) else 0)


CURVES: dict[str, Callable[[float], float]] = {
    "step": lambda done: 0.0,
    "linear": lambda done: done,
    "cos": lambda done: (1 - math.cos(math.pi * done)) / 2,
}


@dataclass(frozen=True)
class Piecewise(Schedule):
    """Values from given steps on: {0: 0.1, 100: 0.01}; after the last one, that value.

    curve  "step": each value holds until the next one; "linear" and "cos": the way to the next one is a line, or half a cosine

    >>> [Piecewise({0: 1.0, 2: 3.0}, curve="linear")(t) for t in range(4)]
    [1.0, 2.0, 3.0, 3.0]
    """

    values: Mapping[float, float]
    curve: str = "step"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", dict(sorted(self.values.items())))
        require(self, bool(self.values) and next(iter(self.values)) == 0, "there must be a value from step 0 on")
        require(self, self.curve in CURVES, f"curve must be one of {', '.join(CURVES)}")

    def __hash__(self) -> int:
        return hash((tuple(self.values.items()), self.curve))

    def at(self, step: float) -> float:
        steps, values = list(self.values), list(self.values.values())
        i = bisect_right(steps, step) - 1
        if i == len(steps) - 1:
            return values[i]
        return values[i] + (values[i + 1] - values[i]) * CURVES[self.curve]((step - steps[i]) / (steps[i + 1] - steps[i]))

    @property
    def length(self) -> float:
        return list(self.values)[-1]
