"""Images at another size.

`interpolate` goes axis by axis: each new element is a sum of a few old ones (two for "linear", four for "bicubic"), each
times a weight. Taking them and adding them back where they were taken are each other's rule.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from nn.functional.axes import as_product
from nn.functional.window_sums import repeated
from nn.functional.windows import arrays_only, per_axis

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]

_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}  # mode -> number of axes
_MODES = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area")


class Taps:
    """How the elements along an axis are sums of others: element i of tap t is `weights[t, i]` times that at `places[t, i]`, of `length`.

    weights  None if there is one tap, of weight 1
    repeats  whether each element is just repeated, as often as all others
    """

    def __init__(self, places: Any, weights: Any, length: int) -> None:
        self.places = places
        self.weights = weights
        self.length = length
        self.repeats = (
            weights is None and places.shape[1] % length == 0 and bool((places[0] == np.arange(places.shape[1]) * length // places.shape[1]).all())
        )
        # For adding back: of each tap the places that are read, and where the run of those who read it begins (places increase).
        self.runs = [np.unique(row, return_index=True) for row in places]

    @functools.cached_property
    def matrix(self) -> Any:
        """The weights as a matrix (new elements, old elements)."""
        matrix = np.zeros((self.places.shape[1], self.length))
        for t, row in enumerate(self.places):
            np.add.at(matrix, (np.arange(len(row)), row), 1.0 if self.weights is None else self.weights[t])
        return matrix

    def __repr__(self) -> str:
        return f"taps({len(self.places)} of {self.length} -> {self.places.shape[1]})"

    def rows(self, axis: int, dtype: Any) -> Iterator[tuple[Any, Any]]:
        """(places, weights) of each tap, the weights so that they broadcast along `axis` < 0."""
        for t, places in enumerate(self.places):
            yield places, None if self.weights is None else self.weights[t].astype(dtype).reshape((-1, *(1,) * (-1 - axis)))


_SAMPLE = Taps(np.array([[0, 0, 1], [1, 1, 2]]), np.array([[0.5, 0.25, 1.0], [0.5, 0.75, 0.0]]), 3)
_REPEATED = Taps(np.array([[0, 0, 2, 2]]), None, 3)


@ag.op(
    name="resample",
    linear=True,
    samples=lambda a: [
        ag.call(*arguments).only("its caller makes taps for this axis")
        for arguments in [(a(2, 3), _SAMPLE, -1), (a(3, 2), _SAMPLE, -2), (a(2, 3), _REPEATED, -1), (a(0, 3), _SAMPLE, -1)]
    ],
)
def _take_taps(x: Any, taps: Taps, axis: int) -> Any:
    out = None if taps.weights is None else as_product(x, taps, axis)
    if out is not None:
        return out
    for places, weights in taps.rows(axis, x.dtype):
        part = x.take(places, axis=axis)
        if weights is not None:
            part *= weights
        out = part if out is None else np.add(out, part, out=out)
    return out


@ag.op(
    name="add_back",
    linear=True,
    samples=lambda a: [
        ag.call(*arguments).only("its caller makes taps for this axis")
        for arguments in [(a(2, 3), _SAMPLE, -1), (a(3, 2), _SAMPLE, -2), (a(2, 4), _REPEATED, -1), (a(0, 3), _SAMPLE, -1)]
    ],
)
def _add_taps(g: Any, taps: Taps, axis: int) -> Any:
    out = as_product(g, taps, axis, transposed=True)
    if out is not None:
        return out
    others: tuple[Any, ...] = (slice(None),) * (-1 - axis)
    out = np.zeros_like(g, shape=(*g.shape[:axis], taps.length, *g.shape[g.ndim + axis + 1 :]))
    for (_, weights), (read, starts) in zip(taps.rows(axis, g.dtype), taps.runs, strict=True):
        part = g if weights is None else g * weights
        out[(..., read, *others)] += np.add.reduceat(part, starts, axis=axis)
    return out


ag.defvjp(
    _take_taps,
    x=lambda g, taps, axis: _add_taps(g, taps, axis),
)
ag.defvjp(
    _add_taps,
    g=lambda g, taps, axis: _take_taps(g, taps, axis),
)


def _sources(length: int, count: int, align_corners: bool, scale: float | None, dtype: Any, clamp: bool) -> Any:
    """Where each of `count` new elements lies among `length` old ones, whose middles are at 0, 1, 2..."""
    number = np.dtype(dtype).type
    i = np.arange(count, dtype=dtype)
    if align_corners:
        return i * number((length - 1) / (count - 1) if count > 1 else 0)
    step = number(1.0 / scale if scale else length / count)
    places = step * (i + number(0.5)) - number(0.5)
    return np.maximum(places, 0) if clamp else places


def _cubic(x: Any, a: float) -> Any:
    """Keys' kernel at distance |x| <= 2 (Keys 1981, "Cubic convolution interpolation for digital image processing", eq. 4)."""
    x = abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, far)


