"""Suppose that a statistic of the argument was taken for a constant: its mean, norm, largest element...

Whatever the formula is, what is then missing of d(result k)/d(argument) is d(result k)/d(statistic), one number for each group of
elements, times the statistic's own derivative. That can be tested without knowing the formula.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_core.gradcheck.diagnosis.cases import Case

__all__ = ["statistic_constant"]

CLOSE = 1e-5


def _top(x: Any, axes: tuple[int, ...], largest: bool) -> Any:
    return (x == (x.max if largest else x.min)(axis=axes, keepdims=True)).astype(float)


def _exponentials(x: Any, axes: tuple[int, ...]) -> Any:
    return np.exp(x - x.max(axis=axes, keepdims=True))


# The derivative of each statistic of a group, up to a factor that is one for the group.
STATISTICS: dict[str, Callable[[Any, tuple[int, ...]], Any]] = {
    "the sum or mean": lambda x, axes: np.ones_like(x),
    "the norm, rms or sum of squares": lambda x, axes: x,
    "the variance or standard deviation": lambda x, axes: x - x.mean(axis=axes, keepdims=True),
    "the maximum": lambda x, axes: _top(x, axes, True),
    "the minimum": lambda x, axes: _top(x, axes, False),
    "the sum of exponentials": _exponentials,
    "the sum of absolute values": lambda x, axes: np.sign(x),
    "the product or geometric mean": lambda x, axes: 1 / x,
}


def statistic_constant(case: Case) -> str | None:
    """Which statistic, along which axes."""
    missing = _missing(case)
    if missing is None:
        return None
    for axes in _axes(case.x.shape):
        along = "" if len(axes) == case.x.ndim else f" along axis {' and '.join(map(str, axes))}"
        found = [(name, _unit(derivative(case.x, axes), axes)) for name, derivative in STATISTICS.items()]
        for name, direction in found:
            if _explains(missing, [direction], axes):
                return f"{name} of {case.name}{along} is taken for a constant"
        size = int(np.prod([case.x.shape[axis] for axis in axes]))
        for (one, first), (two, second) in itertools.combinations(found[:4], 2) if size > 3 else ():
            if _explains(missing, [first, second], axes):
                return f"{one}, and {two}, of {case.name}{along} are taken for constants"
    return None


def _missing(case: Case) -> Any:
    """What is missing of the Jacobian: (results, *shape of the argument); None if nothing can be said."""
    if not case.real or case.x.ndim == 0 or case.x.size < 3 or case.x.size != case.jacobian.shape[1]:
        return None
    claimed = case.claimed_jacobian
    if not np.isfinite(claimed).all():
        return None
    difference = (case.jacobian - claimed).reshape(-1, *case.x.shape)
    return difference if np.abs(difference).max(initial=0.0) > 1e-4 * np.abs(case.jacobian).max(initial=0.0) > 0 else None


def _axes(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The axes of a group: one, several, all; of groups of at least three elements, as two would prove little."""
    ndim = len(shape)
    for count in dict.fromkeys([1, ndim, *range(2, ndim)]):
        for axes in itertools.combinations(range(ndim), count):
            if np.prod([shape[axis] for axis in axes]) >= 3:
                yield axes


def _unit(direction: Any, axes: tuple[int, ...]) -> Any:
    with np.errstate(all="ignore"):
        return direction / np.sqrt((direction**2).sum(axis=axes, keepdims=True))


def _explains(missing: Any, directions: list[Any], axes: tuple[int, ...]) -> bool:
    """Whether in each group what is missing is a combination of the directions."""
    inner = tuple(axis + 1 for axis in axes)
    rest = missing
    basis: list[Any] = []
    with np.errstate(all="ignore"):
        for direction in directions:
            for other in basis:
                direction = direction - (direction * other).sum(axis=axes, keepdims=True) * other
            direction = _unit(direction, axes)
            basis.append(direction)
            rest = rest - (rest * direction).sum(axis=inner, keepdims=True) * direction
    return bool(np.isfinite(rest).all() and np.abs(rest).max() <= CLOSE * np.abs(missing).max())
