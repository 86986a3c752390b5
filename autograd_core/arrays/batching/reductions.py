"""Batches: reductions and running totals, with the axes counted behind the hidden one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import _NoValue

from autograd_core.arrays.batching.array import Batched
from autograd_core.arrays.batching.table import axes_behind, cover_each, covers, first_is_batched


def _reduction(function: Any) -> Callable[..., Any]:
    def rule(level: int, a: Any, axis: Any = None, *args: Any, **kwargs: Any) -> Any:
        if not first_is_batched(level, a, args, kwargs):
            return NotImplemented
        if a.ndim == 0 and axis in (0, -1):
            axis = None  # NumPy allows it
        if kwargs.get("mean", _NoValue) is not _NoValue:
            return NotImplemented  # its axes would have to be lined up
        return Batched(function(a.payload, axes_behind(axis, a.ndim), *args, **kwargs), level)

    return rule


cover_each(_reduction, np.sum, np.prod, np.mean, np.var, np.std, np.max, np.amax, np.min, np.amin, np.any, np.all, np.ptp, np.count_nonzero)
cover_each(_reduction, np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin)


def _flattening(function: Any, default: Any = None) -> Callable[..., Any]:
    """Of a function with one axis, for which None means the flattened array."""

    def rule(level: int, a: Any, axis: Any = default, *args: Any, **kwargs: Any) -> Any:
        if not first_is_batched(level, a, args, kwargs) or kwargs.get("keepdims", False) is True or kwargs.get("order") is not None:
            return NotImplemented
        payload = a.payload
        if axis is None:
            return Batched(function(payload.reshape((payload.shape[0], a.size)), 1, *args, **kwargs), level)
        return Batched(function(payload, axes_behind(axis, a.ndim), *args, **kwargs), level)

    return rule


cover_each(_reduction, np.median, np.nanmedian)
cover_each(_flattening, np.cumsum, np.cumprod, np.nancumsum, np.nancumprod, np.argmax, np.argmin)
cover_each(lambda function: _flattening(function, -1), np.sort, np.argsort)


@covers(np.diff)
def _diff(level: int, a: Any, n: int = 1, axis: int = -1, **kwargs: Any) -> Any:
    return Batched(np.diff(a.payload, n, axes_behind(axis, a.ndim)), level) if first_is_batched(level, a) and not kwargs else NotImplemented
