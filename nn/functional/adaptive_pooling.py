"""Pooling over windows that adapt to the output's size: equal ones, or overlapping by an element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nn.functional.max_pooling import max_pool, taken, values
from nn.functional.window_sums import Ranges, range_sums, window_sums
from nn.functional.windows import Numbers, Windows, batched, per_axis

__all__ = ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"]


def _output_sizes(function: str, output_size: Any, sizes: Numbers) -> Numbers:
    """`output_size`, a number for all axes or one per axis, None for the input's own."""
    given = tuple(output_size) if isinstance(output_size, tuple | list) else (output_size,) * len(sizes)
    if len(given) != len(sizes):
        raise ValueError(f"{function}: output_size must be one number or {len(sizes)}, one per axis (None keeps the input's), not {output_size!r}")
    wanted = per_axis(function, "output_size", tuple(n if o is None else o for o, n in zip(given, sizes, strict=True)), len(sizes), 1)
    if min(sizes) < 1:
        raise ValueError(f"{function}: input has no elements along an axis of its size {sizes}")
    return wanted


def _divided(sizes: Numbers, counts: Numbers) -> Windows:
    """Windows side by side along the axes whose size is a multiple of the count; along the others each element is one."""
    kernel = tuple(n // o if n % o == 0 else 1 for n, o in zip(sizes, counts, strict=True))
    whole = tuple(n // k for n, k in zip(sizes, kernel, strict=True))
    return Windows(kernel, kernel, (0,) * len(sizes), (1,) * len(sizes), whole)


def _adaptive_avg_pooling(function: str, ndim: int, input: Any, output_size: Any) -> Any:
    x, added = batched(function, input, ndim)
    sizes = x.shape[2:]
    counts = _output_sizes(function, output_size, sizes)
    windows = _divided(sizes, counts)
    out = window_sums(x, windows) / windows.places if windows.places > 1 else x
    for axis, n, count in zip(range(-ndim, 0), sizes, counts, strict=True):
        if n % count:
            ranges = Ranges.dividing(n, count)
            lengths = (ranges.ends - ranges.starts).reshape((-1, *(1,) * (-1 - axis)))
            out = range_sums(out, ranges, axis) / lengths.astype(x.dtype if x.dtype.kind == "f" else float)
    return out[0] if added else out


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The means of `output_size` parts of the last axis: as `adaptive_avg_pool2d`, for (batch, channels, length).

    >>> import numpy as np
    >>> adaptive_avg_pool1d(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]), 2)
    array([[2., 4.]])
    """
    return _adaptive_avg_pooling("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """The means of as many parts of an image as asked for: part i of n reaches from floor(i size / n) to ceil((i + 1) size / n).

    input        (batch, channels, height, width), or without the batch
    output_size  one number for both axes or a pair; None keeps the input's

    >>> import numpy as np
    >>> adaptive_avg_pool2d(np.arange(16.0).reshape(1, 4, 4), (2, None))
    array([[[ 2.,  3.,  4.,  5.],
            [10., 11., 12., 13.]]])
    """
    return _adaptive_avg_pooling("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """The means of parts of a volume: as `adaptive_avg_pool2d`, with one axis more.

    >>> import numpy as np
    >>> adaptive_avg_pool3d(np.ones((1, 4, 5, 6)), 2).shape
    (1, 2, 2, 2)
    """
    return _adaptive_avg_pooling("adaptive_avg_pool3d", 3, input, output_size)


def _places_of_adaptive_maxima(x: Any, counts: Numbers) -> Any:
    """As `_places_of_maxima`, for windows whose length differs by one. Where one is shorter, its last element is looked at twice."""
    sizes = x.shape[2:]
    axes = [Ranges.dividing(n, count) for n, count in zip(sizes, counts, strict=True)]
    places = np.arange(math.prod(sizes)).reshape(sizes)
    longest = tuple(int((axis.ends - axis.starts).max()) for axis in axes)
    best: Any = None
    found: Any = None
    for offsets in np.ndindex(longest):
        grid = np.ix_(*(np.minimum(axis.starts + k, axis.ends - 1) for axis, k in zip(axes, offsets, strict=True)))
        part, here = x[(..., *grid)], places[grid]
        if best is None:
            best, found = part, np.zeros_like(x, dtype=np.int64, shape=part.shape) + here
            continue
        better = (part > best) | ((part != part) & (best == best))
        np.copyto(best, part, where=better)
        np.copyto(found, here, where=better)
    return found


def _adaptive_max_pooling(function: str, ndim: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    x, added = batched(function, input, ndim)
    counts = _output_sizes(function, output_size, x.shape[2:])
    windows = _divided(x.shape[2:], counts)
    if windows.counts == counts and not return_indices:
        out = max_pool(x, windows)
        return out[0] if added else out
    places = _places_of_adaptive_maxima(values(x), counts)
    out = taken(x, places)
    out, places = (out[0], places[0]) if added else (out, places)
    return (out, places) if return_indices else out


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of `output_size` parts of the last axis: as `adaptive_max_pool2d`, for (batch, channels, length).

    >>> import numpy as np
    >>> adaptive_max_pool1d(np.array([[1.0, 5.0, 3.0, 4.0, 2.0]]), 2)
    array([[5., 4.]])
    """
    return _adaptive_max_pooling("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of as many parts of an image as asked for, as `adaptive_avg_pool2d` divides it.

    return_indices  return (maxima, where they stand), counted through height and width

    >>> import numpy as np
    >>> adaptive_max_pool2d(np.arange(16.0).reshape(1, 4, 4), 2)
    array([[[ 5.,  7.],
            [13., 15.]]])
    """
    return _adaptive_max_pooling("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of parts of a volume: as `adaptive_max_pool2d`, with one axis more.

    >>> import numpy as np
    >>> adaptive_max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 1)
    array([[[[7.]]]])
    """
    return _adaptive_max_pooling("adaptive_max_pool3d", 3, input, output_size, return_indices)
