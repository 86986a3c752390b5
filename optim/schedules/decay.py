"""Schedules that fall once, by a formula in the step t. `initial` is the value at step 0."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from optim.schedules.base import Schedule

__all__ = ["Cosine", "DivergingInverseTime", "Exponential", "InverseTime", "Linear", "MultiStep", "Polynomial", "Step"]


def require(schedule: Schedule, condition: bool, text: str) -> None:
    """ValueError naming the schedule unless `condition`."""
    if not condition:
        raise ValueError(f"{schedule!r}: {text}")


@dataclass(frozen=True)
class Step(Schedule):
    """initial * factor^floor(t / every): a constant that is multiplied now and then.

    >>> [Step(1.0, every=2, factor=0.5)(t) for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    initial: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        require(self, self.every >= 1, "every must be at least 1")

    def at(self, step: float) -> float:
        return self.initial * self.factor ** (step // self.every)


@dataclass(frozen=True)
class MultiStep(Schedule):
    """initial * factor^(how many of the milestones are <= t).

    >>> [MultiStep(1.0, milestones=(1, 3), factor=0.5)(t) for t in range(4)]
    [1.0, 0.5, 0.5, 0.25]
    """

    initial: float
    milestones: Sequence[float]
    factor: float = 0.1

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(sorted(self.milestones)))

    def at(self, step: float) -> float:
        return self.initial * self.factor ** bisect_right(self.milestones, step)

    @property
    def length(self) -> float:
        return self.milestones[-1] if self.milestones else 0


@dataclass(frozen=True)
class Exponential(Schedule):
    """initial * factor^(t / every); for the form initial * exp(-alpha t), factor = exp(-alpha).

    >>> [Exponential(8.0, factor=0.5)(t) for t in range(4)]
    [8.0, 4.0, 2.0, 1.0]
    """

    initial: float
    factor: float
    every: float = 1

    def __post_init__(self) -> None:
        require(self, self.factor >= 0, "factor must not be negative")
        require(self, self.every > 0, "every must be positive")

    def at(self, step: float) -> float:
        return self.initial * self.factor ** (step / self.every)


@dataclass(frozen=True)
class InverseTime(Schedule):
    """initial (1 + alpha t)^(-beta): falls for ever, ever slower. With beta = 1 and alpha > 0, Robbins & Monro's conditions hold.

    >>> [InverseTime(1.0, alpha=1.0)(t) for t in range(4)]
    [1.0, 0.5, 0.3333333333333333, 0.25]
    """

    initial: float
    alpha: float
    beta: float = 1.0

    def __post_init__(self) -> None:
        require(self, self.alpha >= 0, "alpha must not be negative; initial (1 - alpha t)^(-beta) is DivergingInverseTime")

    def at(self, step: float) -> float:
        return self.initial * (1 + self.alpha * step) ** -self.beta


@dataclass(frozen=True)
class DivergingInverseTime(Schedule):
    """initial (1 - alpha t)^(-beta), the form that some texts print.

    For beta > 0 it grows, and goes to infinity as t approaches 1 / alpha; from there on it has no value and raises ValueError.
    What is usually meant is the decaying `InverseTime`, initial (1 + alpha t)^(-beta). For beta < 0 it falls to 0 at 1 / alpha,
    which is `Polynomial(initial, steps=1 / alpha, power=-beta)`.

    >>> [DivergingInverseTime(1.0, alpha=0.25)(t) for t in range(4)]
    [1.0, 1.3333333333333333, 2.0, 4.0]
    """

    initial: float
    alpha: float
    beta: float = 1.0

    def __post_init__(self) -> None:
        require(self, self.alpha > 0, "alpha must be positive")

    def at(self, step: float) -> float:
        if self.alpha * step >= 1:
            raise ValueError(
                f"{self!r} has no value at step {step}: it goes to infinity at step 1/alpha = {1 / self.alpha:g}; "
                f"the form that decays is InverseTime({self.initial}, {self.alpha}, {self.beta})"
            )
        return self.initial * (1 - self.alpha * step) ** -self.beta

    @property
    def length(self) -> float:
        return 1 / self.alpha

    @property
    def shown(self) -> int:
        return max(0, math.ceil(0.95 / self.alpha) - 1)


@dataclass(frozen=True)
class Polynomial(Schedule):
    """final + (initial - final) (1 - t / steps)^power up to t = steps, then final. With final = 0: eta0 (1 - t/T)^beta.

    >>> [Polynomial(4.0, steps=4, power=1)(t) for t in range(6)]
    [4.0, 3.0, 2.0, 1.0, 0.0, 0.0]
    """

    initial: float
    steps: float
    power: float = 1.0
    final: float = 0.0

    def __post_init__(self) -> None:
        require(self, self.steps > 0, "steps must be positive")
        require(self, self.power >= 0, "power must not be negative: (1 - t/steps)^power would go to infinity at t = steps")

    def at(self, step: float) -> float:
        return self.final if step >= self.steps else self.final + (self.initial - self.final) * (1 - step / self.steps) ** self.power

    @property
    def length(self) -> float:
        return self.steps


@dataclass(frozen=True)
class Linear(Schedule):
    """From initial to final in a straight line of `steps` steps, then final.

    >>> [Linear(0.0, 1.0, steps=4)(t) for t in range(6)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    initial: float
    final: float
    steps: float

    def __post_init__(self) -> None:
        require(self, self.steps > 0, "steps must be positive")

    def at(self, step: float) -> float:
        return self.initial + (self.final - self.initial) * min(step / self.steps, 1.0)

    @property
    def length(self) -> float:
        return self.steps


@dataclass(frozen=True)
class Cosine(Schedule):
    """final + (initial - final) (1 + cos(pi t / steps)) / 2 up to t = steps, then final; if `periodic`, up again.

    Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", eq. 5.

    >>> [round(Cosine(1.0, steps=4)(t), 4) for t in range(6)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0, 0.0]
    """

    initial: float
    steps: float
    final: float = 0.0
    periodic: bool = False

    def __post_init__(self) -> None:
        require(self, self.steps > 0, "steps must be positive")

    def at(self, step: float) -> float:
        step = step if self.periodic else min(step, self.steps)
        return self.final + (self.initial - self.final) * (1 + math.cos(math.pi * step / self.steps)) / 2

    @property
    def length(self) -> float:
        return 2 * self.steps if self.periodic else self.steps
