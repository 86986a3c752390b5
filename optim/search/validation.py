"""Scores that do not flatter: cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["cross_validated", "folds"]


def folds(samples: int, count: int, seed: int = 0) -> Iterator[tuple[Any, Any]]:
    """(training indices, test indices) for each fold; every sample is tested once, fold sizes differ by one at most.

    >>> [test.tolist() for _, test in folds(5, 2, seed=1)]
    [[4, 0, 1], [2, 3]]
    """
    if not 2 <= count <= samples:
        raise ValueError(f"folds: the number of folds must be in [2, {samples}], the number of samples, not {count}")
    parts = np.array_split(np.random.default_rng(seed).permutation(samples), count)
    for k, test in enumerate(parts):
        yield np.concatenate([part for i, part in enumerate(parts) if i != k]), test


def cross_validated(score: Callable[..., float], *arrays: Any, count: int = 5, seed: int = 0) -> Callable[..., float]:
    """An objective for the searches: the mean of `score(training arrays, test arrays, **hyperparameters)` over the folds.

    arrays  of one length, such as x and y; cut alike

    >>> x = np.arange(6.0)
    >>> objective = cross_validated(lambda train, test, shift: abs(train[0].mean() + shift - test[0].mean()), x, count=3)
    >>> objective(shift=0.0) > 0
    True
    """
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1:
        raise ValueError(f"cross_validated: the arrays must have one length, not {sorted(lengths)}")
    cuts = list(folds(lengths.pop(), count, seed))

    def objective(**hyperparameters: Any) -> float:
        scores = [score(tuple(a[train] for a in arrays), tuple(a[test] for a in arrays), **hyperparameters) for train, test in cuts]
        return float(np.mean(scores))

    return objective
