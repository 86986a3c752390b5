"""What every schedule is: a value that depends on the step, and that can be calculated with and plotted."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Constant", "Schedule", "value_at"]


class Schedule:
    """A number that depends on the step, counted from 0. Subclasses define `at(step)`.

    Schedules and numbers can be added, subtracted, multiplied, divided and raised to powers; the result is a schedule.
    """

    def at(self, step: float) -> float:
        """The value at `step`, which is >= 0."""
        raise NotImplementedError(f"{type(self).__name__} defines no at(self, step)")

    def __call__(self, step: float) -> float:
        """The value at `step`; ValueError for a negative step, or where the formula has no value."""
        if not step >= 0:
            raise ValueError(f"{self!r} was asked for step {step}; schedules begin at step 0")
        try:
            value = self.at(step)
        except (ZeroDivisionError, OverflowError) as error:
            raise ValueError(f"{self!r} has no value at step {step}: {error}") from error
        if isinstance(value, complex) or value != value:
            raise ValueError(f"{self!r} has no value at step {step}: its formula gives {value}")
        return float(value)

    def clipped(self, low: float = -math.inf, high: float = math.inf) -> Schedule:
        """This schedule, kept within [low, high]: `Exponential(0.1, factor=0.9).clipped(low=1e-4)`."""
        if not low <= high:
            raise ValueError(f"{self!r}: clipped needs low <= high, not {low} and {high}")
        return _Clipped(self, low, high)

    @property
    def length(self) -> float:
        """After how many steps nothing changes any more, or a period is over; inf if there is no such step."""
        return math.inf

    @property
    def shown(self) -> int:
        """How many steps `plot` draws if it is not told."""
        return 1000 if math.isinf(self.length) else max(1, math.ceil(1.1 * self.length))

    def plot(self, steps: int | None = None, axes: Any = None) -> Any:
        """Draw the values of the first `steps` steps (by default all, if the schedule has an end; else 1000) and return the axes."""
        try:
            from matplotlib import pyplot
        except ModuleNotFoundError:
            raise ModuleNotFoundError('plotting a schedule needs matplotlib: pip install "autograd-core[viz]"', name="matplotlib") from None
        steps = self.shown if steps is None else steps
        axes = pyplot.subplots(figsize=(6, 3), layout="constrained")[1] if axes is None else axes
        axes.plot(range(steps + 1), [self(step) for step in range(steps + 1)], label=repr(self))
        axes.set(xlabel="step", ylabel="value")
        axes.grid(alpha=0.25)
        return axes

    def __add__(self, other: Any) -> Schedule:
        return _combined("+", self, other)

    def __radd__(self, other: Any) -> Schedule:
        return _combined("+", other, self)

    def __sub__(self, other: Any) -> Schedule:
        return _combined("-", self, other)

    def __rsub__(self, other: Any) -> Schedule:
        return _combined("-", other, self)

    def __mul__(self, other: Any) -> Schedule:
        return _combined("*", self, other)

    def __rmul__(self, other: Any) -> Schedule:
        return _combined("*", other, self)

    def __truediv__(self, other: Any) -> Schedule:
        return _combined("/", self, other)

    def __rtruediv__(self, other: Any) -> Schedule:
        return _combined("/", other, self)

    def __pow__(self, other: Any) -> Schedule:
        return _combined("**", self, other)

    def __rpow__(self, other: Any) -> Schedule:
        return _combined("**", other, self)

    def __neg__(self) -> Schedule:
        return _combined("*", -1.0, self)


def value_at(value: Any, step: float) -> float:
    """The value of a number or a schedule at `step`."""
    return float(value(step)) if callable(value) else float(value)


@dataclass(frozen=True)
class Constant(Schedule):
    """The same value at every step."""

    value: float

    def at(self, step: float) -> float:
        return self.value

    @property
    def length(self) -> float:
        return 0


OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
}


@dataclass(frozen=True, repr=False)
class _Combined(Schedule):
    """Two schedules, or a schedule and a number, joined by an operator."""

    symbol: str
    left: Any
    right: Any

    def at(self, step: float) -> float:
        return OPERATORS[self.symbol](value_at(self.left, step), value_at(self.right, step))

    @property
    def length(self) -> float:
        return max(part.length for part in (self.left, self.right) if isinstance(part, Schedule))

    def __repr__(self) -> str:
        return f"({self.left!r} {self.symbol} {self.right!r})"


@dataclass(frozen=True, repr=False)
class _Clipped(Schedule):
    """A schedule whose values are kept within bounds."""

    inner: Schedule
    low: float
    high: float

    def at(self, step: float) -> float:
        return min(max(self.inner(step), self.low), self.high)

    @property
    def length(self) -> float:
        return self.inner.length

    def __repr__(self) -> str:
        return f"{self.inner!r}.clipped({self.low}, {self.high})"


def _combined(symbol: str, left: Any, right: Any) -> Schedule:
    if not all(callable(part) or isinstance(part, int | float) for part in (left, right)):
        return NotImplemented
    return _Combined(symbol, left, right)
