"""Max pooling: the largest element of each window, and what puts maxima back where they stood.

The maxima are computed axis by axis, from slices (`windows.Windows`). Their gradient goes to the first of its window's largest
elements: `_to_winners` puts gradients there, `_from_winners` reads there, and each is the other's rule.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.innermost import laid_out_as
from nn.functional.windows import Numbers, Windows, arrays_only, batched, per_axis, pool_numbers, windows_over

__all__ = ["max_pool", "max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d", "taken", "values"]

# Samples: windows side by side, and overlapping, dilated ones that hang over both ends.
_BESIDE = Windows((2,), (2,), (0,), (1,), (2,))
_OVERLAPPING = Windows((3, 2), (1, 2), (1, 1), (1, 2), (3, 2))
_TOGETHER = "its callers make windows that fit the array"


@ag.op(
    name="max_pool",
    real_only=True,
    selects=True,
    samples=lambda a: [
        ag.call(x, windows).only(_TOGETHER) for x, windows in [(a(2, 1, 5), _BESIDE), (a(1, 2, 3, 4), _OVERLAPPING), (a(0, 2, 3, 4), _OVERLAPPING)]
    ],
)
def max_pool(x: Any, windows: Windows) -> Any:
    """The largest elements of windows over the last axes."""
    for axis in range(-windows.ndim, 0):
        x = _maxima_along(x, windows.along(axis), axis)
    return x


def _maxima_along(x: Any, windows: Windows, axis: int) -> Any:
    """The maxima over windows along one axis. Outside the array there is nothing, as if it were filled with -inf."""
    others = (slice(None),) * (-1 - axis)
    slots = windows.slots((x.shape[axis],))
    everywhere = slice(0, windows.counts[0])
    whole = [x[(*elements, *others)] for _, which, elements in slots if which[1] == everywhere]
    if len(whole) > 1:
        out = np.maximum(whole[0], whole[1])
    elif whole:
        out = np.copy(whole[0])
    else:
        out = np.full_like(x, lowest(x.dtype), shape=(*x.shape[:axis], *windows.counts, *x.shape[x.ndim + axis + 1 :]))
    for part in whole[2:]:
        np.maximum(out, part, out=out)
    for _, which, elements in slots:
        if which[1] != everywhere:
            target = out[(*which, *others)]
            np.maximum(target, x[(*elements, *others)], out=target)
    return out


def lowest(dtype: Any) -> Any:
    """What is below every element."""
    return -math.inf if dtype.kind == "f" else np.iinfo(dtype).min


@ag.op(
    name="to_winners",
    inert=("x", "top"),
    linear=True,
    samples=lambda a: [ag.call(a(*top.shape), x, top, windows).only(_TOGETHER) for x, top, windows in _pooled(a)],
)
def _to_winners(g: Any, x: Any, top: Any, windows: Windows) -> Any:
    """Each g, where its window's maximum `top` stands first in `x`; their sum where windows share it; 0 elsewhere."""
    sizes = x.shape[-windows.ndim :]
    apart = all(k == 1 or s >= d * (k - 1) + 1 for k, s, d in zip(windows.kernel, windows.stride, windows.dilation, strict=True))
    if type(g) is type(x) is np.ndarray:
        g, made = laid_out_as(g, top), x  # as x lies in memory
    else:
        made = g
    result = (np.empty_like if windows.tiles(sizes) else np.zeros_like)(made, shape=x.shape, dtype=g.dtype)
    for elements, which, won in _first_wins(x, top, windows):
        if apart:  # no two windows share an element
            np.multiply(g[which], won, out=result[elements])
        else:
            result[elements] += g[which] * won
    return result


@ag.op(
    name="from_winners",
    inert=("x", "top"),
    linear=True,
    samples=lambda a: [ag.call(a(*x.shape), x, top, windows).only(_TOGETHER) for x, top, windows in _pooled(a)],
)
def _from_winners(h: Any, x: Any, top: Any, windows: Windows) -> Any:
    """The elements of `h` where each window's maximum `top` stands first in `x`."""
    result = np.zeros_like(h, shape=top.shape)
    for elements, which, won in _first_wins(x, top, windows):
        result[which] += h[elements] * won
    return result


