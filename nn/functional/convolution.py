"""Convolution in one, two and three dimensions, its transpose, and the columns that it is made of.

A convolution is a matrix product: of the kernels, as rows, with the image's windows, as columns (im2col; Chellapilla, Puri &
Simard 2006, "High performance convolutional neural networks for document processing"). The columns are made by one slice
copy per place of the kernel, for as many images as fit into the cache, and never kept.

It is linear in the image and in the weight, so that there are three maps, each of which is the derivative of the other two:

    _convolve    (image, weight) -> result
    _transposed  (result, weight) -> image     also what ConvTranspose computes
    _weights     (image, result) -> weight

so derivatives of any order are made of them. `_columns` and `_overlaid` (unfold and fold) are such a pair too.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

import autograd_core as ag
from nn.functional.windows import Numbers, Windows, arrays_only, batched, is_integer, per_axis, windows_over

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "fold", "output_padding_for", "unfold"]

_BLOCK = 2**20  # bytes of columns that are made at a time: what stays in a core's cache until the product has read it


class _Scratch(threading.local):
    """Arrays that are overwritten again and again: fresh memory for each block would take longer to get than to fill."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def array(self, name: str, shape: Numbers, like: Any, dtype: Any) -> Any:
        """An array of any content, which shares its memory with the last one of this name."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if size > 2 * _BLOCK or not isinstance(like, np.ndarray):
            return np.empty_like(like, shape=shape, dtype=dtype)
        if name not in self.kept or self.kept[name].size < size:
            self.kept[name] = np.empty(2 * _BLOCK, np.uint8)
        return self.kept[name][:size].view(dtype).reshape(shape)


_scratch = _Scratch()


class _Block(NamedTuple):
    """Some of the images, and some rows of their windows: `rows` of the first axis, seen as `windows`."""

    images: slice
    rows: slice
    windows: Windows


def _blocks(batch: int, channels: int, windows: Windows, itemsize: int) -> list[_Block]:
    """Blocks whose columns fill the cache: a few whole images each, or of a large image a few rows of windows."""
    bytes_each = max(1, channels * windows.places * math.prod(windows.counts) * itemsize)
    rows = windows.counts[0]
    if bytes_each <= 2 * _BLOCK:
        size = max(1, _BLOCK // bytes_each)
        return [_Block(slice(start, min(start + size, batch)), slice(0, rows), windows) for start in range(0, batch, size)]
    size = max(1, rows * _BLOCK // bytes_each)
    parts = [(start, min(start + size, rows)) for start in range(0, rows, size)]
    return [_Block(slice(image, image + 1), slice(*part), windows.rows(*part)) for image in range(batch) for part in parts]


class _Columns:
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
        for images, rows, part in _blocks(len(self.x), channels, self.windows, np.dtype(self.dtype).itemsize):
            shape = (channels, *part.kernel, images.stop - images.start, *part.counts[:-1], self.width)
            columns = _scratch.array("columns", shape, self.x, self.dtype)
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
        flat = _scratch.array("image", (*some.shape[:2], rows * self.width + p1 + d1 * (wide - 1)), self.x, self.dtype)
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
        out = _scratch.array("rows", (*part.shape[:-1], self.width), y, y.dtype)
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


def _add_bias(out: Any, bias: Any) -> Any:
    """`out` + bias, (batch, groups * channels, ...) + (groups * channels,); in place, `out` being fresh."""
    if bias is not None:
        out += bias.reshape((-1, *(1,) * (out.ndim - 2)))
    return out


def _channel_sums(g: Any) -> Any:
    """The sum over all axes but the second: a bias' gradient. A product with ones is three times as quick as a sum."""
    return np.sum(np.matmul(g.reshape((*g.shape[:2], math.prod(g.shape[2:]))), np.ones_like(g, shape=math.prod(g.shape[2:]))), axis=0)


_MANY = 49  # windows, from which the product of one image's columns is large enough


def _convolve_each(x: Any, kernels: Any, bias: Any, windows: Windows, out: Any) -> None:
    """Fill `out` by one product for each image, which then has its place at once: a product of several would have to be dealt out."""
    cleared: Any = None
    for images, _, _ in _blocks(len(x), x.shape[1], windows, out.dtype.itemsize):
        some, target = x[images], out[images]
        shape = (len(some), x.shape[1], *windows.kernel, *windows.counts)
        columns = _scratch.array("columns", shape, x, out.dtype)
        if shape != cleared:  # else what no window sees, outside the image, is zero already
            columns[...] = 0
            cleared = shape
        for place, seen, elements in windows.slots(x.shape[2:]):
            columns[(slice(None), slice(None), *place, *seen)] = some[elements]
        groups, outputs, rows = kernels.shape
        count = math.prod(windows.counts)
        product = np.matmul(kernels, columns.reshape((len(some), groups, rows, count)), out=target.reshape((len(some), groups, outputs, count)))
        if bias is not None:
            product += bias.reshape((groups, outputs, 1))


