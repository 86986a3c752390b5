"""Joining and splitting: what was joined is cut apart again in the backward pass, by slices."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.indices import along
from autograd_core.arrays.shapes import normalise_axes
from autograd_core.define.door import composed, defvjp
from autograd_core.define.samples import call
from autograd_core.rules.shapes import array_of
from autograd_core.tape.plan import Like


def _concatenated(g: Any, like: Any, axis: Any) -> Any:
    """The pieces of `g` that each joined array gets. One array in place of a sequence is a sequence of its rows."""
    if isinstance(like, tuple):
        return _cut(g, like, axis)
    return np.stack(_cut(g, [Like(like.shape[1:], like.dtype)] * like.shape[0], axis))


def _cut(g: Any, likes: Sequence[Like], axis: Any) -> list[Any]:
    pieces = []
    start = 0
    if axis is None:
        for like in likes:
            pieces.append(g[start : start + like.size].reshape(like.shape))
            start += like.size
        return pieces
    (axis,) = normalise_axes(axis, g.ndim)
    for like in likes:
        pieces.append(g[along(axis, slice(start, start + like.shape[axis]))])
        start += like.shape[axis]
    return pieces


defvjp(
    np.concatenate,
    arrays=_concatenated,
    signature="arrays, axis=0, out=None, *, dtype=None, casting='same_kind'",
    inert=("dtype", "casting"),
    structural=True,
    linear=True,
    samples=lambda a: [
        call([a(2, 3), a(1, 3)]),
        call((a(2, 3), a(2, 1), a(2, 0)), axis=-1),
        call([a(2, 3), a(2)], axis=None),
        call([a(), a(1, 1)], None),
        call(a(2, 3, 4)),
        call(a(2, 3, 4), axis=1),
        call([a(2), np.array([1, 2])]),
        call([a(0, 2), a(0, 2)]),
        call([a(2), a.complex(3)]),
        call([a(2), a(3)], dtype=complex),
    ],
)


def _stacked(g: Any, like: Any, axis: Any) -> Any:
    (axis,) = normalise_axes(axis, g.ndim)
    if not isinstance(like, tuple):
        return np.moveaxis(g, axis, 0)
    return [g[along(axis, i)] for i in range(len(like))]


def _quick_stack(arrays: Any, axis: Any = 0, **kwargs: Any) -> Any:
    """np.stack along the first axis, by the one function that it comes down to."""
    shape = arrays[0].shape if isinstance(arrays, list | tuple) and arrays else None
    if axis != 0 or kwargs or shape is None or any(a.shape != shape for a in arrays):
        return np.stack(arrays, axis, **kwargs)
    return np.concatenate([a[None] for a in arrays])


defvjp(
    np.stack,
    arrays=_stacked,
    inert=("dtype", "casting"),
    structural=True,
    linear=True,
    quick=_quick_stack,
    samples=lambda a: [
        call([a(2, 3), a(2, 3)]),
        call([a(2, 3), a(2, 3)], axis=-1),
        call((a(), a(), a())),
        call(a(2, 3), axis=1),
        call([a(0, 2)], 1),
        call([a(2), np.array([1, 2])]),
        call([a(2), a.complex(2)]),
        call([a(2)], dtype=complex),
    ],
)


def _sections(ary: Any, indices_or_sections: Any, axis: int, *, uneven: bool) -> list[Any]:
    """Slices along `axis`. Where equal parts end is left to NumPy, which splits the places 0, 1, 2..."""
    length = ary.shape[axis]
    (axis,) = normalise_axes(axis, ary.ndim)
    if hasattr(indices_or_sections, "__len__"):
        cuts = [operator.index(i) for i in indices_or_sections]
    else:
        parts = (np.array_split if uneven else np.split)(np.arange(length), indices_or_sections)
        cuts = list(itertools.accumulate(len(part) for part in parts[:-1]))
    return [ary[along(axis, slice(start, stop))] for start, stop in itertools.pairwise([0, *cuts, length])]


@composed(
    np.split,
    samples=lambda a: [
        call(a(6), 3),
        call(a(2, 6), [1, 4], axis=1),
        call(a(6), [2, 9]),
        call(a(6), [4, 2]),
        call(a(4, 2), np.array([1]), -2),
        call(a(0, 2), 1),
        call(a(6), [-2]),
    ],
)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Equal parts along an axis, or parts between indices."""
    return _sections(ary, indices_or_sections, axis, uneven=False)


@composed(np.array_split, samples=lambda a: [call(a(7), 3), call(a(2, 5), 2, axis=-1), call(a(5), [1, 3]), call(a(2), 3)])
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Parts along an axis, equal but for one element."""
    return _sections(ary, indices_or_sections, axis, uneven=True)


# --- shorthands for an axis --------------------------------------------------------------------------------------------------


@composed(np.hsplit, samples=lambda a: [call(a(4), 2), call(a(2, 4), [1, 3]), call(a(1, 4, 2), 2)])
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Parts along the second axis, or along the only one."""
    if ary.ndim == 0:
        raise ValueError("hsplit only works on arrays of 1 or more dimensions")
    return split(ary, indices_or_sections, 1 if ary.ndim > 1 else 0)


