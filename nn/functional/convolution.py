"""Convolution in one, two and three dimensions, and its transpose: torch's functions, their arguments and errors.

The mathematics is in convolution_maps.py.
"""

from __future__ import annotations

from typing import Any

from nn.functional.convolution_maps import convolve, convolve_back
from nn.functional.windows import Numbers, Windows, arrays_only, batched, is_integer, per_axis, windows_over

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "output_padding_for"]


def conv1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Any:
    """The convolution (in truth correlation) along one axis: out[o, i] = bias[o] + sum over c, k of weight[o, c, k] input[c, i stride + k dilation].

    input   (batch, in_channels, length), or without the batch
    others  as for `conv2d`

    >>> import numpy as np
    >>> conv1d(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[-1.0, 1.0]]]))
    array([[[1., 2.]]])
    """
    return _convolution("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Any:
    """The two-dimensional convolution of images with a set of kernels.

    out[o, i, j] = bias[o] + sum over c, k, l of weight[o, c, k, l] * input[c, i stride + k dilation, j stride + l dilation]

    input     (batch, in_channels, height, width), or without the batch
    weight    (out_channels, in_channels / groups, kernel height, kernel width)
    bias      (out_channels,) or None
    stride    from one window to the next; this, padding and dilation are one number for both axes or a pair
    padding   zeros around the image; "valid" for none, "same" for as many as keep its size (then stride must be 1)
    dilation  distance of a kernel's places
    groups    each of so many equal parts of the output channels sees only its part of the input channels
    returns   (batch, out_channels, (height + 2 padding - dilation (kernel - 1) - 1) // stride + 1, likewise width)
    raises    ValueError naming the shapes that do not belong together

    >>> import numpy as np
    >>> conv2d(np.arange(9.0).reshape(1, 3, 3), np.ones((1, 1, 2, 2)))
    array([[[ 8., 12.],
            [20., 24.]]])
    """
    return _convolution("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1) -> Any:
    """The convolution over depth, height and width: as `conv2d`, with one axis more.

    input   (batch, in_channels, depth, height, width), or without the batch

    >>> import numpy as np
    >>> conv3d(np.ones((1, 2, 4, 4, 4)), np.ones((3, 2, 2, 2, 2)), stride=2).shape
    (1, 3, 2, 2, 2)
    """
    return _convolution("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def _convolution(function: str, ndim: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    x, added = batched(function, input, ndim)
    _check_weight(function, ndim, weight, groups)
    if x.shape[1] != weight.shape[1] * groups:
        raise ValueError(
            f"{function}: input of shape {input.shape} has {x.shape[1]} channels, but the weight of shape {weight.shape} "
            f"with groups={groups} needs {weight.shape[1] * groups}"
        )
    if weight.shape[0] % groups:
        raise ValueError(f"{function}: groups={groups} does not divide the {weight.shape[0]} output channels of the weight of shape {weight.shape}")
    _check_bias(function, bias, weight.shape[0])
    kernel, sizes = weight.shape[2:], x.shape[2:]
    stride, dilation = per_axis(function, "stride", stride, ndim, 1), per_axis(function, "dilation", dilation, ndim, 1)
    if isinstance(padding, str) and padding != "valid":
        windows = _same_windows(function, padding, sizes, kernel, stride, dilation)
    else:
        around = (0,) * ndim if padding == "valid" else per_axis(function, "padding", padding, ndim, 0)
        windows = windows_over(function, sizes, kernel, stride, around, dilation)
    out = convolve(x, weight, bias, windows, groups)
    return out[0] if added else out


def _same_windows(function: str, padding: str, sizes: Numbers, kernel: Numbers, stride: Numbers, dilation: Numbers) -> Windows:
    """Windows as many as there are elements; of an odd number of zeros, the one more is at the end."""
    if padding != "same":
        raise ValueError(f'{function}: padding must be "same", "valid", a number, or one per axis, not {padding!r}')
    if set(stride) != {1}:
        raise ValueError(f'{function}: padding="same" keeps the size, which a stride of {stride} cannot; give the padding in numbers')
    if min(sizes) < 1:
        raise ValueError(f"{function}: input has no elements along an axis of its size {sizes}")
    before = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
    return Windows(kernel, stride, before, dilation, sizes)


def _check_weight(function: str, ndim: int, weight: Any, groups: Any) -> None:
    arrays_only(function, weight=weight)
    if not is_integer(groups) or groups < 1:
        raise ValueError(f"{function}: groups must be an integer >= 1, not {groups!r}")
    if weight.ndim != ndim + 2:
        raise ValueError(f"{function}: weight must have {ndim + 2} axes, two of channels and {ndim} of the kernel, not shape {weight.shape}")
    if 0 in weight.shape[2:] or weight.shape[0] == 0:
        raise ValueError(f"{function}: weight of shape {weight.shape} holds no kernel")


def _check_bias(function: str, bias: Any, channels: int) -> None:
    arrays_only(function, bias=bias)
    if bias is not None and bias.shape != (channels,):
        raise ValueError(f"{function}: bias has shape {bias.shape}, expected ({channels},), one per output channel of the weight")


# --- transposed convolution -----------------------------------------------------------------------------------------------


def conv_transpose1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1
) -> Any:
    """The transposed convolution along one axis: as `conv_transpose2d`.

    input   (batch, in_channels, length), or without the batch

    >>> import numpy as np
    >>> conv_transpose1d(np.array([[[1.0, 2.0]]]), np.array([[[1.0, 10.0]]]), stride=2)
    array([[[ 1., 10.,  2., 20.]]])
    """
    return _transposed_convolution("conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1
) -> Any:
    """The transpose of `conv2d` as a linear map: each input element adds a copy of its kernel, times its value, to the output.

    input           (batch, in_channels, height, width), or without the batch
    weight          (in_channels, out_channels / groups, kernel height, kernel width)
    bias            (out_channels,) or None
    stride, padding, dilation, groups  those of the convolution that it is the transpose of
    output_padding  so much is the output larger: with a stride, convolutions of several sizes have results of one size
    returns         (batch, out_channels, (height - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1, likewise width)
    raises          ValueError naming the shapes that do not belong together

    >>> import numpy as np
    >>> conv_transpose2d(np.array([[[1.0, 2.0]]]), np.ones((1, 1, 2, 2)), stride=2)
    array([[[1., 1., 2., 2.],
            [1., 1., 2., 2.]]])
    """
    return _transposed_convolution("conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1
) -> Any:
    """The transposed convolution over depth, height and width: as `conv_transpose2d`, with one axis more.

    input   (batch, in_channels, depth, height, width), or without the batch

    >>> import numpy as np
    >>> conv_transpose3d(np.ones((1, 2, 3, 3, 3)), np.ones((2, 4, 2, 2, 2)), stride=2).shape
    (1, 4, 6, 6, 6)
    """
    return _transposed_convolution("conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _transposed_convolution(
    function: str, ndim: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: int, dilation: Any
) -> Any:
    x, added = batched(function, input, ndim)
    _check_weight(function, ndim, weight, groups)
    if x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"{function}: input of shape {input.shape} has {x.shape[1]} channels, but the weight of shape {weight.shape} "
            f"(in_channels, out_channels / groups, ...) needs {weight.shape[0]}"
        )
    if weight.shape[0] % groups:
        raise ValueError(f"{function}: groups={groups} does not divide the {weight.shape[0]} input channels of the weight of shape {weight.shape}")
    _check_bias(function, bias, weight.shape[1] * groups)
    stride, dilation = per_axis(function, "stride", stride, ndim, 1), per_axis(function, "dilation", dilation, ndim, 1)
    padding, more = per_axis(function, "padding", padding, ndim, 0), per_axis(function, "output_padding", output_padding, ndim, 0)
    if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation, strict=True)):
        raise ValueError(f"{function}: output_padding={more} must be smaller than the stride {stride} or the dilation {dilation}")
    kernel = weight.shape[2:]
    sizes = tuple(low + m for low, m in zip(_smallest_sizes(x.shape[2:], kernel, stride, padding, dilation), more, strict=True))
    if min(sizes) < 1 or min(x.shape[2:]) < 1:
        raise ValueError(
            f"{function}: input of shape {input.shape} would give an output of size {sizes}; check kernel {kernel} and padding {padding}"
        )
    out = convolve_back(x, weight, bias, Windows(kernel, stride, padding, dilation, x.shape[2:]), groups, sizes)
    return out[0] if added else out


def _smallest_sizes(sizes: Numbers, kernel: Numbers, stride: Numbers, padding: Numbers, dilation: Numbers) -> Numbers:
    """The smallest sizes that a convolution takes to `sizes`."""
    return tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True))


def output_padding_for(
    function: str, output_size: Any, sizes: Numbers, kernel: Numbers, stride: Numbers, padding: Numbers, dilation: Numbers
) -> Numbers:
    """The output_padding with which a transposed convolution of an image of `sizes` has `output_size`; ValueError if none does."""
    ndim = len(kernel)
    wanted = tuple(output_size)[-ndim:] if isinstance(output_size, tuple | list) else output_size
    wanted = per_axis(function, "output_size", wanted, ndim, 0)
    low = _smallest_sizes(sizes, kernel, stride, padding, dilation)
    high = tuple(n + s - 1 for n, s in zip(low, stride, strict=True))
    if any(not least <= n <= most for least, n, most in zip(low, wanted, high, strict=True)):
        raise ValueError(f"{function}: output_size={wanted} is out of reach of an input of size {sizes}: it must lie between {low} and {high}")
    return tuple(n - least for least, n in zip(low, wanted, strict=True))
