"""Fractional max pooling: the largest element of each of windows that stand at irregular distances (Graham 2014).

Along each axis the windows begin at floor((i + u) alpha) - floor(u alpha), with one random u in [0, 1) for the axis, and the last one at
the end. So an output may have any size that is not larger than the input's, and each draw is another picture of the same thing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn import init
from nn.functional.windows import Numbers, batched, per_axis

__all__ = ["fractional_max_pool2d", "fractional_max_pool3d"]


def fractional_max_pool2d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
    *,
    generator: init.Seed = None,
) -> Any:
    """The largest element of each of randomly placed windows of images.

    input            (batch, channels, height, width), or without the batch
    kernel_size      of the windows, one number or a pair
    output_size, output_ratio  of the result: in pixels, or as a share of the input's, between 0 and 1; one of the two
    return_indices   return where the largest elements stand too, as places in the flat image: see `max_unpool2d`
    _random_samples  (batch, channels, 2): the numbers u, of the width's axis first, as in torch
    generator        where u comes from: a generator, a seed, or None for the one that `nn.manual_seed` sets
    raises           ValueError if the windows do not fit

    >>> import numpy as np
    >>> fractional_max_pool2d(np.arange(25.0).reshape(1, 5, 5), 2, output_size=(1, 1))
    array([[[24.]]])
    """
    return _fractional("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples, generator)


def fractional_max_pool3d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
    *,
    generator: init.Seed = None,
) -> Any:
    """The largest element of each of randomly placed windows of volumes, (batch, channels, depth, height, width); see `fractional_max_pool2d`.

    _random_samples  (batch, channels, 3): of depth, height and width, as in torch
    """
    return _fractional("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples, generator)


def _fractional(
    function: str, ndim: int, input: Any, kernel: Any, size: Any, ratio: Any, return_indices: bool, samples: Any, generator: init.Seed
) -> Any:
    x, added = batched(function, input, ndim)
    kernel = per_axis(function, "kernel_size", kernel, ndim, 1)
    lengths = x.shape[2:]
    sizes = _output_sizes(function, ndim, lengths, size, ratio)
    for length, window, count in zip(lengths, kernel, sizes, strict=True):
        if count + window - 1 > length:
            raise ValueError(f"{function}: {sizes} windows of size {kernel} need an input of {count + window - 1}, but its size is {tuple(lengths)}")
    if samples is None:
        samples = init.drawn(generator, "random", (*x.shape[:2], ndim))
    samples = np.asarray(samples.detach().numpy() if isinstance(samples, ag.Tensor) else samples, dtype=x.dtype)
    if samples.shape != (*x.shape[:2], ndim):
        raise ValueError(f"{function}: _random_samples of shape {samples.shape}, expected (batch, channels, {ndim}) = {(*x.shape[:2], ndim)}")
    if ndim == 2:
        samples = samples[..., ::-1]  # torch keeps that of the width first, though not in three dimensions
    flat = x.reshape((*x.shape[:2], math.prod(lengths)))
    values = flat.detach().numpy() if isinstance(flat, ag.Tensor) else flat
    places = _places_of_maxima(values, lengths, kernel, sizes, samples)
    maxima = np.take_along_axis(flat, places, axis=-1).reshape((*x.shape[:2], *sizes))
    places = places.reshape((*x.shape[:2], *sizes))
    maxima, places = (maxima[0], places[0]) if added else (maxima, places)
    return (maxima, places) if return_indices else maxima


def _output_sizes(function: str, ndim: int, lengths: Any, size: Any, ratio: Any) -> Numbers:
    if (size is None) == (ratio is None):
        raise ValueError(f"{function}: give one of output_size and output_ratio")
    if size is not None:
        return per_axis(function, "output_size", size, ndim, 1)
    ratios = tuple(ratio) if isinstance(ratio, tuple | list) else (ratio,) * ndim
    if len(ratios) != ndim or not all(0 < one < 1 for one in ratios):
        raise ValueError(f"{function}: output_ratio must be a number between 0 and 1 or {ndim} of them, not {ratio!r}")
    return per_axis(function, "output_size", tuple(int(length * one) for length, one in zip(lengths, ratios, strict=True)), ndim, 1)


def _starts(u: Any, length: int, window: int, count: int) -> Any:
    """Where `count` windows begin along an axis, (..., count) for `u` (...); the last one ends with the axis."""
    last = np.full((*u.shape, 1), length - window)
    if count == 1:
        return last
    alpha = u.dtype.type((length - window) / (count - 1))
    steps = ((np.arange(count - 1, dtype=u.dtype) + u[..., None]) * alpha).astype(np.intp)
    return np.concatenate([steps - (u * alpha).astype(np.intp)[..., None], last], axis=-1)


def _places_of_maxima(values: Any, lengths: Any, kernel: Numbers, sizes: Numbers, samples: Any) -> Any:
    """(batch, channels, windows): the place of each window's first largest element in the flat image; a nan is larger than all."""
    ndim = len(kernel)
    places: Any = 0
    for axis, (length, window, count) in enumerate(zip(lengths, kernel, sizes, strict=True)):
        along = _starts(samples[..., axis], length, window, count)[..., None] + np.arange(window)  # (batch, channels, count, window)
        shape = [1] * (2 * ndim)
        shape[axis], shape[ndim + axis] = count, window
        places = places * length + along.reshape((*along.shape[:2], *shape))
    places = places.reshape((*values.shape[:2], math.prod(sizes), math.prod(kernel)))
    found = np.take_along_axis(values[:, :, None], places, axis=-1)
    return np.take_along_axis(places, found.argmax(axis=-1)[..., None], axis=-1)[..., 0]
