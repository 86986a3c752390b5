"""Convolution as a linear map of the image and of the weight: a matrix product of kernels, as rows, with windows, as columns.

There are three maps, each of which is the derivative of the other two,

    convolve           (image, weight) -> result
    convolve_back      (result, weight) -> image     also what ConvTranspose computes
    convolve_weights   (image, result) -> weight

so derivatives of any order are made of them. Each is computed in one of two ways: of many small images with the batch innermost
(convolution_innermost.py), else of blocks of images as they lie (convolution_columns.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional import convolution_innermost as innermost
from nn.functional.convolution_columns import BLOCK, Columns, blocks_of, scratch
from nn.functional.innermost import is_innermost
from nn.functional.windows import Numbers, Windows

__all__ = ["convolve", "convolve_back", "convolve_weights"]


def _add_bias(out: Any, bias: Any) -> Any:
    """`out` + bias, (batch, groups * channels, ...) + (groups * channels,); in place, `out` being fresh."""
    if bias is not None:
        out += bias.reshape((-1, *(1,) * (out.ndim - 2)))
    return out


def _channel_sums(g: Any) -> Any:
    """The sum over all axes but the second: a bias' gradient. A product with ones is three times as quick as a sum."""
    if is_innermost(g):
        return innermost.channel_sums(g)
    return np.sum(np.matmul(g.reshape((*g.shape[:2], math.prod(g.shape[2:]))), np.ones_like(g, shape=math.prod(g.shape[2:]))), axis=0)


_MANY = 49  # windows, from which the product of one image's columns is large enough