# Samples: one and two dimensions; stride, padding, dilation, groups; windows that do not use the last elements.
_LINE = Windows((3,), (1,), (1,), (1,), (4,))
_STRIDED = Windows((2, 3), (2, 1), (1, 0), (1, 2), (2, 1))
_SINGLE = Windows((1, 1), (1, 1), (0, 0), (1, 1), (2, 3))
_TOGETHER = "its callers make windows, groups and sizes that belong together"


@ag.op(
    name="convolve",
    samples=lambda a: [
        ag.call(*arguments).only(_TOGETHER)
        for arguments in [
            (a(2, 2, 4), a(3, 2, 3), a(3), _LINE, 1),
            (a(1, 2, 3, 5), a(2, 1, 2, 3), a(2), _STRIDED, 2),
            (a(2, 2, 2, 3), a(1, 2, 1, 1), None, _SINGLE, 1),
            (a(0, 2, 4), a(3, 2, 3), a(3), _LINE, 1),
        ]
    ],
)
def _convolve(x: Any, weight: Any, bias: Any, windows: Windows, groups: int) -> Any:
    dtype = np.result_type(x, weight) if bias is None else np.result_type(x, weight, bias)
    kernels = weight.reshape((groups, weight.shape[0] // groups, math.prod(weight.shape[1:])))
    shape = (x.shape[0], weight.shape[0], *windows.counts)
    if windows.are_elements(x.shape[2:]):
        return _add_bias(
            np.matmul(kernels, x.reshape((x.shape[0], groups, weight.shape[1], math.prod(windows.counts))), dtype=dtype).reshape(shape), bias
        )
    out = np.empty_like(x, shape=(x.shape[0], *kernels.shape[:2], *windows.counts), dtype=dtype)
    if math.prod(windows.counts) >= _MANY and x.shape[1] * windows.places * math.prod(windows.counts) * dtype.itemsize <= 2 * _BLOCK:
        _convolve_each(x, kernels, bias, windows, out)
        return out.reshape(shape)
    offset = 0 if bias is None else bias.reshape((*kernels.shape[:2], *(1,) * (x.ndim - 1)))
    blocks = _Columns(x, windows, groups, kernels.shape[1], dtype)
    for images, rows, columns in blocks:
        product = np.matmul(kernels, columns, out=_scratch.array("product", (*kernels.shape[:2], columns.shape[2]), x, dtype))
        target = out[images, :, :, rows].transpose((1, 2, 0, *range(3, out.ndim)))
        np.add(product.reshape((*target.shape[:-1], blocks.width))[..., : target.shape[-1]], offset, out=target)
    return out.reshape(shape)


@ag.op(
    name="convolve_transposed",
    inert=("sizes",),
    samples=lambda a: [
        ag.call(*arguments).only(_TOGETHER)
        for arguments in [
            (a(2, 3, 4), a(3, 2, 3), a(2), _LINE, 1, (4,)),
            (a(1, 2, 2, 1), a(2, 1, 2, 3), a(2), _STRIDED, 2, (3, 5)),
            (a(2, 1, 2, 3), a(1, 2, 1, 1), None, _SINGLE, 1, (2, 3)),
            (a(0, 3, 4), a(3, 2, 3), a(2), _LINE, 1, (4,)),
        ]
    ],
)
def _transposed(x: Any, weight: Any, bias: Any, windows: Windows, groups: int, sizes: Numbers) -> Any:
    channels = weight.shape[1]  # of the result, in each group
    if set(windows.stride) <= {1} and x.shape[1] // groups <= 2 * channels:
        # With stride 1 it is a convolution with the kernels turned round, whose columns are copied; the way below has to add
        # them up, which takes longer unless they are far fewer (measured: of 32 channels to 16 by a tenth, to 8 no more).
        grouped = weight.reshape((groups, weight.shape[0] // groups, *weight.shape[1:])).swapaxes(1, 2)
        turned = np.flip(grouped, tuple(range(3, grouped.ndim))).reshape((groups * channels, weight.shape[0] // groups, *windows.kernel))
        padding = tuple(d * (k - 1) - p for k, p, d in zip(windows.kernel, windows.padding, windows.dilation, strict=True))
        return _convolve(x, turned, bias, Windows(windows.kernel, windows.stride, padding, windows.dilation, tuple(sizes)), groups)
    batch = x.shape[0]
    dtype = np.result_type(x, weight) if bias is None else np.result_type(x, weight, bias)
    kernels = weight.reshape((groups, weight.shape[0] // groups, channels * windows.places)).swapaxes(1, 2)
    values = x.reshape((batch, groups, weight.shape[0] // groups, *windows.counts))
    out = np.zeros_like(x, shape=(batch, groups * channels, *sizes), dtype=dtype)
    out_first = out.swapaxes(0, 1)
    for images, rows, part in _blocks(batch, groups * channels, windows, dtype.itemsize):
        some = values[images, :, :, rows].transpose((1, 2, 0, *range(3, values.ndim))).reshape((*values.shape[1:3], -1))
        columns = _scratch.array("columns", (groups, kernels.shape[1], some.shape[2]), x, dtype)
        np.matmul(kernels, some, out=columns)
        columns = columns.reshape((groups * channels, *windows.kernel, -1, *part.counts))
        target = out_first[:, images]
        for place, seen, elements in part.slots(sizes):
            target[elements] += columns[(slice(None), *place, *seen)]
    return _add_bias(out, bias)


@ag.op(
    name="convolve_weights",
    linear=True,
    samples=lambda a: [
        ag.call(*arguments).only(_TOGETHER)
        for arguments in [
            (a(2, 2, 4), a(2, 3, 4), _LINE, 1),
            (a(1, 2, 3, 5), a(1, 2, 2, 1), _STRIDED, 2),
            (a(2, 2, 2, 3), a(2, 1, 2, 3), _SINGLE, 1),
            (a(0, 2, 4), a(0, 3, 4), _LINE, 1),
        ]
    ],
)
def _weights(x: Any, y: Any, windows: Windows, groups: int) -> Any:
    """What each weight is multiplied with: sum over images and windows of x, at the weight's place, times y, the windows' results."""
    outputs, channels = y.shape[1] // groups, x.shape[1] // groups
    dtype = np.result_type(x, y)
    if windows.are_elements(x.shape[2:]):
        rows = y.reshape((y.shape[0], groups, outputs, math.prod(windows.counts)))
        total = np.matmul(rows, x.reshape((x.shape[0], groups, channels, rows.shape[3])).swapaxes(-1, -2), dtype=dtype).sum(axis=0)
    else:
        total = np.zeros_like(x, shape=(groups, outputs, channels * windows.places), dtype=dtype)
        results = y.reshape((y.shape[0], groups, outputs, *windows.counts))
        blocks = _Columns(x, windows, groups, outputs, dtype)
        for images, rows, columns in blocks:
            total += np.matmul(blocks.rows_of(results, images, rows), columns.swapaxes(-1, -2))
    return total.reshape((groups * outputs, channels, *windows.kernel))


# Each is linear in its first two arguments, and the derivative in one of them is one of the others.
ag.defvjp(
    _convolve,
    x=lambda g, weight, windows, groups, like: _transposed(g, weight.conj(), None, windows, groups, like.shape[2:]),
    weight=lambda g, x, windows, groups: _weights(x.conj(), g, windows, groups),
    bias=lambda g: _channel_sums(g),
)
ag.defvjp(
    _transposed,
    x=lambda g, weight, windows, groups: _convolve(g, weight.conj(), None, windows, groups),
    weight=lambda g, x, windows, groups: _weights(g, x.conj(), windows, groups),
    bias=lambda g: _channel_sums(g),
)
ag.defvjp(
    _weights,
    x=lambda g, y, windows, groups, like: _transposed(y.conj(), g, None, windows, groups, like.shape[2:]),
    y=lambda g, x, windows, groups: _convolve(x.conj(), g, None, windows, groups),
)


# --- convolution ----------------------------------------------------------------------------------------------------------


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
    out = _convolve(x, weight, bias, windows, groups)
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
    out = _transposed(x, weight, bias, Windows(kernel, stride, padding, dilation, x.shape[2:]), groups, sizes)
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


# --- columns --------------------------------------------------------------------------------------------------------------

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
