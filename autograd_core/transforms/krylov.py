"""Solve A x = b where A is known by its products only: GMRES (Saad & Schultz 1986), on plain arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["gmres"]


def gmres(product: Callable[[Any], Any], b: Any, tolerance: float, restart: int = 100, rounds: int = 20) -> Any:
    """The x with ||A x - b|| <= tolerance * ||b||, for `product(v)` = A v and vectors (n,).

    restart  directions that are kept at a time
    raises   RuntimeError with the residual reached, if A is singular or `rounds` restarts are not enough

    >>> A = np.array([[4.0, 1.0], [0.0, 2.0]])
    >>> np.round(gmres(lambda v: A @ v, np.array([6.0, 4.0]), 1e-12), 12)
    array([1., 2.])
    """
    size = float(np.linalg.norm(b))
    x = np.zeros_like(b)
    if size == 0:
        return x
    reached = size
    for _ in range(rounds):
        x = x + _smallest_residual(product, b - product(x), tolerance * size, min(restart, b.size))
        before, reached = reached, float(np.linalg.norm(b - product(x)))
        if reached <= max(tolerance, 10 * np.finfo(b.dtype).eps) * size:
            return x
        if not reached < before:
            break
    raise RuntimeError(
        f"the linear system of the implicit function theorem could not be solved: relative residual {reached / size:.2g}; "
        "the Jacobian is singular at the solution (a double root, or a fixed point that is not isolated)"
    )


def _smallest_residual(product: Callable[[Any], Any], residual: Any, enough: float, directions: int) -> Any:
    """The combination of residual, A residual, A^2 residual, ... that leaves the smallest residual."""
    length = np.linalg.norm(residual)
    if length <= enough:
        return np.zeros_like(residual)
    basis = [residual / length]
    h = np.zeros((directions + 1, directions), dtype=residual.dtype)
    target = np.zeros(directions + 1, dtype=residual.dtype)
    target[0] = length
    weights: Any = np.zeros(0, dtype=residual.dtype)
    for k in range(directions):
        w = product(basis[k])
        scale = np.linalg.norm(w)
        for _ in range(2):  # twice is enough (Giraud, Langou, Rozloznik 2005)
            for i, v in enumerate(basis):
                along = np.vdot(v, w)
                h[i, k] += along
                w = w - along * v
        h[k + 1, k] = np.linalg.norm(w)
        weights = np.linalg.lstsq(h[: k + 2, : k + 1], target[: k + 2], rcond=None)[0]
        left = np.linalg.norm(h[: k + 2, : k + 1] @ weights - target[: k + 2])
        if left <= enough or abs(h[k + 1, k]) <= 10 * np.finfo(residual.dtype).eps * scale:
            break
        basis.append(w / h[k + 1, k])
    return np.stack(basis[: len(weights)], axis=1) @ weights
