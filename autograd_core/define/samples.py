"""Sample calls: what an operation is tried on by the tests, the gradient checker and the coverage table.

They stand beside the rule, as `samples=lambda a: [call(a(2, 3), axis=0), ...]`, and are made only when asked for. `a` is an
`Arrays`: it makes generic arrays (no ties, no zeros, far from kinks), so that numeric derivatives are exact enough.
An elementwise function needs none: its `domain` says where its arguments may lie, and the shapes are made here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Arrays", "Call", "call", "calls_of", "elementwise_calls"]


# Without `from __future__ import annotations`: a named tuple compiles each annotation that is text, when it is imported.
class Call(NamedTuple):
    """One sample: the arguments of a call, and why the gradient checker is not to vary them ("" if it may)."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    as_it_is: str = ""

    def only(self, because: str) -> "Call":
        """The same sample, which is checked as it is: of an operation that relies on what its callers make sure of."""
        return self._replace(as_it_is=because)


def call(*args: Any, **kwargs: Any) -> Call:
    """A sample call with these arguments."""
    return Call(args, kwargs)


class Arrays:
    """Makes sample arrays from a seed.

    >>> Arrays(0)(2, 3).shape
    (2, 3)
    """

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)

    def __call__(self, *shape: int, low: float = -2.0, high: float = 2.0) -> Any:
        """Floats spread over (low, high): all different, none near zero, an end or one another."""
        size = int(np.prod(shape, dtype=int))
        places = (np.arange(size) + 0.5 + self.random.uniform(-0.2, 0.2, size)) / max(size, 1)
        values = low + (high - low) * places
        near_zero = np.abs(values) < 0.05
        values = np.where(near_zero, values + 0.07 * (high - low) / max(size, 1) + 0.05, values) if low < 0 < high else values
        return self.random.permutation(values).reshape(shape)

    def positive(self, *shape: int) -> Any:
        """Floats in (0.3, 3)."""
        return self(*shape, low=0.3, high=3.0)

    def complex(self, *shape: int) -> Any:
        """Complex numbers with both parts generic."""
        return self(*shape) + 1j * self(*shape)

    def definite(self, n: int, *batch: int) -> Any:
        """Symmetric positive definite (..., n, n) matrices with well separated eigenvalues."""
        factor = self.random.normal(size=(*batch, n, n))
        return factor @ np.swapaxes(factor, -1, -2) / n + np.diag(np.arange(1.0, n + 1))

    def square(self, n: int, *batch: int) -> Any:
        """Well conditioned (..., n, n) matrices without symmetry."""
        return self.random.normal(size=(*batch, n, n)) / n + np.diag(np.arange(1.0, n + 1))

    def integers(self, low: int, high: int, *shape: int) -> Any:
        """Integers in [low, high)."""
        return self.random.integers(low, high, size=shape)

    def mask(self, *shape: int) -> Any:
        """Booleans, about half of them True."""
        return self.random.permutation(np.arange(int(np.prod(shape, dtype=int))) % 2 == 0).reshape(shape)


def elementwise_calls(arity: int, domain: Any) -> Callable[[Arrays], list[Call]]:
    """Sample calls of an elementwise function: 0-d, small, empty, and broadcast shapes within `domain`.

    domain : (low, high) for every argument, or one such pair per argument
    """
    domains = domain if isinstance(domain[0], tuple) else (domain,) * arity

    def make(a: Arrays) -> list[Call]:
        one = [(), (3,), (2, 3), (0, 3), (2, 1, 2)]
        two = [((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 3)), ((0, 3), (1, 3)), ((1,), (2, 3))]
        shapes = [(s,) for s in one] if arity == 1 else [(*pair, *[pair[0]] * (arity - 2)) for pair in two]
        return [call(*(a(*s, low=low, high=high) for s, (low, high) in zip(row, domains, strict=True))) for row in shapes]

    return make


def calls_of(op: Any, seed: int = 0) -> list[Call]:
    """The sample calls of a row of the table (an Op or a Composition); empty if it has none."""
    return list(op.samples(Arrays(seed))) if op.samples is not None else []
