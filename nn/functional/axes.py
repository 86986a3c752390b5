"""Linear maps along one axis: as a product with a matrix where that is quicker than element by element, which is nearly always."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

__all__ = ["AxisMap", "as_product", "repeat"]

_LONGEST = 512  # elements along the axis; of more, a product with the many zeros takes longer


class AxisMap(Protocol):
    """A linear map from `length` elements: its matrix (count, length), which is made when first asked for."""

    length: int

    @property
    def matrix(self) -> Any:
        """The matrix, float64."""


def as_product(x: Any, along: AxisMap, axis: int, transposed: bool = False) -> Any:
    """The map, or its transpose, of each row of `x` along `axis` < 0; None if it should be computed from the few elements that count.

    A product mixes what the matrix has zeros for: an infinity times 0 is nan. So `x` must be finite.
    """
    if not isinstance(x, np.ndarray) or x.dtype.char not in "fd" or along.length > _LONGEST or not x.size:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        if not math.isfinite(x.sum()):
            return None
    matrix = (along.matrix.T if transposed else along.matrix).astype(x.dtype, copy=False)
    if axis == -1:
        return np.matmul(x, matrix.T)
    before, after = x.shape[:axis], x.shape[x.ndim + axis + 1 :]
    rows = x.reshape((math.prod(before), x.shape[axis], math.prod(after)))
    return np.matmul(matrix, rows).reshape((*before, len(matrix), *after))


def repeat(x: Any, times: int, axis: int) -> Any:
    """`np.repeat` along `axis` < 0, in one copy: it copies element by element."""
    before, after = x.shape[: x.ndim + axis + 1], x.shape[x.ndim + axis + 1 :]
    out = np.empty_like(x, shape=(*before, times, *after))
    out[...] = x.reshape((*before, 1, *after))
    return out.reshape((*before[:-1], before[-1] * times, *after))
