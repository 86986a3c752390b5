"""Conjugate gradients: solve A x = b for a symmetric A of which only products are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Solution", "conjugate_gradients"]


class Solution(NamedTuple):
    """What was found: x, how many products it took, and whether a direction of negative curvature ended the search."""

    x: Any
    iterations: int
    negative_curvature: bool


def conjugate_gradients(product: Callable[[Any], Any], b: Any, tolerance: float, max_iterations: int) -> Solution:
    """Solve A x = b from x = 0 until |A x - b| <= tolerance |b|, or a direction d with d^T A d <= 0 is met.

    Then x is what was found before it; at the first step, b itself, which is a direction of descent all the same.
    Nocedal & Wright 2006, "Numerical optimization", algorithm 7.1.

    >>> conjugate_gradients(lambda v: np.array([2.0, 4.0]) * v, np.array([2.0, 4.0]), 1e-10, 10).x
    array([1., 1.])
    """
    x = np.zeros_like(b)
    residual = -b
    direction = b.copy()
    square = float(residual @ residual)
    goal = (tolerance**2) * square
    for iteration in range(max_iterations):
        if square <= goal:
            return Solution(x, iteration, False)
        image = product(direction)
        curvature = float(direction @ image)
        if curvature <= 0:
            return Solution(x if iteration else b.copy(), iteration + 1, True)
        alpha = square / curvature
        x = x + alpha * direction
        residual = residual + alpha * image
        previous, square = square, float(residual @ residual)
        direction = (square / previous) * direction - residual
    return Solution(x, max_iterations, False)
