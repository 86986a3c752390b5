"""Indices as the tape keeps them: settled, so that reading them again at backward time means what it meant at forward time."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.arrays.foreign import array_at_heart, is_plain

__all__ = ["along", "is_basic", "may_repeat", "settled"]


BASIC = frozenset({int, slice, type(None), type(Ellipsis), np.int8, np.int16, np.int32, np.int64, np.intp, np.uint8, np.uint16, np.uint32, np.uint64})


def is_basic(index: Any) -> bool:
    """Whether `x[index]` is a view: integers, slices, None and Ellipsis only.

    >>> is_basic((0, slice(1, 3), None)), is_basic([0, 0]), is_basic(True)
    (True, False, False)
    """
    if type(index) is tuple:
        return BASIC.issuperset(map(type, index))
    return type(index) in BASIC


def may_repeat(index: Any) -> bool:
    """Whether `index` can name an element twice: only integer arrays can.

    >>> import numpy as np
    >>> may_repeat((slice(None), np.array([0, 0]))), may_repeat(np.array([True, False]))
    (True, False)
    """
    if type(index) is tuple:
        return any(may_repeat(i) for i in index)
    return getattr(index, "ndim", 0) > 0 and index.dtype.kind in "iu" and index.size > 1


def settled(index: Any) -> Any:
    """`index` with sequences as arrays, which a later change of the user's list does not reach, and arrays in C order.

    NumPy walks an integer-array index in its memory order; where it names an element twice, that decides which value is
    written last. In C order it is the last one, whatever the arrays' layout.

    >>> settled(([0, 1], slice(None)))
    (array([0, 1]), slice(None, None, None))
    """
    if type(index) is tuple:
        return tuple(_settled_entry(i) for i in index)
    return _settled_entry(index)


def _settled_entry(entry: Any) -> Any:
    if isinstance(entry, list | tuple):
        return np.array(entry) if len(entry) else np.array(entry, dtype=int)
    if not is_plain(entry):
        entry = array_at_heart(entry, "index")  # a mask made of a pandas Series
    if isinstance(entry, np.ndarray) and not entry.flags.c_contiguous:
        return np.array(entry, order="C")
    return entry


def along(axis: int, entry: Any) -> tuple[Any, ...]:
    """The index that applies `entry` to one axis (counted from the front) and takes all of the others.

    >>> along(1, 0)
    (slice(None, None, None), 0)
    """
    return (slice(None),) * axis + (entry,)