ag.defvjp(
    max_pool,
    x=lambda g, x, out, windows: _to_winners(g, x, out, windows),
)
ag.defvjp(
    _to_winners,
    g=lambda g, x, top, windows: _from_winners(g, x, top, windows),
)
ag.defvjp(
    _from_winners,
    h=lambda g, x, top, windows: _to_winners(g, x, top, windows),
)


def _first_wins(x: Any, top: Any, windows: Windows) -> Any:
    """For each place within the windows: the elements there, their windows, and in which of them this place is the first with the maximum."""
    open_windows = np.ones_like(top, dtype=bool)
    for _, which, elements in windows.slots(x.shape[-windows.ndim :]):
        still_open = open_windows[which]
        won = x[elements] == top[which]
        won &= still_open
        still_open ^= won
        yield elements, which, won


def _pooled(a: Any) -> list[tuple[Any, Any, Windows]]:
    """Samples: an array, its maxima, the windows."""
    arrays = [(a(2, 1, 5), _BESIDE), (a(1, 2, 3, 4), _OVERLAPPING), (a(0, 2, 3, 4), _OVERLAPPING)]
    return [(x, max_pool(x, windows), windows) for x, windows in arrays]


def _places_of_maxima(x: Any, windows: Windows) -> Any:
    """Where the maximum of each window stands: the first of them, counted through the last axes of `x`. A nan is larger than all."""
    sizes = x.shape[-windows.ndim :]
    shape = (*x.shape[: -windows.ndim], *windows.counts)
    best = np.full_like(x, lowest(x.dtype), shape=shape)
    found = np.full_like(x, -1, dtype=np.int64, shape=shape)
    places = np.arange(math.prod(sizes)).reshape(sizes)
    for _, which, elements in windows.slots(sizes):
        part = x[elements]
        better = (part > best[which]) | (found[which] < 0) | (part != part)
        np.copyto(best[which], part, where=better)
        np.copyto(found[which], places[elements[1:]], where=better)
    return found


def taken(x: Any, places: Any) -> Any:
    """The elements of `x` (batch, channels, *sizes) at `places` (batch, channels, *counts), which count through the sizes."""
    flat = x.reshape((*x.shape[:2], math.prod(x.shape[2:])))
    return np.take_along_axis(flat, places.reshape((*x.shape[:2], math.prod(places.shape[2:]))), axis=-1).reshape(places.shape)


def values(x: Any) -> Any:
    """The array of a tensor: what decisions are made with."""
    return x.detach().numpy() if isinstance(x, ag.Tensor) else x


