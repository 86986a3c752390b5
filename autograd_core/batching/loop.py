"""The loop over a batch: what NumPy's functions, and rules, are given that cannot take all elements at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from autograd_core.batching.array import Batched, BatchingError
from autograd_core.batching.axes import element_of
from autograd_core.layers import ArrayLayer, layers_in

__all__ = ["each"]


def each(function: Callable[..., Any], args: Any, kwargs: Any, level: int) -> Any:
    """`function` for one element of the batch after the other, and the results as a batch."""
    sizes = {batch.payload.shape[0] for batch in layers_in((args, kwargs)) if batch.level == level}
    if len(sizes) > 1:
        raise BatchingError(f"batches of different sizes: {sorted(sizes)}")
    (size,) = sizes
    if size == 0:  # what shape the results would have, one call with ones tells
        ones = element_of((args, kwargs), level, None)
        return _joined([function(*ones[0], **ones[1])], level, function, keep=0)
    results = []
    for i in range(size):
        own_args, own_kwargs = element_of((args, kwargs), level, i)
        results.append(function(*own_args, **own_kwargs))
    return _joined(results, level, function, keep=size)


def _joined(results: list[Any], level: int, function: Any, keep: int) -> Any:
    """The results of the elements as a batch: arrays stacked, containers part by part, what is no array as it is."""
    first = results[0]
    if isinstance(first, tuple | list):
        if any(len(result) != len(first) for result in results):
            raise _ragged(function)
        parts = [_joined([result[k] for result in results], level, function, keep) for k in range(len(first))]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if isinstance(first, ArrayLayer | ndarray | np.generic | bool | int | float | complex):
        if len({np.shape(result) for result in results}) > 1:
            raise _ragged(function)
        return Batched(np.stack(results)[:keep], level)
    if any(result is not first and result != first for result in results):
        raise BatchingError(f"{_name(function)}: results of type {type(first).__name__} that differ over the batch")
    return first  # None, a dtype, a text


def _ragged(function: Any) -> BatchingError:
    return BatchingError(f"{_name(function)}: results of different shapes over the batch; there is no array of them. Mask with np.where instead")


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", None) or repr(function))
