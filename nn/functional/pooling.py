"""Pooling: the largest element, or the mean, of each window.

Both are computed axis by axis, from slices (`windows.Windows`). The gradient of a maximum goes to the first of its window's
largest elements: `_to_winners` puts gradients there, `_from_winners` reads there, and each is the other's rule. So are the
sums over windows or ranges, and what spreads an element over its window.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.axes import as_product, repeat
from nn.functional.innermost import laid_out_as
from nn.functional.windows import Numbers, Windows, arrays_only, batched, is_integer, per_axis, windows_over

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]

# Samples: windows side by side, and overlapping, dilated ones that hang over both ends.
_BESIDE = Windows((2,), (2,), (0,), (1,), (2,))
_OVERLAPPING = Windows((3, 2), (1, 2), (1, 1), (1, 2), (3, 2))
_TOGETHER = "its callers make windows that fit the array"


# --- maxima ---------------------------------------------------------------------------------------------------------------


@ag.op(
    name="max_pool",
    real_only=True,
    selects=True,
    samples=lambda a: [
        ag.call(x, windows).only(_TOGETHER) for x, windows in [(a(2, 1, 5), _BESIDE), (a(1, 2, 3, 4), _OVERLAPPING), (a(0, 2, 3, 4), _OVERLAPPING)]
    ],
)
def _max_pool(x: Any, windows: Windows) -> Any:
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
        out = np.full_like(x, _lowest(x.dtype), shape=(*x.shape[:axis], *windows.counts, *x.shape[x.ndim + axis + 1 :]))
    for part in whole[2:]:
        np.maximum(out, part, out=out)
    for _, which, elements in slots:
        if which[1] != everywhere:
            target = out[(*which, *others)]
            np.maximum(target, x[(*elements, *others)], out=target)
    return out


def _lowest(dtype: Any) -> Any:
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
    _max_pool,
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
    return [(x, _max_pool(x, windows), windows) for x, windows in arrays]


def _places_of_maxima(x: Any, windows: Windows) -> Any:
    """Where the maximum of each window stands: the first of them, counted through the last axes of `x`. A nan is larger than all."""
    sizes = x.shape[-windows.ndim :]
    shape = (*x.shape[: -windows.ndim], *windows.counts)
    best = np.full_like(x, _lowest(x.dtype), shape=shape)
    found = np.full_like(x, -1, dtype=np.int64, shape=shape)
    places = np.arange(math.prod(sizes)).reshape(sizes)
    for _, which, elements in windows.slots(sizes):
        part = x[elements]
        better = (part > best[which]) | (found[which] < 0) | (part != part)
        np.copyto(best[which], part, where=better)
        np.copyto(found[which], places[elements[1:]], where=better)
    return found


def _taken(x: Any, places: Any) -> Any:
    """The elements of `x` (batch, channels, *sizes) at `places` (batch, channels, *counts), which count through the sizes."""
    flat = x.reshape((*x.shape[:2], math.prod(x.shape[2:])))
    return np.take_along_axis(flat, places.reshape((*x.shape[:2], math.prod(places.shape[2:]))), axis=-1).reshape(places.shape)


def _values(x: Any) -> Any:
    """The array of a tensor: what decisions are made with."""
    return x.detach().numpy() if isinstance(x, ag.Tensor) else x


def _max_pooling(
    function: str, ndim: int, input: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, return_indices: bool
) -> Any:
    x, added = batched(function, input, ndim)
    kernel, stride, padding = _window_numbers(function, ndim, kernel, stride, padding)
    dilation = per_axis(function, "dilation", dilation, ndim, 1)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    if any(p > r // 2 for p, r in zip(padding, reach, strict=True)):
        raise ValueError(f"{function}: padding={padding} must be at most half of what the windows reach over, {reach}: some would be empty")
    windows = windows_over(function, x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    if not return_indices:
        out = _max_pool(x, windows)
        return out[0] if added else out
    places = _places_of_maxima(_values(x), windows)
    out = _taken(x, places)
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
    x=lambda g, places, like: _taken(g, places),
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
    kernel, stride, padding = _window_numbers(function, ndim, kernel, stride, padding)
    sizes = tuple((n - 1) * s - 2 * p + k for n, k, s, p in zip(x.shape[2:], kernel, stride, padding, strict=True))
    if output_size is not None:
        wanted = per_axis(function, "output_size", tuple(output_size)[-ndim:], ndim, 0)
        if any(not n - s < size < n + s for n, s, size in zip(sizes, stride, wanted, strict=True)):
            raise ValueError(f"{function}: output_size={wanted} must differ from {sizes} by less than the stride {stride}")
        sizes = wanted
    places = _values(indices)[None] if added else _values(indices)
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


# --- means ----------------------------------------------------------------------------------------------------------------


@ag.op(
    name="window_sums",
    linear=True,
    structural=True,
    samples=lambda a: [
        ag.call(x, windows).only(_TOGETHER)
        for x, windows in [
            (a(2, 1, 5), _BESIDE),
            (a(1, 2, 3, 4), _OVERLAPPING),
            (a(1, 8, 10), Windows((8, 5), (8, 5), (0, 0), (1, 1), (1, 2))),
            (a(0, 2, 3, 4), _OVERLAPPING),
        ]
    ],
)
def _window_sums(x: Any, windows: Windows) -> Any:
    """The sums over windows along the last axes."""
    for axis in range(-windows.ndim, 0):
        if windows.along(axis).are_elements((x.shape[axis],)):
            continue
        x = _sums_along(x, windows.along(axis), axis)
    return x


def _sums_along(x: Any, windows: Windows, axis: int) -> Any:
    others = (slice(None),) * (-1 - axis)
    if windows.tiles((x.shape[axis],)) and windows.places > 4:
        return x.reshape((*x.shape[:axis], *windows.counts, *windows.kernel, *x.shape[x.ndim + axis + 1 :])).sum(axis=axis)
    out = np.zeros_like(x, shape=(*x.shape[:axis], *windows.counts, *x.shape[x.ndim + axis + 1 :]))
    for _, which, elements in windows.slots((x.shape[axis],)):
        out[(*which, *others)] += x[(*elements, *others)]
    return out


@ag.op(
    name="spread",
    inert=("sizes",),
    linear=True,
    structural=True,
    samples=lambda a: [
        ag.call(*arguments).only(_TOGETHER)
        for arguments in [(a(2, 1, 2), _BESIDE, (5,)), (a(1, 2, 3, 2), _OVERLAPPING, (3, 4)), (a(0, 2, 3, 2), _OVERLAPPING, (3, 4))]
    ],
)
def _spread(g: Any, windows: Windows, sizes: Numbers) -> Any:
    """To each element along the last axes, of `sizes`, the sum of those g whose windows it is in."""
    for axis in range(-windows.ndim, 0):
        along, others = windows.along(axis), (slice(None),) * (-1 - axis)
        if along.tiles((sizes[axis],)):
            g = g if along.places == 1 else repeat(g, along.places, axis)
            continue
        out = np.zeros_like(g, shape=(*g.shape[:axis], sizes[axis], *g.shape[g.ndim + axis + 1 :]))
        for _, which, elements in along.slots((sizes[axis],)):
            out[(*elements, *others)] += g[(*which, *others)]
        g = out
    return g


ag.defvjp(
    _window_sums,
    x=lambda g, windows, like: _spread(g, windows, like.shape[-windows.ndim :]),
)
ag.defvjp(
    _spread,
    g=lambda g, windows: _window_sums(g, windows),
)


def repeated(x: Any, times: int, axis: int) -> Any:
    """Each element along `axis` < 0, `times` times: a window of its own to spread over."""
    counts = tuple(x.shape[axis:])
    kernel = (times, *(1,) * (len(counts) - 1))
    windows = Windows(kernel, kernel, (0,) * len(counts), (1,) * len(counts), counts)
    return _spread(x, windows, (counts[0] * times, *counts[1:]))


def _window_numbers(function: str, ndim: int, kernel: Any, stride: Any, padding: Any) -> tuple[Numbers, Numbers, Numbers]:
    kernel = per_axis(function, "kernel_size", kernel, ndim, 1)
    empty = stride is None or (isinstance(stride, tuple | list) and not stride)
    return kernel, kernel if empty else per_axis(function, "stride", stride, ndim, 1), per_axis(function, "padding", padding, ndim, 0)


def _avg_pooling(
    function: str,
    ndim: int,
    input: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Any:
    x, added = batched(function, input, ndim)
    kernel, stride, padding = _window_numbers(function, ndim, kernel, stride, padding)
    if any(p > k // 2 for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"{function}: padding={padding} must be at most half of the kernel's size {kernel}")
    if divisor_override is not None and (not is_integer(divisor_override) or divisor_override == 0):
        raise ValueError(f"{function}: divisor_override must be an integer that is not 0, or None, not {divisor_override!r}")
    windows = windows_over(function, x.shape[2:], kernel, stride, padding, (1,) * ndim, ceil_mode)
    divisor = divisor_override if divisor_override is not None else _divisors(windows, x, count_include_pad)
    out = _window_sums(x, windows) / divisor
    return out[0] if added else out


def _divisors(windows: Windows, x: Any, count_padding: bool) -> Any:
    """How many elements each window has: one number where they are all whole, else an array. The padding counts as elements or not."""
    result: Any = 1
    for n, k, s, p, count in zip(x.shape[2:], windows.kernel, windows.stride, windows.padding, windows.counts, strict=True):
        starts = np.arange(count) * s - p
        ends = np.minimum(starts + k, n + p)
        lengths = ends - starts if count_padding else np.minimum(ends, n) - np.maximum(starts, 0)
        result = np.multiply.outer(result, lengths)
    whole = result == windows.places
    return windows.places if whole.all() else result.astype(x.dtype if x.dtype.kind == "f" else float)


def avg_pool1d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True) -> Any:
    """The mean of each window along the last axis: as `avg_pool2d`, for (batch, channels, length).

    >>> import numpy as np
    >>> avg_pool1d(np.array([[[1.0, 3.0, 2.0, 5.0]]]), 2)
    array([[[2. , 3.5]]])
    """
    return _avg_pooling("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The mean of each window.

    input              (batch, channels, height, width), or without the batch
    kernel_size, stride, padding  one number for both axes or a pair; stride None is the kernel's size. What is padded counts as 0
    ceil_mode          a last window may hang over the end
    count_include_pad  whether padded zeros are counted in the mean
    divisor_override   divide the sums by this number instead

    >>> import numpy as np
    >>> avg_pool2d(np.arange(16.0).reshape(1, 4, 4), 2)
    array([[[ 2.5,  4.5],
            [10.5, 12.5]]])
    """
    return _avg_pooling("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The mean of each window over depth, height and width: as `avg_pool2d`, with one axis more.

    >>> import numpy as np
    >>> avg_pool3d(np.arange(8.0).reshape(1, 2, 2, 2), 2)
    array([[[[3.5]]]])
    """
    return _avg_pooling("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


# --- power means ----------------------------------------------------------------------------------------------------------


# The derivative of a root is infinite at 0; as in torch, it is taken for 0 there.
@ag.op(
    name="root",
    x=lambda g, x, out, power: g * np.where(x == 0, 0.0, out / (power * np.where(x == 0, 1.0, x))),
    real_only=True,
    elementwise=True,
    samples=lambda a: [ag.call(a.positive(2, 3), 2.0), ag.call(a.positive(), 3.0), ag.call(a(0, 2), 2.0)],
)
def _root(x: Any, power: float) -> Any:
    return x ** (1.0 / power)


def _lp_pooling(function: str, ndim: int, input: Any, norm_type: Any, kernel: Any, stride: Any, ceil_mode: bool) -> Any:
    if isinstance(norm_type, bool) or not isinstance(norm_type, int | float | np.number) or norm_type == 0:
        raise ValueError(f"{function}: norm_type must be a number that is not 0, not {norm_type!r}")
    arrays_only(function, input=input)
    power = float(norm_type)
    means = _avg_pooling(function, ndim, input**power, kernel, stride, 0, ceil_mode, True, None)
    return _root(means * math.prod(per_axis(function, "kernel_size", kernel, ndim, 1)), power)


def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """The p-norm of each window along the last axis: as `lp_pool2d`, for (batch, channels, length).

    >>> import numpy as np
    >>> lp_pool1d(np.array([[[3.0, 4.0]]]), 2, 2)
    array([[[5.]]])
    """
    return _lp_pooling("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """(sum of x^p over each window)^(1/p); the derivative is 0 where the sum is.

    input      (batch, channels, height, width), or without the batch
    norm_type  p
    others     as for `avg_pool2d`; of a window that hangs over the end (ceil_mode) the mean is taken, times the kernel's size

    >>> import numpy as np
    >>> lp_pool2d(np.array([[[1.0, 2.0], [4.0, 10.0]]]), 2, 2)
    array([[[11.]]])
    """
    return _lp_pooling("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """The p-norm of each window over depth, height and width: as `lp_pool2d`, with one axis more.

    >>> import numpy as np
    >>> lp_pool3d(np.full((1, 2, 2, 2), 2.0), 3, 2).round(12)
    array([[[[4.]]]])
    """
    return _lp_pooling("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


# --- windows that adapt to the output's size --------------------------------------------------------------------------------


class _Ranges:
    """Ranges of elements along an axis, whose starts and ends both increase: range i is `starts[i]:ends[i]` of `length` elements."""

    def __init__(self, starts: Any, ends: Any, length: int) -> None:
        self.starts = starts
        self.ends = ends
        self.length = length

    @functools.cached_property
    def matrix(self) -> Any:
        """1 where a range has an element."""
        elements = np.arange(self.length)
        return ((self.starts[:, None] <= elements) & (elements < self.ends[:, None])).astype(float)

    @classmethod
    def dividing(cls, length: int, count: int) -> _Ranges:
        """`count` ranges from floor(i length / count) to ceil((i + 1) length / count): equal, or overlapping by an element."""
        i = np.arange(count)
        return cls(i * length // count, -(-(i + 1) * length // count), length)

    def transposed(self) -> _Ranges:
        """For each element, the range of ranges that it is in."""
        elements = np.arange(self.length)
        return _Ranges(np.searchsorted(self.ends, elements, "right"), np.searchsorted(self.starts, elements, "right"), len(self.starts))

    def __repr__(self) -> str:
        return f"ranges({', '.join(f'{a}:{b}' for a, b in zip(self.starts, self.ends, strict=True))})"


_THREE = _Ranges(np.array([0, 1, 3]), np.array([2, 4, 5]), 5)


@ag.op(
    name="range_sums",
    linear=True,
    structural=True,
    samples=lambda a: [
        ag.call(*arguments).only(_TOGETHER) for arguments in [(a(2, 5), _THREE, -1), (a(3, 2), _THREE.transposed(), -2), (a(0, 5), _THREE, -1)]
    ],
)
def _range_sums(x: Any, ranges: _Ranges, axis: int) -> Any:
    """The sums over ranges along `axis` < 0; 0 over an empty one."""
    out = as_product(x, ranges, axis)
    if out is not None:
        return out
    others: tuple[Any, ...] = (slice(None),) * (-1 - axis)
    # reduceat adds from each bound up to the next one, so that every other sum is of a gap; a zero more lets the last range end.
    longer = np.concatenate((x, np.zeros_like(x[(..., slice(0, 1), *others)])), axis=axis)
    bounds = np.stack((ranges.starts, ranges.ends), axis=-1).ravel()
    out = np.add.reduceat(longer, bounds, axis=axis)[(..., slice(0, None, 2), *others)]
    empty = ranges.starts >= ranges.ends  # there reduceat gives the element itself
    if empty.any():
        out[(..., empty, *others)] = 0
    return out


ag.defvjp(
    _range_sums,
    x=lambda g, ranges, axis: _range_sums(g, ranges.transposed(), axis),
)


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
    out = _window_sums(x, windows) / windows.places if windows.places > 1 else x
    for axis, n, count in zip(range(-ndim, 0), sizes, counts, strict=True):
        if n % count:
            ranges = _Ranges.dividing(n, count)
            lengths = (ranges.ends - ranges.starts).reshape((-1, *(1,) * (-1 - axis)))
            out = _range_sums(out, ranges, axis) / lengths.astype(x.dtype if x.dtype.kind == "f" else float)
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
    axes = [_Ranges.dividing(n, count) for n, count in zip(sizes, counts, strict=True)]
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
        out = _max_pool(x, windows)
        return out[0] if added else out
    places = _places_of_adaptive_maxima(_values(x), counts)
    out = _taken(x, places)
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
