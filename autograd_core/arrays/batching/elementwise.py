"""Batches: what looks at no element, or at each by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import _NoValue

from autograd_core.arrays.batching.array import Batched, stretched
from autograd_core.arrays.batching.table import FUNCTIONS, batch_size, cover_each, covers, first_is_batched
from autograd_core.arrays.batching.ufuncs import aligned

# --- what does not look at elements -----------------------------------------------------------------------------------------


FUNCTIONS[np.shape] = lambda level, a: a.shape
FUNCTIONS[np.ndim] = lambda level, a: a.ndim
FUNCTIONS[np.size] = lambda level, a, axis=None: a.size if axis is None else math.prod(a.shape[i] for i in np.atleast_1d(axis))
FUNCTIONS[np.iscomplexobj] = lambda level, x: x.dtype.kind == "c"
FUNCTIONS[np.isrealobj] = lambda level, x: x.dtype.kind != "c"
FUNCTIONS[np.result_type] = lambda level, *values: np.result_type(*(v.payload if isinstance(v, Batched) else v for v in values))
FUNCTIONS[np.may_share_memory] = FUNCTIONS[np.shares_memory] = lambda level, a, b, *rest, **kwargs: True  # who asks is careful then


# --- one array in, one of its shape out -------------------------------------------------------------------------------------


def _elementwise(function: Any) -> Callable[..., Any]:
    def rule(level: int, x: Any, *args: Any, **kwargs: Any) -> Any:
        if not first_is_batched(level, x, args, kwargs) or kwargs.get("out") is not None:
            return NotImplemented
        return Batched(function(x.payload, *args, **kwargs), level)

    return rule


cover_each(_elementwise, np.real, np.imag, np.round, np.around, np.fix, np.nan_to_num, np.angle, np.sinc, np.i0, np.isreal, np.iscomplex, np.copy)
cover_each(_elementwise, np.isneginf, np.isposinf)


def _like(function: Any) -> Callable[..., Any]:
    def rule(level: int, a: Any, *args: Any, shape: Any = None, **kwargs: Any) -> Any:
        """Zeros, ones or anything, in the shape of `a` or another."""
        if shape is not None:
            shape = (a.payload.shape[0], *(shape if isinstance(shape, tuple | list) else (shape,)))
        return Batched(function(a.payload, *args, shape=shape, **kwargs), level)

    return rule


cover_each(_like, np.zeros_like, np.ones_like, np.empty_like)


@covers(np.full_like)
def _full_like(level: int, a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None) -> Any:
    shape = np.shape(a) if shape is None else shape if isinstance(shape, tuple | list) else (shape,)
    size = batch_size((a, fill_value), level)
    like = a.payload if isinstance(a, Batched) and a.level == level else a
    return Batched(np.full_like(like, stretched(fill_value, level, len(shape)), dtype=dtype, shape=(size, *shape)), level)


@covers(np.where)
def _where(level: int, condition: Any, x: Any = _NoValue, y: Any = _NoValue) -> Any:
    if x is _NoValue or y is _NoValue:
        return NotImplemented
    return Batched(np.where(*aligned((condition, x, y), level)), level)


@covers(np.clip)
def _clip(level: int, a: Any, *bounds: Any, **named: Any) -> Any:
    if named or len(bounds) != 2:
        return NotImplemented
    given = iter(aligned((a, *(bound for bound in bounds if bound is not None)), level))
    array = next(given)
    low, high = (None if bound is None else next(given) for bound in bounds)
    return Batched(np.clip(array, low, high), level)
