"""Schedules that come back: cycles, restarts, and the one cycle."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from optim.schedules.base import Schedule
from optim.schedules.compose import CURVES
from optim.schedules.decay import require

__all__ = ["CosineRestarts", "Cyclic", "OneCycle"]


@dataclass(frozen=True)
class CosineRestarts(Schedule):
    """A cosine from initial to final that starts again after `steps` steps, then after factor * steps, factor^2 * steps, ...

    Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", eq. 5.

    >>> [round(CosineRestarts(1.0, steps=2, factor=2)(t), 4) for t in range(7)]
    [1.0, 0.5, 1.0, 0.8536, 0.5, 0.1464, 1.0]
    """

    initial: float
    steps: float
    factor: int = 1
    final: float = 0.0

    def __post_init__(self) -> None:
        require(self, self.steps > 0, "steps must be positive")
        require(self, self.factor >= 1 and self.factor == int(self.factor), "factor must be an integer >= 1")

    def at(self, step: float) -> float:
        period = self.steps
        if self.factor == 1:
            step %= period
        else:
            # Periods before this one: n with steps (factor^n - 1) / (factor - 1) <= step. The loop runs n times, which is few.
            while step >= period:
                step -= period
                period *= self.factor
        return self.final + (self.initial - self.final) * (1 + math.cos(math.pi * step / period)) / 2

    @property
    def length(self) -> float:
        return self.steps * (1 + self.factor + self.factor**2)


@dataclass(frozen=True)
class Cyclic(Schedule):
    """Up from low to high in `up` steps and down again in `down` (as many by default), for ever.

    mode  "triangular"; "triangular2": the height is halved each cycle; "exp_range": it is multiplied by gamma each step;
          or a function of the number of the cycle, counted from 1, that gives the height's factor

    Smith 2017, "Cyclical learning rates for training neural networks", section 3.

    >>> [Cyclic(0.0, 1.0, up=2)(t) for t in range(5)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    low: float
    high: float
    up: float
    down: float | None = None
    mode: str | Callable[[int], float] = "triangular"
    gamma: float = 1.0

    def __post_init__(self) -> None:
        require(self, self.up > 0 and (self.down is None or self.down > 0), "up and down must be positive")
        require(self, callable(self.mode) or self.mode in ("triangular", "triangular2", "exp_range"), "no such mode")

    def at(self, step: float) -> float:
        down = self.up if self.down is None else self.down
        place = step % (self.up + down)
        height = place / self.up if place <= self.up else (self.up + down - place) / down
        return self.low + (self.high - self.low) * height * self._factor(1 + int(step // (self.up + down)), step)

    def _factor(self, cycle: int, step: float) -> float:
        if callable(self.mode):
            return self.mode(cycle)
        return {"triangular": 1.0, "triangular2": 2.0 ** (1 - cycle), "exp_range": self.gamma**step}[self.mode]

    @property
    def length(self) -> float:
        return 3 * (self.up + (self.up if self.down is None else self.down))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from peak / start to the peak in the fraction `warm` of `steps` steps, then down to peak / start / end.

    start        how much smaller the first value is than the peak
    end          how much smaller the last value is than the first
    curve        "cos" or "linear"
    three_phase  come down to the first value as fast as up, then go on to the last

    It is for `steps` steps, 0 to steps - 1; once more it can be asked, as schedulers do after the last step, and gives the last
    value. Smith & Topin 2019, "Super-convergence: very fast training of neural
    networks using large learning rates", section 3.
    """

    peak: float
    steps: int
    warm: float = 0.3
    start: float = 25.0
    end: float = 1e4
    curve: str = "cos"
    three_phase: bool = False

    def __post_init__(self) -> None:
        require(self, self.steps >= 1, "steps must be at least 1")
        require(self, 0 <= self.warm <= (0.5 if self.three_phase else 1), "warm must be in [0, 1], or [0, 0.5] with three phases")
        require(self, self.curve in ("cos", "linear"), 'curve must be "cos" or "linear"')

    def through(self, first: float, top: float, last: float) -> Schedule:
        """The cycle with other values: what cycles against it, such as a momentum."""
        turn = self.warm * self.steps - 1  # may be before step 0, which is on the way down then
        back = [(2 * turn, first)] if self.three_phase else []
        return _Phases(((0, first), (turn, top), *back, (self.steps - 1, last)), self.curve)

    def at(self, step: float) -> float:
        if step > self.steps:
            raise ValueError(f"{self!r} has no value at step {step}: it is over after {self.steps} steps")
        first = self.peak / self.start
        return self.through(first, self.peak, first / self.end).at(step)

    @property
    def length(self) -> float:
        return self.steps

    @property
    def shown(self) -> int:
        return self.steps - 1


@dataclass(frozen=True)
class _Phases(Schedule):
    """Through values at given steps; a step that is the end of several phases is the first one's."""

    points: tuple[tuple[float, float], ...]
    curve: str

    def at(self, step: float) -> float:
        for (start, first), (end, last) in pairwise(self.points):
            if step <= end:
                return first + (last - first) * CURVES[self.curve]((step - start) / (end - start) if end > start else 1.0)
        return self.points[-1][1]
