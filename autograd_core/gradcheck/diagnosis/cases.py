"""A case: one argument at a place where its gradient is wrong, with what a supposed mistake is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.gradcheck.numeric.differences import central_derivatives
from autograd_core.gradcheck.numeric.spots import RuleFailed, Spot

__all__ = ["Case", "numeric_jacobian", "ratios", "same"]

SAME = 1e-6  # relative to the largest element: two gradients that agree so well are taken to be one


class Case:
    """One argument of a subject at a place where its gradient is wrong.

    given, right   the claimed and the numeric gradient, of the argument's shape (pairs of numbers if it is complex)
    jacobian       d(result)/d(argument), (size of result, size of argument);  others: the same for all arguments, by number
    """

    def __init__(self, spot: Spot, argument: int) -> None:
        self.spot = spot
        self.argument = argument
        self.name = spot.subject.names[argument]
        self.x = spot.arrays[argument]
        self.part = spot.inputs.parts[argument]
        self.g = spot.g
        self.real = all(a.dtype.kind != "c" for a in [*spot.arrays, *spot.results])
        self.shape = self.x.shape if self.x.dtype.kind != "c" else (*self.x.shape, 2)
        self.given = spot.claimed[self.part].reshape(self.shape)
        if spot.jacobian is None:
            spot.jacobian = numeric_jacobian(spot)
        self.all = spot.jacobian
        self.jacobian = self.all[:, self.part]
        self.right = (self.g @ self.jacobian).reshape(self.shape)
        self._claimed: Any = None

    @property
    def claimed_jacobian(self) -> Any:
        """The Jacobian that the rule claims: its answers to incoming gradients with a single one."""
        if self._claimed is None:
            rows = []
            for k in range(self.spot.y.size):
                unit = np.zeros(self.spot.y.size)
                unit[k] = 1.0
                try:
                    rows.append(self.spot.gradient(self.spot.copies(), self.with_dtypes(unit))[self.part])
                except RuleFailed:
                    rows.append(np.full(self.part.stop - self.part.start, np.nan))
            self._claimed = np.array(rows).reshape(self.jacobian.shape)
        return self._claimed

    def with_dtypes(self, g: Any) -> list[Any]:
        """The incoming gradients, as arrays, from their vector."""
        return [a.astype(r.dtype) for a, r in zip(self.spot.outputs.split(g), self.spot.results, strict=True)]

    def is_given(self, supposed: Any) -> bool:
        """Whether the claimed gradient is `supposed` (and that is not the right one)."""
        supposed = np.asarray(supposed)
        return supposed.shape == self.given.shape and same(supposed, self.given) and not same(supposed, self.right)

    def from_g(self, g: Any) -> Any:
        """The gradient for another incoming gradient."""
        return (np.asarray(g).reshape(-1) @ self.jacobian).reshape(self.shape)


def numeric_jacobian(spot: Spot) -> Any:
    """d(result)/d(all arguments), with short steps where the usual ones cross a kink."""
    jacobian, bound = np.zeros((0, 0)), np.zeros((0, 0))
    for factor in (1.0, 2.0**-10):
        rows = np.diag(spot.scale * factor)
        found = central_derivatives(spot.function, spot.x, rows, None, spot.y, spot.eps)
        estimate, error = (found.estimate / (spot.scale[:, None] * factor)).T, (found.bound / (spot.scale[:, None] * factor)).T
        if jacobian.size:
            estimate, error = np.where(error < bound, estimate, jacobian), np.minimum(error, bound)
        jacobian, bound = estimate, error
        if bound.size and bound.max() <= 1e-8 * np.abs(jacobian).max():
            break
    return jacobian


def same(a: Any, b: Any) -> bool:
    """Whether two arrays agree but for rounding, relative to the largest element."""
    with np.errstate(all="ignore"):
        largest = max(float(np.max(np.abs(a), initial=0.0)), float(np.max(np.abs(b), initial=0.0)))
        return bool(np.isfinite(largest) and np.all(np.abs(a - b) <= SAME * largest))


def ratios(case: Case) -> Any:
    """Given / right where the right one is not negligible."""
    with np.errstate(all="ignore"):
        counts = np.abs(case.right) > 1e-5 * np.max(np.abs(case.right), initial=0.0)
        return (case.given / case.right)[counts]
