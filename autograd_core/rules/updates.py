"""NumPy's functions that change an array in place, such as `np.put`: on a tensor they assign items, and are recorded as that.

Their first argument must be a tensor of its own history (a copy, not a leaf). A plain array cannot hold tracked values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.arrays.indices import settled
from autograd_core.define.door import op, updating
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.shapes import array_of
from autograd_core.rules.taking import along_index, axis_of, settled_places
from autograd_core.tensor.handles import plain


def _cycled(values: Any, places: Any) -> Any:
    """The elements of `values`, taken round and round, for the numbers in `places`."""
    values = np.ravel(array_of(values))
    return values[places % values.size]


@updating(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """`a.ravel()[ind] = v`, with `v` repeated as often as needed."""
    places = np.ravel(settled_places(ind, a.size, mode))
    if places.size and np.size(v):
        # In "raise" mode a place out of bounds is refused by unravel_index, which does not take negative ones.
        wrapped = np.where(places < 0, places + a.size, places)
        a[np.unravel_index(wrapped, a.shape)] = _cycled(v, np.arange(places.size))


@updating(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any = -1) -> None:
    """`values` written at `indices` in each row along `axis`."""
    if axis is None:
        raise TypeError("put_along_axis: axis=None makes NumPy write into a copy; give an axis, or write np.put(t, indices, values)")
    arr[along_index(plain(indices), arr.shape, axis_of(axis, arr.ndim))] = values


@updating(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """`vals`, one after the other and repeated as often as needed, where `mask` is true."""
    mask = np.asarray(plain(mask), dtype=bool).reshape(arr.shape)
    count = np.count_nonzero(mask)
    if count and not np.size(vals):
        raise ValueError("Cannot insert from an empty array!")
    if count:
        arr[mask] = _cycled(vals, np.arange(count))


@updating(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    """At the places where `mask` is true, the elements of `values` (repeated to the size of `a`) at the same places."""
    mask = np.asarray(plain(mask), dtype=bool).reshape(a.shape)
    if np.size(values):
        a[mask] = _cycled(values, np.flatnonzero(mask))


@updating(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    """`dst[where] = src[where]`."""
    src = array_of(src)
    if not np.can_cast(src.dtype, dst.dtype, casting):
        raise TypeError(f"Cannot cast array data from {src.dtype!r} to {dst.dtype!r} according to the rule {casting!r}")
    mask = plain(where)
    if mask is True:
        dst[...] = src
    else:
        mask = np.broadcast_to(mask, dst.shape)
        dst[mask] = np.broadcast_to(src, dst.shape)[mask]


@updating(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """`val` (repeated or cut to fit) on the main diagonal; with `wrap`, that of a tall matrix goes on below."""
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    if a.ndim > 2 and len(set(a.shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    if a.ndim == 2:
        step = a.shape[1] + 1
        end = None if wrap else a.shape[1] * a.shape[1]
    else:
        step = 1 + int(np.cumprod(a.shape[:-1]).sum())
        end = None
    places = np.arange(a.size)[:end:step]
    a[np.unravel_index(places, a.shape)] = _cycled(val, np.arange(places.size))


# --- np.add.at -----------------------------------------------------------------------------------------------------------------


def _sample_additions(a: Arrays) -> list[Call]:
    return [
        call(a(3, 4), np.array([0, 0, 2]), a(3, 4)),
        call(a(3, 4), (np.array([0, 0]), np.array([1, 1])), a()),
        call(a(4), slice(1, 3), a(2)),
        call(a(4), np.array([0, 0]), a(1)),
        call(a.complex(3), np.array([1, 1]), a.complex(2)),
        call(a(0), np.array([], dtype=int), a(1)),
    ]


@op(a=lambda g: g, b=lambda g, indices: g[indices], structural=True, samples=_sample_additions)
def added_at(a: Any, indices: Any, b: Any) -> Any:
    """A copy of `a` with `b` added at `indices`, repeatedly where they repeat."""
    result = a.copy()
    np.add.at(result, indices, b)
    return result


@updating((np.add, "at"))
def add_at(a: Any, indices: Any, b: Any) -> None:
    """`a[indices] += b`, where a place that comes twice gets both."""
    a[...] = added_at(a, settled(plain(indices)), b)


@updating((np.subtract, "at"))
def subtract_at(a: Any, indices: Any, b: Any) -> None:
    """`a[indices] -= b`, where a place that comes twice loses both."""
    a[...] = added_at(a, settled(plain(indices)), np.negative(b))
