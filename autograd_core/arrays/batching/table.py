"""The table of NumPy's functions of batches, and what its lines are written with.

A rule takes the level and then what the function takes; it returns NotImplemented for what it does not cover, and the loop
over the batch (loop.py) does it. So the table is about speed: what is missing in it is right all the same.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import Batched
from autograd_core.arrays.layers import level_of

__all__ = ["FUNCTIONS", "axes_behind", "batch_size", "broadcast_payload", "cover_each", "covers", "first_is_batched"]

FUNCTIONS: dict[Any, Callable[..., Any]] = {}


def covers(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say that the decorated function computes `functions` of batches."""

    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS.update(dict.fromkeys(functions, rule))
        return rule

    return register


def cover_each(make: Callable[[Any], Callable[..., Any]], *functions: Any) -> None:
    """Say that `make(function)` computes each of `functions` of batches."""
    FUNCTIONS.update((function, make(function)) for function in functions)


def first_is_batched(level: int, first: Any, *others: Any) -> bool:
    """Whether `first` has the axis of `level`, and no other argument has."""
    return isinstance(first, Batched) and first.level == level and level_of(others) != level


def batch_size(values: Sequence[Any], level: int) -> int:
    """How many arrays the batches of `level` among `values` hold."""
    return int(next(v.payload.shape[0] for v in values if isinstance(v, Batched) and v.level == level))


def broadcast_payload(value: Any, level: int, size: int) -> Any:
    """The payload of a batch; of anything else, as many copies (which take no memory)."""
    if isinstance(value, Batched) and value.level == level:
        return value.payload
    return np.broadcast_to(value, (size, *np.shape(value)))


def axes_behind(axis: Any, ndim: int) -> Any:
    """`axis` of an array of `ndim` dimensions, as an axis of the payload: an int, or a tuple for a tuple or None."""
    if axis is None:
        return tuple(range(1, ndim + 1))
    if not hasattr(axis, "__index__"):  # a tuple, list, range
        return tuple(_axis_behind(a, ndim) for a in axis)
    return _axis_behind(axis, ndim)


def _axis_behind(axis: Any, ndim: int) -> int:
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim + 1
