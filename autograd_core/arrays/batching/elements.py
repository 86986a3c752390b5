"""Reading and writing elements of batches: the same index for each array of the batch, or one of its own."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import Batched, BatchingError, stretched
from autograd_core.arrays.batching.loop import each
from autograd_core.arrays.batching.table import covers
from autograd_core.arrays.indices import is_basic
from autograd_core.arrays.layers import able_to_hold, level_of

__all__ = ["get", "put"]


@covers(operator.getitem)
def get(own: int, batch: Batched, index: Any) -> Any:
    """`batch[index]`."""
    if is_basic(index):
        found = batch.payload[(slice(None), *index) if type(index) is tuple else (slice(None), index)]
        if found.ndim == 1 and index is not Ellipsis and not (type(index) is tuple and Ellipsis in index):
            found = found.copy()  # of one element NumPy makes a scalar, which is no view
        return Batched(found, batch.level)
    entries = index if type(index) is tuple else (index,)
    level = max(level_of(entries), batch.level)
    if level > batch.level:
        return each(operator.getitem, (batch, index), {}, level)
    if level_of(entries) == level:
        places = _own_places(batch, entries, level)
        return each(operator.getitem, (batch, index), {}, level) if places is None else Batched(batch.payload[places], level)
    moved = _axes_in_front(entries)
    if moved is None:
        return each(operator.getitem, (batch, index), {}, level)
    found = batch.payload[(slice(None), *entries)]
    return Batched(np.moveaxis(found, moved, 0) if moved else found, level)


@covers(operator.setitem)
def put(own: int, batch: Batched, index: Any, value: Any) -> None:
    """`batch[index] = value`."""
    if level_of((index, value)) > batch.level:
        raise BatchingError("an array outside of the batch cannot hold a batched value; begin with np.zeros_like of one")
    entries = index if type(index) is tuple else (index,)
    moved = 0 if is_basic(index) else None if level_of(entries) == batch.level else _axes_in_front(entries)
    if moved is None:
        each(operator.setitem, (batch, index, value), {}, batch.level)
        return
    places = (slice(None), *entries)
    batch.payload = able_to_hold(batch.payload, value.payload if isinstance(value, Batched) and value.level == batch.level else value)
    if isinstance(value, Batched) and value.level == batch.level:
        ndim = batch.payload[places].ndim - 1
        if value.ndim > ndim:  # NumPy drops leading axes of size 1 here
            value = value.reshape(value.shape[value.ndim - ndim :])
        value = np.moveaxis(stretched(value, batch.level, ndim), 0, moved)
    elif moved and (behind := np.ndim(value) + 1 + moved - batch.payload[places].ndim) > 0:
        value = np.expand_dims(value, behind)
    batch.payload[places] = value


def _axes_in_front(entries: tuple[Any, ...]) -> int | None:
    """How many axes NumPy puts before the batch's, when `entries` follow a slice over it; None if only NumPy can tell.

    Index arrays that slices separate give their axes to the front of the result (`x[0, :, [1, 2]]`).
    """
    arrays = [i for i, entry in enumerate(entries) if not is_basic(entry)]
    if not all(getattr(entries[i], "dtype", np.dtype(object)).kind in "iub" and np.ndim(entries[i]) > 0 for i in arrays):
        return None
    advanced = [i for i, entry in enumerate(entries) if i in arrays or not (entry is None or entry is Ellipsis or isinstance(entry, slice))]
    if advanced == list(range(advanced[0], advanced[-1] + 1)):
        return 0
    shapes = [(0,) if entries[i].dtype.kind == "b" else entries[i].shape for i in arrays]
    return max(len(shape) for shape in shapes)


def _own_places(batch: Batched, entries: tuple[Any, ...], level: int) -> tuple[Any, ...] | None:
    """An index for the payload where each array of the batch has integers of its own; None if there are other things in it."""
    if not all(isinstance(entry, int) or getattr(entry, "dtype", np.dtype(bool)).kind in "iu" for entry in entries):
        return None
    ndim = max(np.ndim(entry) for entry in entries)
    first = np.arange(batch.payload.shape[0]).reshape((-1,) + (1,) * ndim)
    return (first, *(stretched(entry, level, ndim) for entry in entries))
