"""The loop over a batch: what NumPy's functions, and rules, are given that cannot take all elements at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import Batched, BatchingError
from autograd_core.arrays.batching.axes import element_of, put_together, wrapped_beneath
from autograd_core.arrays.layers import ArrayLayer, instances_in, sequence_like

__all__ = ["batches_in", "each", "each_of_innermost", "joined"]


def batches_in(values: Any) -> Iterator[Batched]:
    """The batches in `values`, a nest, also those beneath other layers."""
    for layer in instances_in(values, ArrayLayer):
        if isinstance(layer, Batched):
            yield layer
        yield from batches_in(list(layer.parts))


def each_of_innermost(function: Callable[..., Any], args: Any, kwargs: Any, error: BatchingError) -> Any:
    """`each` for the innermost batch; `error`, why it is needed, if there is no batch at all."""
    level = max((batch.level for batch in batches_in((args, kwargs))), default=None)
    if level is None:
        raise error
    return each(function, args, kwargs, level)


def each(function: Callable[..., Any], args: Any, kwargs: Any, level: int) -> Any:
    """`function` for one element of the batch of `level` after the other, and the results as a batch."""
    sizes = {len(batch.payload) for batch in batches_in((args, kwargs)) if batch.level == level}
    if len(sizes) > 1:
        raise BatchingError(f"batches of different sizes: {sorted(sizes)}")
    (size,) = sizes
    results = []
    for i in range(size) if size else [None]:  # of no element, one call with ones tells what shape the results would have
        own_args, own_kwargs = element_of((args, kwargs), level, i)
        results.append(function(*own_args, **own_kwargs))
    return joined(results, _name(function), lambda rows: _stacked(rows, level, size))


def _stacked(rows: Sequence[Any], level: int, size: int) -> Any:
    return put_together(rows, level) if size else wrapped_beneath(np.zeros_like(rows[0], shape=(0, *np.shape(rows[0]))), level)


def joined(results: Sequence[Any], name: str, stack: Callable[[Sequence[Any]], Any]) -> Any:
    """The results for the elements as results for the batch: arrays by `stack`, containers part by part, what is no array as it is."""
    first = results[0]
    if isinstance(first, tuple | list):
        if any(len(result) != len(first) for result in results):
            raise _ragged(name)
        parts = [joined([result[k] for result in results], name, stack) for k in range(len(first))]
        return sequence_like(first, parts)
    if isinstance(first, bool | int | float | complex) or hasattr(first, "dtype"):
        if len({np.shape(result) for result in results}) > 1:
            raise _ragged(name)
        return stack(results)
    if any(result is not first and result != first for result in results):
        raise BatchingError(f"{name}: results of type {type(first).__name__} that differ over the batch")
    return first  # None, a text


def _ragged(name: str) -> BatchingError:
    return BatchingError(f"{name}: results of different shapes over the batch; there is no array of them. Mask with np.where instead")


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", None) or repr(function))
