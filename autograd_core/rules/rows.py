"""Reducing over several axes at once: the reduced axes as one last axis, and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.arrays.shapes import normalise_axes

__all__ = ["as_rows", "from_rows"]


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