def _nearest(mode: str, length: int, count: int, scale: float | None, dtype: Any, planar: bool) -> Any:
    """The old element nearest to each new one, to the last bit of torch's rounding, which has a way of its own for images (`planar`)."""
    if planar and mode == "nearest" and count == 2 * length:
        return np.arange(count) // 2
    number = np.float32 if planar else np.dtype(dtype).type
    step = number(1.0 / scale) if scale else number(length) / number(count)
    half = 0.5 if mode == "nearest-exact" else 0.0
    places = (np.arange(count, dtype=number) + number(half)) * step
    if not planar and half:  # fused multiply and subtract: of float32, rounded once
        exact = (np.arange(count) + half) * float(step) - half
        places = exact.astype(number) + half
    return np.minimum(np.floor(places.astype(np.float32)).astype(np.intp), length - 1)


@functools.lru_cache(maxsize=128)
def _taps(mode: str, length: int, count: int, align_corners: bool, scale: float | None, antialias: bool, dtype: Any, planar: bool) -> Taps:
    """The taps that make `count` elements of `length`. What would be read beyond the ends is the last element there."""
    if mode.startswith("nearest"):
        return Taps(_nearest(mode, length, count, scale, dtype, planar)[None], None, length)
    if antialias:
        return _antialiased_taps(mode, length, count, align_corners, scale)
    sources = _sources(length, count, align_corners, scale, dtype, clamp=mode != "bicubic")
    first = np.minimum(np.floor(sources).astype(np.intp), length - 1)
    beyond = np.clip(sources - first, 0, 1).astype(float)
    if mode == "bicubic":
        offsets = np.arange(-1, 3)
        weights = np.stack([_cubic(offset - beyond, -0.75) for offset in offsets])
    else:
        offsets = np.arange(2)
        weights = np.stack([1 - beyond, beyond])
    return Taps(np.clip(first + offsets[:, None], 0, length - 1), weights, length)


