"""Convolutions of many small images, with the batch innermost in memory: an array (batch, channels, *sizes) that lies as (channels, *sizes, batch).

Then what all windows see at one place is one run of memory for each row of an image, as long as the row times the batch; a block
of columns is made of few long copies, and a convolution is one product per block, which writes its result where it belongs.
Results lie as the images do. NumPy's elementwise functions keep an array's order in memory, so a network's images stay as they
lie from its first convolution to its last pooling.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from nn.functional.convolution_columns import BLOCK, scratch
from nn.functional.innermost import as_innermost, innermost_empty, is_innermost, lying
from nn.functional.windows import Numbers, Windows

__all__ = ["add_bias", "channel_sums", "convolve", "convolve_back", "convolve_weights", "pays"]


def pays(x: Any, other: Any, windows: Windows, sizes: Numbers) -> bool:
    """Whether a convolution of `x` with another array, by windows over images of `sizes`, is computed here."""
    if type(x) is not np.ndarray or type(other) is not np.ndarray:
        return False
    if windows.are_elements(sizes) and not is_innermost(x):
        return False  # without columns there is nothing to win
    return len(x) >= 16 and 0 < math.prod(sizes) <= 32 * len(x) and x.size > 0  # measured: 1 to 128 channels, 4 to 784 pixels


def _blocks(windows: Windows, images: Any, dtype: Any) -> Iterator[tuple[slice, Windows]]:
    """Rows of windows (of the first axis) over `images` (channels, *sizes, batch) whose columns fill the cache."""
    rows = size = windows.counts[0]
    if not windows.are_elements(images.shape[1:-1]):  # which are their own columns
        of_a_row = len(images) * windows.places * math.prod(windows.counts[1:]) * images.shape[-1] * dtype.itemsize
        size = max(1, 2 * BLOCK // of_a_row)  # as much as the scratch array holds
    for start in range(0, rows, size):
        stop = min(start + size, rows)
        yield slice(start, stop), windows if stop - start == rows else windows.rows(start, stop)


def _columns(images: Any, windows: Windows, groups: int, dtype: Any) -> Any:
    """The windows over `images` (channels, *sizes, batch) as (groups, channels * places, windows * batch); overwritten by the next call."""
    channels, *sizes, batch = images.shape
    if windows.are_elements(tuple(sizes)):
        return images.reshape((groups, channels // groups, -1))
    columns = scratch.array("columns", (channels, *windows.kernel, *windows.counts, batch), images, dtype)
    for outside in _outside(windows, tuple(sizes)):
        columns[outside] = 0
    for place, seen, elements in windows.slots(tuple(sizes)):
        columns[(slice(None), *place, *seen[1:])] = images[(slice(None), *elements[1:])]
    return columns.reshape((groups, channels // groups * windows.places, -1))


@functools.lru_cache(maxsize=1024)
def _outside(windows: Windows, sizes: Numbers) -> tuple[Any, ...]:
    """The indices of what is outside the images in columns (channels, *kernel, *counts, batch): along each axis, at some of its places."""
    found = []
    for axis, (count, size) in enumerate(zip(windows.counts, sizes, strict=True)):
        inside = {place[0]: seen[1] for place, seen, _ in windows.along(axis).slots((size,))}
        for place in range(windows.kernel[axis]):
            some = inside.get(place, slice(0, 0))
            for part in (slice(0, some.start), slice(some.stop, count)):
                if part.start < part.stop:
                    index: list[Any] = [slice(None)] * (1 + 2 * windows.ndim)
                    index[1 + axis], index[1 + windows.ndim + axis] = place, part
                    found.append(tuple(index))
    return tuple(found)


def _rows_of(images: Any, rows: slice, groups: int) -> Any:
    """Some rows of `images` (channels, *sizes, batch), as the rows of matrices: a view, which may be written to."""
    part = images[:, rows]
    return part.reshape((groups, len(images) // groups, math.prod(part.shape[1:])))


def convolve(x: Any, weight: Any, bias: Any, windows: Windows, groups: int, dtype: Any) -> Any:
    """The convolution with `weight` (outputs, channels / groups, *kernel)."""
    images = lying(as_innermost(x))
    kernels = weight.reshape((groups, len(weight) // groups, math.prod(weight.shape[1:])))
    result = innermost_empty((len(x), len(weight), *windows.counts), dtype)
    for rows, part in _blocks(windows, images, dtype):
        np.matmul(kernels, _columns(images, part, groups, dtype), out=_rows_of(lying(result), rows, groups))
    return add_bias(result, bias)


def convolve_back(y: Any, weight: Any, bias: Any, windows: Windows, groups: int, sizes: Numbers, dtype: Any) -> Any:
    """The transpose: each element of `y` adds its kernel to the image, which has `sizes`."""
    results = lying(as_innermost(y))
    channels = weight.shape[1] * groups
    kernels = weight.reshape((groups, len(weight) // groups, weight.shape[1] * windows.places)).swapaxes(1, 2)
    image = innermost_empty((len(y), channels, *sizes), dtype)
    images = lying(image)
    images[...] = 0
    for rows, part in _blocks(windows, images, dtype):
        values = _rows_of(results, rows, groups)
        columns = scratch.array("columns", (groups, kernels.shape[1], values.shape[2]), y, dtype)
        np.matmul(kernels, values, out=columns)
        places = columns.reshape((channels, *windows.kernel, *part.counts, len(y)))
        for place, seen, elements in part.slots(sizes):
            images[(slice(None), *elements[1:])] += places[(slice(None), *place, *seen[1:])]
    return add_bias(image, bias)


def convolve_weights(x: Any, y: Any, windows: Windows, groups: int, dtype: Any) -> Any:
    """What each weight is multiplied with, (groups, outputs of a group, channels of a group * places)."""
    images, results = lying(as_innermost(x)), lying(as_innermost(y))
    total: Any = None
    for rows, part in _blocks(windows, images, dtype):
        product = np.matmul(_rows_of(results, rows, groups), _columns(images, part, groups, dtype).swapaxes(-1, -2))
        total = product if total is None else np.add(total, product, out=total)
    return total


def add_bias(result: Any, bias: Any) -> Any:
    """`result` + bias of each channel; in place, `result` being fresh."""
    if bias is not None:
        flat = lying(result).reshape((result.shape[1], -1))
        flat += bias[:, None]
    return result


def channel_sums(g: Any) -> Any:
    """The sums over all axes but the second, of an array with the batch innermost."""
    rows = lying(g).reshape((g.shape[1], -1))
    return rows @ np.ones(rows.shape[1], g.dtype)
