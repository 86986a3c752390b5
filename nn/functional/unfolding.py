"""The windows of images as columns, and columns added up as images: `unfold` and `fold`, each the other's transpose."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.windows import Numbers, Windows, arrays_only, batched, per_axis, windows_over

__all__ = ["fold", "unfold"]

_TOGETHER = "its callers make windows and sizes that belong together"
_FOLDED = Windows((2, 2), (1, 2), (1, 0), (1, 1), (3, 2))


@ag.op(
    name="unfold",
    linear=True,
    structural=True,
    samples=lambda a: [ag.call(a(2, 2, 2, 4), _FOLDED).only(_TOGETHER), ag.call(a(0, 2, 2, 4), _FOLDED).only(_TOGETHER)],
)
def _columns(x: Any, windows: Windows) -> Any:
    """The windows of (batch, channels, *sizes) as columns (batch, channels * places, windows)."""
    columns = np.zeros_like(x, shape=(*x.shape[:2], *windows.kernel, *windows.counts))
    for place, seen, elements in windows.slots(x.shape[2:]):
        columns[(slice(None), slice(None), *place, *seen)] = x[elements]
    return columns.reshape((x.shape[0], x.shape[1] * windows.places, math.prod(windows.counts)))


@ag.op(
    name="fold",
    inert=("sizes",),
    linear=True,
    structural=True,
    samples=lambda a: [ag.call(a(2, 8, 6), _FOLDED, (2, 4)).only(_TOGETHER), ag.call(a(0, 8, 6), _FOLDED, (2, 4)).only(_TOGETHER)],
)
def _overlaid(columns: Any, windows: Windows, sizes: Numbers) -> Any:
    """Columns added up where their windows stand in an image of `sizes`."""
    batch, channels = columns.shape[0], columns.shape[1] // windows.places
    out = np.zeros_like(columns, shape=(batch, channels, *sizes))
    parts = columns.reshape((batch, channels, *windows.kernel, *windows.counts))
    for place, seen, elements in windows.slots(sizes):
        out[elements] += parts[(slice(None), slice(None), *place, *seen)]
    return out


ag.defvjp(_columns, x=lambda g, windows, like: _overlaid(g, windows, like.shape[2:]))
ag.defvjp(_overlaid, columns=lambda g, windows: _columns(g, windows))


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The windows of images as columns.

    input    (batch, channels, height, width), or without the batch
    returns  (batch, channels * kernel height * kernel width, number of windows), windows in row-major order
    others   one number for both axes or a pair, as for `conv2d`

    >>> import numpy as np
    >>> unfold(np.arange(6.0).reshape(1, 2, 3), kernel_size=2)
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """
    x, added = batched("unfold", input, 2)
    kernel, stride, padding, dilation = _window_numbers("unfold", kernel_size, stride, padding, dilation)
    out = _columns(x, windows_over("unfold", x.shape[2:], kernel, stride, padding, dilation))
    return out[0] if added else out


def fold(input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Columns added up where their windows stand in the image: the transpose of `unfold`, not its inverse where windows overlap.

    input        (batch, channels * kernel height * kernel width, number of windows), or without the batch
    output_size  (height, width) of the image
    returns      (batch, channels, height, width)
    raises       ValueError if the columns are not those of such an image

    >>> import numpy as np
    >>> fold(np.array([[0.0, 1.0], [1.0, 2.0], [3.0, 4.0], [4.0, 5.0]]), (2, 3), kernel_size=2)
    array([[[0., 2., 2.],
            [3., 8., 5.]]])
    """
    arrays_only("fold", input=input)
    if input.ndim not in (2, 3):
        raise ValueError(f"fold: input must have 3 axes, (batch, channels * kernel places, windows), or 2 without the batch, not shape {input.shape}")
    x = input if input.ndim == 3 else input[None]
    kernel, stride, padding, dilation = _window_numbers("fold", kernel_size, stride, padding, dilation)
    sizes = per_axis("fold", "output_size", output_size, 2, 1)
    windows = windows_over("fold", sizes, kernel, stride, padding, dilation)
    if x.shape[1] % windows.places or x.shape[1] == 0 or x.shape[2] != math.prod(windows.counts):
        raise ValueError(
            f"fold: input has shape {input.shape}; an image of size {sizes} has {math.prod(windows.counts)} windows {windows.counts}, "
            f"of channels * {windows.places} elements"
        )
    out = _overlaid(x, windows, sizes)
    return out if input.ndim == 3 else out[0]


def _window_numbers(function: str, kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    return (
        per_axis(function, "kernel_size", kernel, 2, 1),
        per_axis(function, "stride", stride, 2, 1),
        per_axis(function, "padding", padding, 2, 0),
        per_axis(function, "dilation", dilation, 2, 1),
    )