@composed(np.vsplit, samples=lambda a: [call(a(4, 2), 2), call(a(3, 2), [1])])
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Parts along the first axis."""
    if ary.ndim < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return split(ary, indices_or_sections, 0)


@composed(np.dsplit, samples=lambda a: [call(a(1, 2, 4), 2), call(a(1, 2, 3), [1])])
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """Parts along the third axis."""
    if ary.ndim < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return split(ary, indices_or_sections, 2)


if hasattr(np, "unstack"):  # NumPy 2.1

    @composed(np.unstack, samples=lambda a: [call(a(2, 3)), call(a(2, 3), axis=-1), call(a(2))])
    def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
        """The slices along an axis."""
        if x.ndim == 0:
            raise ValueError("Input array must be at least 1-d.")
        moved = x if axis == 0 else np.moveaxis(x, axis, 0)
        return tuple(moved[i] for i in range(moved.shape[0]))


def _concatenated_as(arrays: list[Any], axis: int, dtype: Any, casting: Any) -> Any:
    # Other libraries' arrays (Dask's) know no dtype= here.
    return np.concatenate(arrays, axis) if dtype is None else np.concatenate(arrays, axis, dtype=dtype, casting=casting)


def _each(promote: Callable[[Any], Any], arrays: Any) -> list[Any]:
    return [promote(a) for a in arrays]


@composed(
    np.vstack, samples=lambda a: [call([a(3), a(3)]), call((a(2, 3), a(1, 3))), call([a(), a()]), call(a(2, 3)), call([a(2), a(2)], dtype=complex)]
)
def vstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Arrays below one another; vectors are rows."""
    return _concatenated_as(_each(np.atleast_2d, tup), 0, dtype, casting)


@composed(
    np.hstack, samples=lambda a: [call([a(3), a(2)]), call((a(2, 3), a(2, 1))), call([a(), a()]), call(a(2, 3)), call([a(2), a(2)], dtype=complex)]
)
def hstack(tup: Any, *, dtype: Any = None, casting: Any = "same_kind") -> Any:
    """Arrays beside one another; vectors end to end."""
    arrays = _each(np.atleast_1d, tup)
    return _concatenated_as(arrays, 0 if arrays and arrays[0].ndim == 1 else 1, dtype, casting)


@composed(np.dstack, samples=lambda a: [call([a(3), a(3)]), call((a(2, 3), a(2, 3))), call([a(2, 1, 2), a(2, 1, 1)]), call(a(2, 3))])
def dstack(tup: Any) -> Any:
    """Arrays behind one another, along the third axis."""
    return np.concatenate(_each(np.atleast_3d, tup), 2)


@composed(np.column_stack, samples=lambda a: [call([a(3), a(3)]), call((a(2, 3), a(2))), call([a(), a()]), call(a(2, 3))])
def column_stack(tup: Any) -> Any:
    """Vectors as the columns of a matrix."""
    return np.concatenate(_each(lambda x: x if np.ndim(x) >= 2 else np.atleast_2d(x).T, tup), 1)


# --- growing ---------------------------------------------------------------------------------------------------------------------


@composed(
    np.append,
    samples=lambda a: [
        call(a(2, 3), a(2)),
        call(a(2, 3), a(1, 3), axis=0),
        call(a(2, 3), a(2, 1), -1),
        call(a(2), 3.0),
        call(a(), a()),
        call(a(0), a(2)),
    ],
)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """`values` at the end along `axis`; without one, both are flattened first."""
    return np.concatenate((np.ravel(arr), np.ravel(values)), 0) if axis is None else np.concatenate((arr, values), axis)


@composed(
    np.insert,
    samples=lambda a: [
        call(a(4), 1, a()),
        call(a(2, 3), 1, a(3), axis=0),
        call(a(2, 3), [0, 2], a(2, 2), axis=1),
        call(a(2, 3), [0, -1], a(2)),
        call(a(4), slice(1, 3), a(2)),
        call(a(2, 3), 1, 5.0, axis=-1),
        call(a(2, 3), [1], a(2, 1), axis=1),
        call(a(0), 0, a(2)),
    ],
)
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """`values` before the places `obj`. NumPy does it on the elements' numbers, which tells where each element comes from."""
    arr, values = array_of(arr), array_of(values).astype(array_of(arr).dtype)
    numbers = np.arange(arr.size + values.size)
    places = np.insert(numbers[: arr.size].reshape(arr.shape), obj, numbers[arr.size :].reshape(values.shape), axis)
    return np.concatenate((np.ravel(arr), np.ravel(values)))[places]


def _block(arrays: Any, depth: int, ndim: int) -> Any:
    if isinstance(arrays, list):
        return np.concatenate([_block(a, depth - 1, ndim) for a in arrays], axis=-depth)
    array = array_of(arrays)
    return array.reshape((1,) * (ndim - array.ndim) + array.shape)


def _depths(arrays: Any) -> Iterator[tuple[int, int]]:
    """For each array in a nested list: how deep it is, and how many axes it has."""
    if isinstance(arrays, tuple):
        raise TypeError("np.block takes nested lists, not tuples")
    if not isinstance(arrays, list):
        yield 0, np.ndim(arrays)
        return
    if not arrays:
        raise ValueError("List at arrays cannot be empty")
    for array in arrays:
        for depth, ndim in _depths(array):
            yield depth + 1, ndim


@composed(
    np.block,
    samples=lambda a: [
        call([a(2), a(3)]),
        call([[a(2, 2), a(2, 1)], [a(1, 2), a(1, 1)]]),
        call([[a(2), 1.0], [a(), a(2)]]),
        call(a(2, 3)),
        call([a(), a()]),
        call([[[a(1, 2, 2)]], [[a(2, 2)]]]),
    ],
)
def block(arrays: Any) -> Any:
    """Nested lists of arrays as one: the innermost lists are joined along the last axis, the next along the one before."""
    shapes = list(_depths(arrays))
    depth = shapes[0][0]
    if any(d != depth for d, _ in shapes):
        raise ValueError("np.block: the arrays stand at different depths of the nested list")
    result = _block(arrays, depth, max(depth, *(ndim for _, ndim in shapes)))
    return np.copy(result) if depth == 0 else result
