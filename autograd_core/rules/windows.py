"""Functions that walk over an array: sliding windows, and functions of the user's applied along axes.

`windows` and `fold` are adjoint: one shows every window of an array, the other adds windows up where they stand. Each is the
other's rule, so derivatives of any order follow.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from autograd_core.arrays.shapes import normalise_axes
from autograd_core.define.door import composed, defvjp, op
from autograd_core.define.samples import call
from autograd_core.rules.indexing import gradient_of_zeros
from autograd_core.rules.shapes import array_of
from autograd_core.rules.taking import axis_of


def _window(window_shape: Any, axis: Any, ndim: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The window's lengths and the axes along which it slides."""
    lengths = tuple(window_shape) if np.iterable(window_shape) else (window_shape,)
    return tuple(int(n) for n in lengths), normalise_axes(axis, ndim)


@op(
    windows=lambda g, window_shape, axis: sliding_window_view(g, window_shape, axis),
    inert=("shape",),
    structural=True,
    linear=True,
    samples=lambda a: [
        c.only("its callers give windows and a shape that belong together")
        for c in [
            call(a(3, 2), 2, 0, (4,)),
            call(a(2, 2, 3, 2), (3, 2), (0, 1), (4, 3)),
            call(a(2, 2, 2, 2), (2, 2), (0, 0), (4, 2)),
            call(a(1, 3, 5), 5, -2, (5, 3)),
            call(a.complex(2, 2), 2, 0, (3,)),
        ]
    ],
)
def fold(windows: Any, window_shape: Any, axis: Any, shape: tuple[int, ...]) -> Any:
    """Add up windows where they stand in an array of `shape`: the adjoint of `sliding_window_view`.

    One slice is added per place in the window, or per place of the window, whichever are fewer.
    """
    lengths, axes = _window(window_shape, axis, len(shape))
    result = gradient_of_zeros(windows, shape)
    if len(set(axes)) < len(axes):
        return _fold_in_turn(windows, lengths, axes, shape)
    starts = tuple(windows.shape[k] for k in axes)
    moved = np.moveaxis(result, axes, range(len(axes)))
    by_start = np.moveaxis(windows, axes, range(len(axes)))
    if math.prod(lengths) <= math.prod(starts):
        for place in itertools.product(*map(range, lengths)):
            moved[tuple(slice(p, p + n) for p, n in zip(place, starts, strict=True))] += by_start[(..., *place)]
    else:
        by_place = np.moveaxis(by_start, range(-len(lengths), 0), range(len(axes), 2 * len(axes)))
        for start in itertools.product(*map(range, starts)):
            moved[tuple(slice(s, s + n) for s, n in zip(start, lengths, strict=True))] += by_place[start]
    return result


def _fold_in_turn(windows: Any, lengths: tuple[int, ...], axes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """Windows of windows, where an axis comes twice: the last window is folded first."""
    if not axes:
        return windows
    before = list(shape)
    for length, axis in zip(lengths[:-1], axes[:-1], strict=True):
        before[axis] -= length - 1
    inner = fold(windows, lengths[-1], axes[-1], (*before, *lengths[:-1]))
    return _fold_in_turn(inner, lengths[:-1], axes[:-1], shape)


defvjp(
    sliding_window_view,
    x=lambda g, like, window_shape, axis: fold(g, window_shape, axis, like.shape),
    inert=("subok", "writeable"),
    signature="x, window_shape, axis=None, *, subok=False, writeable=False",
    structural=True,
    linear=True,
    samples=lambda a: [
        call(a(5), 2),
        call(a(4, 3), (3, 2)),
        call(a(4, 3), 2, axis=0),
        call(a(4, 3), [2, 2], (0, 0)),
        call(a(3, 4), 4, -1),
        call(a(3), 1),
        call(a.complex(4), 3),
    ],
)


@composed(
    np.apply_along_axis,
    samples=lambda a: [
        call(np.sum, 0, a(2, 3)),
        call(lambda row: row[0] * row[-1:], 1, a(2, 3)),
        call(lambda row, k: np.outer(row, k * row), 1, a(2, 3, 2), 2.0),
        call(np.exp, -1, a.complex(2)),
    ],
)
def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """`func1d(row, *args, **kwargs)` for each row along `axis`; its axes take the place of that one."""
    arr = array_of(arr)
    axis = axis_of(axis, arr.ndim)
    rows = np.moveaxis(arr, axis, -1)
    lead = rows.shape[:-1]
    if 0 in lead:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    results = [array_of(func1d(rows[(*place, ...)], *args, **kwargs)) for place in np.ndindex(lead)]
    own = results[0].ndim
    stacked = np.stack(results, dtype=results[0].dtype, casting="unsafe").reshape(lead + results[0].shape)
    return np.moveaxis(stacked, range(len(lead), len(lead) + own), range(axis, axis + own))


@composed(np.apply_over_axes, samples=lambda a: [call(np.sum, a(2, 3, 2), [0, 2]), call(np.sum, a(2, 3), -1), call(np.cumsum, a(2, 3), (0, 1))])
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """`func(a, axis)` for one axis after the other; an axis that it folds stays, with length 1."""
    result = array_of(a)
    ndim = result.ndim
    for axis in np.ravel(axes).tolist():
        axis = axis_of(axis, ndim)
        folded = func(result, axis)
        if folded.ndim != ndim:
            folded = np.expand_dims(folded, axis)
            if folded.ndim != ndim:
                raise ValueError("function is not returning an array of the correct shape")
        result = folded
    return result
