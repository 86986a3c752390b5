"""The columns that convolutions are products with: the windows of images, a block at a time, as many as fit into the cache.

They are made by one slice copy per place of the kernel, and never kept (im2col; Chellapilla, Puri & Simard 2006, "High performance
convolutional neural networks for document processing").
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from nn.functional.windows import Numbers, Windows

__all__ = ["BLOCK", "Columns", "blocks_of", "scratch"]

BLOCK = 2**20  # bytes of columns that are made at a time: what stays in a core's cache until the product has read it


class _Scratch(threading.local):
    """Arrays that are overwritten again and again: fresh memory for each block would take longer to get than to fill."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def array(self, name: str, shape: Numbers, like: Any, dtype: Any) -> Any:
        """An array of any content, which shares its memory with the last one of this name."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > 2 * BLOCK or not isinstance(like, np.ndarray):
            return np.empty_like(like, shape=shape, dtype=dtype, order="C")
        if name not in self.kept or self.kept[name].size < size:
            self.kept[name] = np.empty(2 * BLOCK, np.uint8)
        return self.kept[name][:size].view(dtype).reshape(shape)


scratch = _Scratch()


class _Block(NamedTuple):
    """Some of the images, and some rows of their windows: `rows` of the first axis, seen as `windows`."""

    images: slice
    rows: slice
    windows: Windows


def blocks_of(batch: int, channels: int, windows: Windows, itemsize: int) -> list[_Block]:
    """Blocks whose columns fill the cache: a few whole images each, or of a large image a few rows of windows."""
    bytes_each = max(1, channels * windows.places * math.prod(windows.counts) * itemsize)
    rows = windows.counts[0]
    if bytes_each <= 2 * BLOCK:
        size = max(1, BLOCK // bytes_each)
        return [_Block(slice(start, min(start + size, batch)), slice(0, rows), windows) for start in range(0, batch, size)]
    size = max(1, rows * BLOCK // bytes_each)
    parts = [(start, min(start + size, rows)) for start in range(0, rows, size)]
    return [_Block(slice(image, image + 1), slice(*part), windows.rows(*part)) for image in range(batch) for part in parts]


class Columns:
    """The windows of images as the columns of matrices, a block at a time: (channels * places, images * rows of windows * width).

    Where the matrices are small, the images' rows are laid end to end, with a gap of zeros between them that is the padding of both. Then what all
    windows see at one place is one long slice per image, and not one per row; `width` counts the windows in the gap too,
    whose results nobody looks at.
    """

    def __init__(self, x: Any, windows: Windows, groups: int, outputs: int, dtype: Any) -> None:
        self.x = x
        self.windows = windows
        self.groups = groups
        self.dtype = dtype
        gap = _gap(windows, x.shape[2:], outputs)
        self.long = gap is not None
        self.width = windows.counts[-1] if gap is None else x.shape[3] + gap
        self._cleared: Any = None

    def __iter__(self) -> Iterator[tuple[slice, slice, Any]]:
        """(images, rows of windows, their columns, in groups); a block is overwritten by the next."""
        channels_first = self.x.swapaxes(0, 1)
        channels = len(channels_first)
        fill = self._fill_rows if self.long else self._fill
        for images, rows, part in blocks_of(len(self.x), channels, self.windows, np.dtype(self.dtype).itemsize):
            shape = (channels, *part.kernel, images.stop - images.start, *part.counts[:-1], self.width)
            columns = scratch.array("columns", shape, self.x, self.dtype)
            fill(columns, channels_first[:, images], part)
            yield images, rows, columns.reshape((self.groups, channels // self.groups * part.places, -1))

    def _is_clear(self, part: Windows, array: Any) -> bool:
        """Whether what lies outside the images is zero in `array`, from the block before."""
        before, self._cleared = self._cleared, (part, array.shape)
        return bool(before == self._cleared)

    def _fill(self, columns: Any, some: Any, part: Windows) -> None:
        if not self._is_clear(part, columns):
            columns[...] = 0
        for place, seen, elements in part.slots(some.shape[2:]):
            columns[(slice(None), *place, *seen)] = some[elements]

    def _fill_rows(self, columns: Any, some: Any, part: Windows) -> None:
        """`_fill` with the images' rows laid end to end."""
        (tall, wide), (d0, d1), (p0, p1) = part.kernel, part.dilation, part.padding
        rows = part.counts[0] + d0 * (tall - 1)
        flat = scratch.array("image", (*some.shape[:2], rows * self.width + p1 + d1 * (wide - 1)), self.x, self.dtype)
        if not self._is_clear(part, flat):
            flat[...] = 0
        first, last = max(0, -p0), min(some.shape[2], rows - p0)
        image = flat[:, :, p1 : p1 + rows * self.width].reshape((*some.shape[:2], rows, self.width))
        image[:, :, first + p0 : last + p0, : some.shape[3]] = some[:, :, first:last]
        length = part.counts[0] * self.width
        runs = columns.reshape((*columns.shape[:4], length))
        for i in range(tall):
            for j in range(wide):
                start = i * d0 * self.width + j * d1
                runs[:, i, j] = flat[:, :, start : start + length]

    def rows_of(self, y: Any, images: slice, rows: slice) -> Any:
        """Of `y` (batch, groups, outputs, *counts) the same block as (groups, outputs, images * rows * width), zero in the gaps."""
        part = y[images, :, :, rows].transpose((1, 2, 0, *range(3, y.ndim)))
        out = scratch.array("rows", (*part.shape[:-1], self.width), y, y.dtype)
        out[..., : part.shape[-1]] = part
        out[..., part.shape[-1] :] = 0
        return out.reshape((*part.shape[:2], -1))


def _gap(windows: Windows, sizes: Numbers, outputs: int) -> int | None:
    """How many zeros between two rows of an image are the padding of both; None if the rows are better taken one by one.

    outputs  how many rows the matrices have that the columns are multiplied with: so much work more is a window in the gap
    """
    if len(sizes) != 2 or set(windows.stride) != {1}:
        return None
    padding, reach, width = windows.padding[1], windows.dilation[1] * (windows.kernel[1] - 1), sizes[1]
    gap = max(padding, windows.counts[1] + reach - padding - width, 0)
    holds_all = padding >= 0 and windows.counts[1] <= width + gap
    return gap if holds_all and gap * outputs <= 4 * width else None  # 4: measured, with 16 to 128 channels and 2 to 32 pixels
