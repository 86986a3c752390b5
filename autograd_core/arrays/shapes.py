"""Shape algebra shared by the sweep and the rules: undoing broadcasts, normalising axes, bringing axes together."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

__all__ = ["as_rows", "from_rows", "keep_reduced_axes", "normalise_axes", "reduced_size", "unbroadcast"]


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum `g` back to `shape`: the adjoint of NumPy broadcasting.

    g : (..., n_1, ..., n_k) gradient of a result that `shape` was broadcast to
    returns : an array of exactly `shape`; `g` itself when nothing was broadcast (no copy)
    raises : ValueError if `shape` does not broadcast to `g.shape`

    A size-1 axis was copied n times, so its gradient is the sum of n gradients.

    >>> import numpy as np
    >>> unbroadcast(np.ones((4, 2, 3)), (2, 1))
    array([[12.],
           [12.]])
    """
    given = g.shape
    if given == shape:
        return g
    lead = len(given) - len(shape)
    if lead < 0 or any(n not in (1, m) for n, m in zip(shape, given[lead:], strict=True)):
        raise ValueError(f"shape {shape} does not broadcast to {given}")
    copied = [axis for axis, n in enumerate(shape, lead) if n == 1 and given[axis] != 1]
    if copied or lead:
        g = g.sum(axis=(*range(lead), *copied))
    return g if g.shape == shape else g.reshape(shape)


def normalise_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes that `axis` (None, an int or a tuple, negative allowed) means on an array of `ndim` dimensions.

    >>> normalise_axes(None, 3), normalise_axes(-1, 3), normalise_axes((0, -1), 3)
    ((0, 1, 2), (2,), (0, 2))
    """
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    return tuple(operator.index(a) % ndim if ndim else 0 for a in axes)


def reduced_size(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements a reduction over `axis` folds into one.

    >>> reduced_size((2, 3, 4), (0, -1))
    8
    """
    # math.prod, not np.prod: a NumPy integer would promote float32 to float64 (NEP 50).
    return math.prod(shape[a] for a in normalise_axes(axis, len(shape))) if shape else 1


def keep_reduced_axes(g: Any, axis: Any, keepdims: Any, ndim: int) -> Any:
    """Give the gradient of a reduction its reduced axes back, with size 1, so that it broadcasts against the input.

    >>> import numpy as np
    >>> keep_reduced_axes(np.ones(2), 1, False, 2).shape
    (2, 1)
    """
    if keepdims is True or ndim == 0 or g.ndim == ndim:
        return g
    axes = normalise_axes(axis, ndim)
    shape = iter(g.shape)
    return g.reshape(tuple(1 if a in axes else next(shape) for a in range(ndim)))


# --- reducing over several axes at once: the reduced axes as one last axis, and back ---------------------------------------------


def _order(axis: Any, ndim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    axes = normalise_axes(axis, ndim)
    return tuple(k for k in range(ndim) if k not in axes), axes


def as_rows(a: Any, axis: Any) -> Any:
    """`a` with the axes of `axis` moved to the end and made one.

    >>> as_rows(np.zeros((2, 3, 4)), (0, 2)).shape
    (3, 8)
    """
    kept, axes = _order(axis, a.ndim)
    shape = (*[a.shape[k] for k in kept], math.prod(a.shape[k] for k in axes))
    return np.transpose(a, (*kept, *axes)).reshape(shape)


def from_rows(rows: Any, axis: Any, shape: tuple[int, ...]) -> Any:
    """What `as_rows` made of an array of `shape`, turned back.

    >>> from_rows(np.zeros((3, 8)), (0, 2), (2, 3, 4)).shape
    (2, 3, 4)
    """
    kept, axes = _order(axis, len(shape))
    order = (*kept, *axes)
    return np.transpose(rows.reshape(tuple(shape[k] for k in order)), sorted(range(len(shape)), key=order.__getitem__))