def _convolve_each(x: Any, kernels: Any, bias: Any, windows: Windows, out: Any) -> None:
    """Fill `out` by one product for each image, which then has its place at once: a product of several would have to be dealt out."""
    cleared: Any = None
    for images, _, _ in blocks_of(len(x), x.shape[1], windows, out.dtype.itemsize):
        some, target = x[images], out[images]
        shape = (len(some), x.shape[1], *windows.kernel, *windows.counts)
        columns = scratch.array("columns", shape, x, out.dtype)
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
def convolve(x: Any, weight: Any, bias: Any, windows: Windows, groups: int) -> Any:
    """(batch, channels, *sizes) -> (batch, outputs, *counts): the products of `weight` with all windows, and `bias` of each output."""
    dtype = np.result_type(x, weight) if bias is None else np.result_type(x, weight, bias)
    if innermost.pays(x, weight, windows, x.shape[2:]):
        return innermost.convolve(x, weight, bias, windows, groups, dtype)
    kernels = weight.reshape((groups, weight.shape[0] // groups, math.prod(weight.shape[1:])))
    shape = (x.shape[0], weight.shape[0], *windows.counts)
    if windows.are_elements(x.shape[2:]):
        return _add_bias(
            np.matmul(kernels, x.reshape((x.shape[0], groups, weight.shape[1], math.prod(windows.counts))), dtype=dtype).reshape(shape), bias
        )
    out = np.empty_like(x, shape=(x.shape[0], *kernels.shape[:2], *windows.counts), dtype=dtype)
    if math.prod(windows.counts) >= _MANY and x.shape[1] * windows.places * math.prod(windows.counts) * dtype.itemsize <= 2 * BLOCK:
        _convolve_each(x, kernels, bias, windows, out)
        return out.reshape(shape)
    offset = 0 if bias is None else bias.reshape((*kernels.shape[:2], *(1,) * (x.ndim - 1)))
    blocks = Columns(x, windows, groups, kernels.shape[1], dtype)
    for images, rows, columns in blocks:
        product = np.matmul(kernels, columns, out=scratch.array("product", (*kernels.shape[:2], columns.shape[2]), x, dtype))
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
def convolve_back(x: Any, weight: Any, bias: Any, windows: Windows, groups: int, sizes: Numbers) -> Any:
    """(batch, outputs, *counts) -> (batch, channels, *sizes): each element adds its kernel, where its window stands."""
    channels = weight.shape[1]  # of the result, in each group
    if set(windows.stride) <= {1} and x.shape[1] // groups <= 2 * channels:
        # With stride 1 it is a convolution with the kernels turned round, whose columns are copied; the way below has to add
        # them up, which takes longer unless they are far fewer (measured: of 32 channels to 16 by a tenth, to 8 no more).
        grouped = weight.reshape((groups, weight.shape[0] // groups, *weight.shape[1:])).swapaxes(1, 2)
        turned = np.flip(grouped, tuple(range(3, grouped.ndim))).reshape((groups * channels, weight.shape[0] // groups, *windows.kernel))
        padding = tuple(d * (k - 1) - p for k, p, d in zip(windows.kernel, windows.padding, windows.dilation, strict=True))
        return convolve(x, turned, bias, Windows(windows.kernel, windows.stride, padding, windows.dilation, tuple(sizes)), groups)
    dtype = np.result_type(x, weight) if bias is None else np.result_type(x, weight, bias)
    if innermost.pays(x, weight, windows, sizes):
        return innermost.convolve_back(x, weight, bias, windows, groups, sizes, dtype)
    batch = x.shape[0]
    kernels = weight.reshape((groups, weight.shape[0] // groups, channels * windows.places)).swapaxes(1, 2)
    values = x.reshape((batch, groups, weight.shape[0] // groups, *windows.counts))
    out = np.zeros_like(x, shape=(batch, groups * channels, *sizes), dtype=dtype)
    out_first = out.swapaxes(0, 1)
    for images, rows, part in blocks_of(batch, groups * channels, windows, dtype.itemsize):
        some = values[images, :, :, rows].transpose((1, 2, 0, *range(3, values.ndim))).reshape((*values.shape[1:3], -1))
        columns = scratch.array("columns", (groups, kernels.shape[1], some.shape[2]), x, dtype)
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
def convolve_weights(x: Any, y: Any, windows: Windows, groups: int) -> Any:
    """What each weight is multiplied with: sum over images and windows of x, at the weight's place, times y, the windows' results."""
    outputs, channels = y.shape[1] // groups, x.shape[1] // groups
    dtype = np.result_type(x, y)
    if innermost.pays(x, y, windows, x.shape[2:]):
        return innermost.convolve_weights(x, y, windows, groups, dtype).reshape((groups * outputs, channels, *windows.kernel))
    if windows.are_elements(x.shape[2:]):
        rows = y.reshape((y.shape[0], groups, outputs, math.prod(windows.counts)))
        total = np.matmul(rows, x.reshape((x.shape[0], groups, channels, rows.shape[3])).swapaxes(-1, -2), dtype=dtype).sum(axis=0)
    else:
        total = np.zeros_like(x, shape=(groups, outputs, channels * windows.places), dtype=dtype)
        results = y.reshape((y.shape[0], groups, outputs, *windows.counts))
        blocks = Columns(x, windows, groups, outputs, dtype)
        for images, rows, columns in blocks:
            total += np.matmul(blocks.rows_of(results, images, rows), columns.swapaxes(-1, -2))
    return total.reshape((groups * outputs, channels, *windows.kernel))


# Each is linear in its first two arguments, and the derivative in one of them is one of the others.
ag.defvjp(
    convolve,
    x=lambda g, weight, windows, groups, like: convolve_back(g, weight.conj(), None, windows, groups, like.shape[2:]),
    weight=lambda g, x, windows, groups: convolve_weights(x.conj(), g, windows, groups),
    bias=lambda g: _channel_sums(g),
)
ag.defvjp(
    convolve_back,
    x=lambda g, weight, windows, groups: convolve(g, weight.conj(), None, windows, groups),
    weight=lambda g, x, windows, groups: convolve_weights(g, x.conj(), windows, groups),
    bias=lambda g: _channel_sums(g),
)
ag.defvjp(
    convolve_weights,
    x=lambda g, y, windows, groups, like: convolve_back(y.conj(), g, None, windows, groups, like.shape[2:]),
    y=lambda g, x, windows, groups: convolve(x.conj(), g, None, windows, groups),
)