def _antialiased_taps(mode: str, length: int, count: int, align_corners: bool, scale: float | None) -> Taps:
    """As an image gets smaller, the kernel gets wider, so that every old element has its part in a new one."""
    step = (length - 1) / (count - 1) if align_corners and count > 1 else 0.0 if align_corners else 1.0 / scale if scale else length / count
    stretch = max(step, 1.0)
    kernel: Callable[[Any], Any] = (lambda x: _cubic(x, -0.5)) if mode == "bicubic" else (lambda x: 1 - abs(x))
    reach = (2.0 if mode == "bicubic" else 1.0) * stretch
    centres = step * (np.arange(count) + 0.5)  # with align_corners too: torch changes the step only
    starts = np.maximum((centres - reach + 0.5).astype(np.intp), 0)
    ends = np.minimum((centres + reach + 0.5).astype(np.intp), length)
    offsets = np.arange((ends - starts).max())[:, None]
    distances = (offsets + starts - centres + 0.5) / stretch
    weights = np.where((offsets < ends - starts) & (abs(distances) < reach / stretch), kernel(distances), 0.0)
    return Taps(np.minimum(starts + offsets, ends - 1), weights / weights.sum(axis=0), length)


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """`input`, (batch, channels, *sizes) with one to three sizes, at another size.

    size           of the output: one number for all axes, or one per axis
    scale_factor   instead of size: the output has floor(size * factor) elements, and a step of 1 / factor between them
    mode           "nearest" (as old image libraries round), "nearest-exact", "linear" / "bilinear" / "trilinear" for one, two and three
                   sizes, "bicubic" for two, "area" (the mean of the area that a new element covers)
    align_corners  whether the middles of the corner elements stay where they are, or (False, the default) the image's edges do;
                   for the linear modes and "bicubic"
    recompute_scale_factor  take the step from the sizes, after rounding
    antialias      widen the kernel as the image gets smaller; for "bilinear" and "bicubic"
    raises         ValueError for what does not belong together

    >>> import numpy as np
    >>> interpolate(np.array([[[1.0, 2.0]]]), scale_factor=2, mode="linear")
    array([[[1.  , 1.25, 1.75, 2.  ]]])
    """
    _check_interpolation(input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)
    ndim, sizes = input.ndim - 2, input.shape[2:]
    factors: tuple[float | None, ...] = (None,) * ndim
    if size is not None:
        counts = per_axis("interpolate", "size", size, ndim, 1)
    else:
        given = tuple(map(float, scale_factor)) if isinstance(scale_factor, tuple | list) else (float(scale_factor),) * ndim
        if len(given) != ndim:
            raise ValueError(
                f"interpolate: scale_factor must be one number or {ndim}, one per size of input of shape {input.shape}, not {scale_factor!r}"
            )
        counts = tuple(math.floor(n * factor) for n, factor in zip(sizes, given, strict=True))
        factors = factors if recompute_scale_factor else given
    if min(counts) < 1 or min(sizes) < 1:
        raise ValueError(f"interpolate: input of shape {input.shape} would give an output of size {counts}")
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[ndim - 1](input, counts)
    dtype = input.dtype if input.dtype.kind == "f" else np.dtype(float)
    out = input if input.dtype == dtype or mode.startswith("nearest") else input.astype(dtype)
    for axis, n, count, factor in zip(range(-ndim, 0), sizes, counts, factors, strict=True):
        # An axis that keeps its size is copied in torch, also with a factor such as 1.05; but not by every mode.
        copied = count == n and (mode in ("linear", "bilinear", "trilinear") or antialias or (mode == "nearest" and ndim == 2))
        if not copied:
            taps = _taps(mode, n, count, bool(align_corners), factor, antialias, dtype, ndim == 2)
            out = repeated(out, count // n, axis) if taps.repeats else _take_taps(out, taps, axis)
    return out


def _check_interpolation(
    input: Any, size: Any, scale_factor: Any, mode: str, align_corners: Any, recompute_scale_factor: Any, antialias: bool
) -> None:
    arrays_only("interpolate", input=input)
    if mode not in _MODES:
        raise ValueError(f"interpolate: mode must be one of {', '.join(map(repr, _MODES))}, not {mode!r}")
    if input.ndim not in (3, 4, 5):
        raise ValueError(f"interpolate: input must be (batch, channels, *sizes) with one to three sizes, not of shape {input.shape}")
    if mode in _LINEAR and input.ndim - 2 != _LINEAR[mode]:
        raise ValueError(f"interpolate: mode={mode!r} needs an input of {_LINEAR[mode] + 2} axes, not of shape {input.shape}")
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give either size or scale_factor")
    if align_corners is not None and mode not in _LINEAR:
        raise ValueError(f"interpolate: align_corners is for the modes {', '.join(_LINEAR)}, not for {mode!r}")
    if recompute_scale_factor and size is not None:
        raise ValueError("interpolate: recompute_scale_factor is for scale_factor; with an explicit size there is nothing to compute")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f'interpolate: antialias=True is for mode="bilinear" and "bicubic", not for {mode!r}')


def upsample(input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None) -> Any:
    """`interpolate`, under its older name.

    >>> import numpy as np
    >>> upsample(np.array([[[1.0, 2.0]]]), scale_factor=2)
    array([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode="nearest", under its older name."""
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode="bilinear" and align_corners=True, under its older name."""
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)
