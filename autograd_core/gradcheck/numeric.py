"""Numeric derivatives, each with a bound of its own error.

Central differences at a ladder of steps, extrapolated to step zero (Richardson). The differences between extrapolations of
neighbouring order tell the truncation error, the magnitude of the values the rounding error; what is returned is the estimate
for which their sum is least. Everything is real here: a complex number counts as its real and its imaginary part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["as_complex_array", "as_kind", "as_real", "derivative_along", "precision", "step_scale"]

LEVELS = 5  # steps on the ladder, each half of the one before
FIRST_STEP = 2.0**-6  # of the scale of the argument


def as_real(arrays: Sequence[Any]) -> Any:
    """All elements of `arrays` in one real vector; complex ones as pairs."""
    parts = [np.ascontiguousarray(a).reshape(-1).view(a.real.dtype).astype(np.float64, copy=False) for a in arrays]
    return np.concatenate(parts) if parts else np.zeros(0)


def as_kind(array: Any, like: Any) -> Any:
    """`array` as complex or real as `like` is: `np.emath.sqrt` and its kind return one or the other, depending on values."""
    if array.dtype.kind == like.dtype.kind:
        return array
    return array.real if array.dtype.kind == "c" else array.astype(like.dtype)


def as_complex_array(vector: Any, like: Any) -> Any:
    """The array of the shape and dtype of `like` from its part of a real vector."""
    real = vector.astype(like.real.dtype, copy=False)
    return (real.view(like.dtype) if like.dtype.kind == "c" else real).reshape(like.shape)


def step_scale(vector: Any) -> Any:
    """What a step is small against, per element: its own size, but not less than a little of the typical one.

    Elements that are nan or infinite have no size; functions that ignore nan are checked with some.
    """
    sizes = np.where(np.isfinite(vector), np.abs(vector), 0.0)
    typical = float(sizes.mean()) if vector.size else 1.0
    return np.maximum(sizes, 0.1 * typical if typical > 0 else 1.0)


def precision(arrays: Sequence[Any]) -> float:
    """The distance from 1 to the next number, in the coarsest dtype among `arrays`."""
    return max((float(np.finfo(a.dtype).eps) for a in arrays), default=float(np.finfo(np.float64).eps))


def derivative_along(function: Callable[[float], Any], scale: float, eps: float) -> tuple[Any, Any]:
    """The derivative of `function`, from a number to a real vector, at 0; and a bound of its error, per element.

    scale : what a step is small against
    eps : to which fraction the values are rounded
    """
    table: list[list[Any]] = []
    best: Any = None
    bound: Any = None
    magnitude: Any = 0.0
    for level in range(LEVELS):
        step = FIRST_STEP * scale * 0.5**level
        above, below = function(step), function(-step)
        magnitude = np.maximum(magnitude, np.maximum(np.abs(above), np.abs(below)))
        row = [(above - below) / (2 * step)]
        for k in range(level):
            row.append(row[k] + (row[k] - table[-1][k]) / (4.0 ** (k + 1) - 1))
        rounding = 8 * eps * magnitude / step
        if level:
            for k in range(1, level + 1):
                error = 2 * np.maximum(np.abs(row[k] - row[k - 1]), np.abs(row[k] - table[-1][k - 1])) + rounding
                if best is None:
                    best, bound = row[k], error
                else:
                    better = error < bound
                    best, bound = np.where(better, row[k], best), np.where(better, error, bound)
        table.append(row)
    return best, bound
