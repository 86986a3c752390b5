"""Average pooling, and power means: the mean of each window, and the p-norm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.window_sums import window_sums
from nn.functional.windows import Windows, arrays_only, batched, is_integer, per_axis, pool_numbers, windows_over

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d"]


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
    kernel, stride, padding = pool_numbers(function, ndim, kernel, stride, padding)
    if any(p > k // 2 for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"{function}: padding={padding} must be at most half of the kernel's size {kernel}")
    if divisor_override is not None and (not is_integer(divisor_override) or divisor_override == 0):
        raise ValueError(f"{function}: divisor_override must be an integer that is not 0, or None, not {divisor_override!r}")
    windows = windows_over(function, x.shape[2:], kernel, stride, padding, (1,) * ndim, ceil_mode)
    divisor = divisor_override if divisor_override is not None else _divisors(windows, x, count_include_pad)
    out = window_sums(x, windows) / divisor
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
