"""A batch's axis beneath other layers: put there, taken out, one element at a time.

The layer of the highest level is always the outermost. A gradient that arrives at a mapped call may be a batch, or a dual, of a
transform that began later; the call's own axis then belongs beneath that layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import Batched
from autograd_core.arrays.layers import ArrayLayer, in_charge, sequence_like

__all__ = ["among_zeros", "element_of", "has_level", "put_together", "unwrapped", "wrapped_beneath"]


def _is_above(value: Any, level: int) -> bool:
    return isinstance(value, ArrayLayer) and value.level > level


def has_level(value: Any, level: int) -> bool:
    """Whether `value` has a layer of `level`, at any depth."""
    return isinstance(value, ArrayLayer) and (value.level == level or any(has_level(part, level) for part in value.parts))


def wrapped_beneath(value: Any, level: int, lead: int = 0) -> Any:
    """`value`, whose first axis (after `lead` others) is the batch of `level`, as such a batch."""
    if _is_above(value, level):
        lead += isinstance(value, Batched)
        return value.rebuilt([wrapped_beneath(part, level, lead) for part in value.parts])
    return Batched(np.moveaxis(value, lead, 0) if lead else value, level)


def unwrapped(value: Any, level: int, size: int, lead: int = 0) -> Any:
    """`value` with the axis of the batch of `level` first (after `lead` others); what is no such batch, repeated `size` times."""
    if _is_above(value, level):
        lead += isinstance(value, Batched)
        return value.rebuilt([unwrapped(part, level, size, lead) for part in value.parts])
    if isinstance(value, Batched) and value.level == level:
        return np.moveaxis(value.payload, 0, lead) if lead else value.payload
    shape = np.shape(value)
    return np.broadcast_to(np.expand_dims(value, lead), (*shape[:lead], size, *shape[lead:])).copy()


def element_of(values: Any, level: int, i: int | None) -> Any:
    """`values`, a nest, with each batch of `level` replaced by its element `i`, a view; by ones if `i` is None."""
    if isinstance(values, ArrayLayer):
        if values.level == level:
            return values.payload[(i, ...)] if i is not None else np.ones_like(values.payload, shape=values.shape)  # type: ignore[attr-defined]
        return values.rebuilt([element_of(part, level, i) for part in values.parts]) if values.level > level else values
    if isinstance(values, tuple | list):
        parts = [element_of(value, level, i) for value in values]
        return sequence_like(values, parts)
    if isinstance(values, dict):
        return {key: element_of(value, level, i) for key, value in values.items()}
    if isinstance(values, slice):
        return slice(*(element_of(part, level, i) for part in (values.start, values.stop, values.step)))
    return values


def among_zeros(g: Any, level: int, i: int, size: int) -> Any:
    """A batch of zeros with `g` as its element `i`: the adjoint of taking it out."""
    if _is_above(g, level):
        return g.rebuilt([among_zeros(part, level, i, size) for part in g.parts])
    payload = np.zeros_like(g, shape=(size, *g.shape))
    payload[i] = g
    return Batched(payload, level)


def put_together(rows: Sequence[Any], level: int) -> Any:
    """The elements of a batch of `level` as that batch."""
    top = in_charge(rows)
    if not _is_above(top, level):
        return Batched(np.stack(rows), level)
    parts = zip(*(top.parts_of(row) for row in rows), strict=True)
    return top.rebuilt([put_together(of_rows, level) for of_rows in parts])
