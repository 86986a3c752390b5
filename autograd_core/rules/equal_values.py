"""Where eigenvalues or singular values are equal: the limit of a divided difference, or nan and a warning.

The rules for vectors divide N_ij, what a turn of vector i towards vector j does to the loss, by the difference of their values. Of equal
values any turned vectors are as good. A loss that depends on the choice has no derivative: nan, and a RuntimeWarning. To one that
does not (a projector, U f(S) V^H, V f(W) V^H) N_ij is 0, and the quotient has a limit: the derivative of N_ij as the values part,
while the vectors stay. The graph above the decomposition knows it. So such passes are recorded ones (`passes.ASKS_FOR_GRAPH`), in which N
is differentiated along the values, forward by two passes back.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.arrays.duals import ForwardModeError, has_tangents, refuse_tangents
from autograd_core.arrays.layers import for_any
from autograd_core.rules.matrices import precision
from autograd_core.tape.node import Node, program_order
from autograd_core.tensor.backward import gradients_of, partial_gradients
from autograd_core.tensor.handles import plain, raw, untracked
from autograd_core.tensor.passes import SEEDS_ARE_CONSTANT

__all__ = ["Decomposition", "are_zero", "equal_pairs", "size_of"]


def _noise(values: Any) -> Any:
    """How much rounding can change eigenvalues or singular values (..., n), of which the largest is of this size."""
    return 8 * values.shape[-1] * precision(values.dtype) * np.abs(values).max(axis=-1, initial=0.0)[..., None]


def equal_pairs(values: Any) -> Any:
    """Which pairs (..., n, n) of different places hold values that rounding could have made different."""
    values = plain(values)
    near = np.abs(values[..., None, :] - values[..., :, None]) <= _noise(values)[..., None]
    return near & ~np.eye(values.shape[-1], dtype=bool)


def size_of(*matrices: Any) -> Any:
    """The largest absolute value in any of some matrices (..., m, n), as (..., 1, 1)."""
    return functools.reduce(np.maximum, [np.abs(plain(m)).max(axis=(-2, -1), keepdims=True, initial=0.0) for m in matrices])


def are_zero(values: Any) -> Any:
    """Which singular values are 0 but for rounding."""
    values = plain(values)
    return values <= _noise(values)


class Decomposition:
    """A decomposition in a recorded pass, and how the graph above it depends on its values.

    node       of the decomposition; None if the pass is not recorded
    places     op's name -> place of the values among its results; None if they are all that it returns
    direction  c (..., n) -> the matrix by which the decomposed one changes as its values change by c
    signs      by which the values were multiplied since
    """

    def __init__(
        self, function: str, what: str, vectors: Any, places: dict[str, int | None], direction: Callable[[Any], Any], signs: Any = 1.0
    ) -> None:
        if has_tangents(raw(vectors)):
            raise ForwardModeError(f"{function}: the derivative for equal {what} is found by backward passes")
        self.function, self.what = function, what
        picked = getattr(vectors, "node", None)
        node = picked.parents[0] if picked is not None and picked.parents else None
        self.node: Any = node if node is not None and node.op.name in places else None
        self.places = places
        self.direction = direction
        self.signs = signs

    def divided(self, n: Any, gap: Any, equal: Any, scale: Any, of_sums: bool = False) -> Any:
        """The quotient n / gap (..., k, k), and where `equal` its limit, or nan and a warning where there is none.

        scale    (..., 1, 1) the largest number that n was computed from: what of n is rounding
        of_sums  gap[i, j] is the sum of values i and j, both of which are 0, instead of their difference
        """
        free = equal & self._vanishes(n, scale)
        bound = equal & ~free
        if for_any(bound):
            self._warn()
        result = n / np.where(bound, math.nan, np.where(free, math.inf, gap))
        return result + np.where(free, self._limit(n, free, of_sums), 0.0) if for_any(free) else result

    def _vanishes(self, n: Any, scale: Any) -> Any:
        """Where `n` is 0 but for rounding, and would be for any gradients of this size: not if all are 0, as those of a probe are."""
        if self.node is None:
            return False
        probed = (scale == 0) & (not SEEDS_ARE_CONSTANT.get())
        if for_any(probed):
            refuse_tangents(self.function)
        return (np.abs(plain(n)) <= precision(n.dtype) ** 0.5 * scale) & ~probed

    def divided_by_zeros(self, x: Any, values: Any, zero: Any, scale: Any) -> Any:
        """The columns of x (..., m, k) divided by `values` (..., k), and their limits where those are `zero`."""
        if not for_any(zero):
            return x / values[..., None, :]
        column = zero[..., None, :] & np.ones(x.shape[-2:], bool)
        free = column & self._vanishes(x, scale)
        bound = column & ~free
        if for_any(bound):
            self._warn()
        result = x / np.where(bound, math.nan, np.where(free, math.inf, values[..., None, :]))
        if not for_any(free):
            return result
        return result + np.where(free, self._along(x, zero.astype(plain(values).dtype)), 0.0)

    def _warn(self) -> None:
        warnings.warn(
            f"{self.function}: some {self.what} are equal, so their vectors are not determined and the gradient through them is nan; "
            "perturb the matrix, or use functions of it that do not depend on the choice of vectors",
            RuntimeWarning,
            stacklevel=2,
        )

    def _limit(self, n: Any, free: Any, of_sums: bool) -> Any:
        """Half of dn[i, j]/dw_j - dn[i, j]/dw_i, or of the sum of both: symmetric, so that its own derivative is right too."""
        count = free.shape[-1]
        kind = n.real.dtype
        places = np.arange(count).astype(kind)
        ones = free.any(axis=-1).astype(kind)
        together = self._along(n, ones)
        if of_sums:
            return together / 2
        apart = self._along(n, ones * places)
        mean = (places[:, None] + places) / 2
        return (apart - mean * together) / (places - places[:, None] + np.eye(count, dtype=kind))

    def _along(self, n: Any, c: Any) -> Any:
        """The derivative of `n` as the values change by `c` and the vectors stay: by two passes back, the second from the first."""
        if getattr(n, "node", None) is None:
            return np.zeros_like(plain(n))
        probe = untracked(np.zeros_like(plain(n)))
        probe.requires_grad = True
        ends, values = self._ends(n.node)
        matrix = self.node.parents[0]
        found = partial_gradients([n], [*ends, matrix], [probe], create_graph=True)
        parts = [np.sum(part * (c * self.signs)) for end, part in zip(ends, found, strict=False) if part is not None and end in values]
        if found[-1] is not None:
            parts.append(np.sum(np.real(found[-1].conjugate() * self.direction(c))))
        total = sum(parts)
        slope = gradients_of(total, probe, None, create_graph=True, allow_unused=True, retain_graph=True) if getattr(total, "node", None) else None
        return np.zeros_like(plain(n)) if slope is None else slope

    def _ends(self, root: Node) -> tuple[list[Node], set[Node]]:
        """The results of this and other decompositions of the same matrix in the history of `root`, and which of them are values."""
        history = program_order([root])[0]
        family = {self.node} | {node for node in history if node.op.name in self.places and node.parents == self.node.parents}
        ends, values = [], set()
        for node in history:
            if node in family and self.places[node.op.name] is None:
                ends.append(node)
                values.add(node)
            elif node.parents[0] in family and self.places[node.parents[0].op.name] is not None:
                ends.append(node)
                if node.op.name == f"output {self.places[node.parents[0].op.name]}":
                    values.add(node)
        return ends, values
