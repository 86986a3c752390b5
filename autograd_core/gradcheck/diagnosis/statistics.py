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

__all__ = ["inner_constants", "statistic_constant"]

CLOSE = 1e-5


def _top(x: Any, largest: bool) -> Any:
    return (x == (x.max if largest else x.min)(axis=1, keepdims=True)).astype(float)


def _exponentials(x: Any) -> Any:
    return np.exp(x - x.max(axis=1, keepdims=True))


# The derivative of each statistic of the rows of a matrix, up to a factor that is one for the row.
STATISTICS: dict[str, Callable[[Any], Any]] = {
    "the sum or mean": lambda x: np.ones_like(x),
    "the norm, rms or sum of squares": lambda x: x,
    "the variance or standard deviation": lambda x: x - x.mean(axis=1, keepdims=True),
    "the maximum": lambda x: _top(x, True),
    "the minimum": lambda x: _top(x, False),
    "the sum of exponentials": _exponentials,
    "the sum of absolute values": lambda x: np.sign(x),
    "the product or geometric mean": lambda x: 1 / x,
}


def statistic_constant(case: Case) -> str | None:
    """Which statistic, and of which groups of elements."""
    missing = _missing(case)
    if missing is None:
        return None
    for along, groups in _groupings(case):
        x = case.x.reshape(-1)[groups]
        found = [(name, _unit(derivative(x))) for name, derivative in STATISTICS.items()]
        for name, direction in found:
            if name in ("the maximum", "the minimum") and not _in_several_results(missing):
                continue  # one wrong element would look like that too
            if _explains(missing[:, groups], [direction]):
                return f"{name} of {case.name}{along} is taken for a constant"
        for (one, first), (two, second) in itertools.combinations(found[:4], 2) if groups.shape[1] > 3 else ():
            if _explains(missing[:, groups], [first, second]):
                return f"{one}, and {two}, of {case.name}{along} are taken for constants"
    return None


def _in_several_results(missing: Any) -> bool:
    """Whether what is missing of each element is missing in several results."""
    there = (np.abs(missing) > 1e-6 * np.abs(missing).max()).sum(axis=0)
    return bool((there[there > 0] > 1).all())


def inner_constants(case: Case) -> str | None:
    """What is missing of the Jacobian has a low rank: it goes through a few numbers."""
    missing = _missing(case)
    if missing is None or min(missing.shape) < 4:
        return None
    sizes = np.linalg.svd(missing, compute_uv=False)
    rank = int(np.count_nonzero(sizes > 1e-6 * sizes[0]))
    if rank > min(missing.shape) // 2:
        return None
    numbers = "one number that depends" if rank == 1 else f"{rank} numbers that depend"
    through = f"what is missing goes through {numbers} on {case.name} (a sum, a mean, a norm)"
    return f"{through}, as if constant: the missing part of the Jacobian has rank {rank}"


def _missing(case: Case) -> Any:
    """What is missing of the Jacobian: (results, elements of the argument); None if nothing can be said."""
    if not case.real or case.x.ndim == 0 or case.x.size < 3 or case.x.size != case.jacobian.shape[1]:
        return None
    claimed = case.claimed_jacobian
    if not np.isfinite(claimed).all():
        return None
    difference = case.jacobian - claimed
    return difference if np.abs(difference).max(initial=0.0) > 1e-4 * np.abs(case.jacobian).max(initial=0.0) > 0 else None


def _groupings(case: Case) -> Iterator[tuple[str, Any]]:
    """Groups of at least three elements (two would prove little), as rows of indices: along axes, and of elements that the value
    couples."""
    shape, ndim = case.x.shape, case.x.ndim
    places = np.arange(case.x.size).reshape(shape)
    for count in dict.fromkeys([1, ndim, *range(2, ndim)]):
        for axes in itertools.combinations(range(ndim), count):
            size = int(np.prod([shape[axis] for axis in axes]))
            if size >= 3:
                along = "" if count == ndim else f" along axis {' and '.join(map(str, axes))}"
                yield along, np.moveaxis(places, axes, range(ndim - count, ndim)).reshape(-1, size)
    groups = _coupled(case.jacobian)
    sizes = {len(group) for group in groups}
    if len(groups) > 1 and len(sizes) == 1 and sizes.pop() >= 3:
        yield " of each group of elements that the value couples", np.array(groups)


def _coupled(jacobian: Any) -> list[list[int]]:
    """The elements of the argument in groups that have results in common."""
    touched = np.abs(jacobian) > 1e-9 * np.abs(jacobian).max(initial=0.0)
    label = np.arange(jacobian.shape[1])
    for row in touched:
        members = np.unique(label[row])
        if members.size > 1:
            label[np.isin(label, members)] = members[0]
    return [np.flatnonzero(label == value).tolist() for value in np.unique(label)]


def _unit(direction: Any) -> Any:
    with np.errstate(all="ignore"):
        return direction / np.sqrt((direction**2).sum(axis=1, keepdims=True))


def _explains(missing: Any, directions: list[Any]) -> bool:
    """Whether in each group what is missing is a combination of the directions."""
    rest = missing
    basis: list[Any] = []
    with np.errstate(all="ignore"):
        for direction in directions:
            for other in basis:
                direction = direction - (direction * other).sum(axis=1, keepdims=True) * other
            direction = _unit(direction)
            basis.append(direction)
            rest = rest - (rest * direction).sum(axis=2, keepdims=True) * direction
    return bool(np.isfinite(rest).all() and np.abs(rest).max() <= CLOSE * np.abs(missing).max())