def _max_pooling(
    function: str, ndim: int, input: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, return_indices: bool
) -> Any:
    x, added = batched(function, input, ndim)
    kernel, stride, padding = pool_numbers(function, ndim, kernel, stride, padding)
    dilation = per_axis(function, "dilation", dilation, ndim, 1)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    if any(p > r // 2 for p, r in zip(padding, reach, strict=True)):
        raise ValueError(f"{function}: padding={padding} must be at most half of what the windows reach over, {reach}: some would be empty")
    windows = windows_over(function, x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    if not return_indices:
        out = max_pool(x, windows)
        return out[0] if added else out
    places = _places_of_maxima(values(x), windows)
    out = taken(x, places)
    return (out[0], places[0]) if added else (out, places)


def max_pool1d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False
) -> Any:
    """The largest element of each window along the last axis: as `max_pool2d`, for (batch, channels, length).

    >>> import numpy as np
    >>> max_pool1d(np.array([[[1.0, 3.0, 2.0, 5.0]]]), 2)
    array([[[3., 5.]]])
    """
    return _max_pooling("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False
) -> Any:
    """The largest element of each window; its gradient goes to the first of equal ones.

    input           (batch, channels, height, width), or without the batch
    kernel_size, stride, padding, dilation  one number for both axes or a pair; stride None is the kernel's size. What is
                    padded counts as -inf, and is at most half a window
    ceil_mode       a last window may hang over the end
    return_indices  return (maxima, where they stand), counted through height and width, as `max_unpool2d` takes it

    >>> import numpy as np
    >>> max_pool2d(np.arange(16.0).reshape(1, 4, 4), 2)
    array([[[ 5.,  7.],
            [13., 15.]]])
    """
    return _max_pooling("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, return_indices: bool = False
) -> Any:
    """The largest element of each window over depth, height and width: as `max_pool2d`, with one axis more.

    >>> import numpy as np
    >>> max_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2)
    array([[[[7.]]]])
    """
    return _max_pooling("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@ag.op(
    name="place",
    x=lambda g, places, like: taken(g, places),
    inert=("sizes",),
    linear=True,
    samples=lambda a: [ag.call(a(1, 2, 2), np.array([[[3, 0], [1, 2]]]), (4,)).only("its caller has looked at the places")],
)
def _placed(x: Any, places: Any, sizes: Numbers) -> Any:
    """Zeros of (batch, channels, *sizes) but for `x` at `places`, which count through the sizes."""
    out = np.zeros_like(x, shape=(*x.shape[:2], math.prod(sizes)))
    flat = (*x.shape[:2], math.prod(x.shape[2:]))
    np.put_along_axis(out, places.reshape(flat), x.reshape(flat), axis=-1)
    return out.reshape((*x.shape[:2], *sizes))


def _max_unpooling(function: str, ndim: int, input: Any, indices: Any, kernel: Any, stride: Any, padding: Any, output_size: Any) -> Any:
    x, added = batched(function, input, ndim)
    arrays_only(function, indices=indices)
    if indices.shape != input.shape or indices.dtype.kind not in "iu":
        raise ValueError(f"{function}: indices must be integers of input's shape {input.shape}, not {indices.dtype} of shape {indices.shape}")
    kernel, stride, padding = pool_numbers(function, ndim, kernel, stride, padding)
    sizes = tuple((n - 1) * s - 2 * p + k for n, k, s, p in zip(x.shape[2:], kernel, stride, padding, strict=True))
    if output_size is not None:
        wanted = per_axis(function, "output_size", tuple(output_size)[-ndim:], ndim, 0)
        if any(not n - s < size < n + s for n, s, size in zip(sizes, stride, wanted, strict=True)):
            raise ValueError(f"{function}: output_size={wanted} must differ from {sizes} by less than the stride {stride}")
        sizes = wanted
    places = values(indices)[None] if added else values(indices)
    if places.size and not (places.min() >= 0 and places.max() < math.prod(sizes)):
        raise ValueError(
            f"{function}: indices from {places.min()} to {places.max()} for an output of size {sizes}, which has {math.prod(sizes)} places"
        )
    out = _placed(x, places, sizes)
    return out[0] if added else out


def max_unpool1d(input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Any:
    """Maxima put back where they stood: as `max_unpool2d`, for (batch, channels, length).

    >>> import numpy as np
    >>> max_unpool1d(*max_pool1d(np.array([[[1.0, 3.0, 5.0, 2.0]]]), 2, return_indices=True), 2)
    array([[[0., 3., 5., 0.]]])
    """
    return _max_unpooling("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Any:
    """Maxima put back where they stood, zeros elsewhere: what can be inverted of `max_pool2d`.

    input, indices  what `max_pool2d(..., return_indices=True)` returned
    output_size     of the image before, where several sizes are pooled to that of input

    >>> import numpy as np
    >>> max_unpool2d(*max_pool2d(np.arange(4.0).reshape(1, 2, 2), 2, return_indices=True), 2)
    array([[[0., 0.],
            [0., 3.]]])
    """
    return _max_unpooling("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Any:
    """Maxima put back where they stood: as `max_unpool2d`, with one axis more.

    >>> import numpy as np
    >>> max_unpool3d(*max_pool3d(np.ones((1, 1, 4, 4, 4)), 2, return_indices=True), 2).sum()
    np.float64(8.0)
    """
    return _max_unpooling("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)
