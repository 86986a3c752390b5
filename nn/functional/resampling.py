"""Images at another size, at other places, or with their channels and pixels rearranged.

`interpolate` goes axis by axis: each new element is a sum of a few old ones (two for "linear", four for "bicubic"), each
times a weight. Taking them and adding them back where they were taken are each other's rule. `grid_sample` reads an image
between its pixels, at places that are themselves differentiated.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.axes import as_product
from nn.functional.pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, repeated
from nn.functional.windows import arrays_only, is_integer, per_axis

__all__ = [
    "affine_grid",
    "channel_shuffle",
    "grid_sample",
    "interpolate",
    "pixel_shuffle",
    "pixel_unshuffle",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]

# --- interpolation --------------------------------------------------------------------------------------------------------

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


# --- sampling at given places -----------------------------------------------------------------------------------------------


def _flat_places(index: Any, length: int) -> Any:
    """`index` (batch, n) into (batch, length) as one into batch * length."""
    return (index + np.arange(index.shape[0])[:, None] * length).ravel()


@ag.op(
    name="read_pixels",
    real_only=True,
    linear=True,
    samples=lambda a: [ag.call(a(2, 3, 4), np.array([[0, 3, 3], [1, 1, 2]])).only("its caller has looked at the places")],
)
def _read_pixels(x: Any, index: Any) -> Any:
    """(batch, channels, n): the pixels of `x` (batch, channels, pixels) at `index` (batch, n)."""
    return np.take_along_axis(x, index[:, None, :], axis=-1)


@ag.op(
    name="write_pixels",
    real_only=True,
    inert=("pixels",),
    linear=True,
    samples=lambda a: [ag.call(a(2, 3, 3), np.array([[0, 3, 3], [1, 1, 2]]), 4).only("its caller has looked at the places")],
)
def _write_pixels(g: Any, index: Any, pixels: int) -> Any:
    """(batch, channels, pixels): `g` (batch, channels, n) added up at `index` (batch, n)."""
    batch, channels = g.shape[:2]
    places = _flat_places(index, pixels)
    out = np.empty_like(g, shape=(batch, channels, pixels))
    for channel in range(channels):
        sums = np.bincount(places, weights=g[:, channel].ravel(), minlength=batch * pixels)
        out[:, channel] = sums.reshape(batch, pixels)
    return out


ag.defvjp(
    _read_pixels,
    x=lambda g, index, like: _write_pixels(g, index, like.shape[-1]),
)
ag.defvjp(
    _write_pixels,
    g=lambda g, index: _read_pixels(g, index),
)


def grid_sample(input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None) -> Any:
    """The image read at the places of `grid`, between its pixels too (Jaderberg et al. 2015, "Spatial transformer networks", eq. 3).

    input          (batch, channels, height, width), or (batch, channels, depth, height, width)
    grid           (batch, *output sizes, 2) of (x, y), or (..., 3) of (x, y, z), from -1 at one end of the image to 1 at the other
    mode           "bilinear" (for volumes: trilinear), "nearest", or for images "bicubic"
    padding_mode   what is beyond the ends: "zeros", "border" (the last pixel), or "reflection"
    align_corners  whether -1 and 1 are the middles of the outermost pixels, or (False, the default) their outer edges
    returns        (batch, channels, *output sizes)
    raises         ValueError naming the shapes that do not belong together

    >>> import numpy as np
    >>> grid_sample(np.array([[[[1.0, 3.0]]]]), np.array([[[[0.0, 0.0]]]]))
    array([[[[2.]]]])
    """
    ndim = _check_grid(input, grid, mode, padding_mode)
    sizes = input.shape[2:]
    flat = input.reshape((*input.shape[:2], math.prod(sizes)))
    points = grid.reshape((grid.shape[0], math.prod(grid.shape[1:-1]), ndim))
    align = bool(align_corners)
    # grid's last axis is (x, y, z), the array's axes (z, y, x)
    places = [_unnormalised(points[:, :, ndim - 1 - axis], n, align) for axis, n in enumerate(sizes)]
    if mode == "bicubic":
        axes = [_cubic_corners(place, n, padding_mode, align) for place, n in zip(places, sizes, strict=True)]
    else:
        inside = [_within(place, n, padding_mode, align) for place, n in zip(places, sizes, strict=True)]
        axes = [(_nearest_corners if mode == "nearest" else _linear_corners)(place) for place in inside]
    index, weight = _corners(axes, sizes)  # (batch, corners, points)
    pixels = _read_pixels(flat, index.reshape((index.shape[0], index.shape[1] * index.shape[2])))
    out = (pixels.reshape((*flat.shape[:2], *index.shape[1:])) * weight[:, None]).sum(axis=2)
    return out.reshape((*input.shape[:2], *grid.shape[1:-1]))


def _check_grid(input: Any, grid: Any, mode: str, padding_mode: str) -> int:
    arrays_only("grid_sample", input=input, grid=grid)
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(f'grid_sample: mode must be "bilinear", "nearest" or "bicubic", not {mode!r}')
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f'grid_sample: padding_mode must be "zeros", "border" or "reflection", not {padding_mode!r}')
    ndim = input.ndim - 2
    if ndim not in (2, 3) or grid.ndim != ndim + 2 or grid.shape[-1] != ndim or grid.shape[0] != input.shape[0] or 0 in input.shape[2:]:
        raise ValueError(
            f"grid_sample: input of shape {input.shape} and grid of shape {grid.shape} do not belong together; expected "
            "(batch, channels, height, width) with (batch, ..., ..., 2), or (batch, channels, depth, height, width) with (batch, ..., ..., ..., 3)"
        )
    if mode == "bicubic" and ndim != 2:
        raise ValueError(f'grid_sample: mode="bicubic" is for images of 4 axes, not for an input of shape {input.shape}')
    return ndim


def _constant(x: Any) -> Any:
    return x.detach() if isinstance(x, ag.Tensor) else x


def _unnormalised(x: Any, n: int, align_corners: bool) -> Any:
    """From (-1, 1) to the pixels' places 0 ... n - 1."""
    return (x + 1) / 2 * (n - 1) if align_corners else ((x + 1) * n - 1) / 2


def _within(x: Any, n: int, padding_mode: str, align_corners: bool) -> Any:
    """Places brought back to 0 ... n - 1: as `slope * x + offset` with constants, so that a gradient of 0 or -1 goes back."""
    if padding_mode == "zeros":
        return x
    if padding_mode == "reflection":
        x = _reflected(x, n, align_corners)
    raw = _constant(x)
    return np.where((raw > 0) & (raw < n - 1), x, np.clip(raw, 0, n - 1))


def _reflected(x: Any, n: int, align_corners: bool) -> Any:
    """Places mirrored at both ends, as often as it takes: at the middles of the outermost pixels, or at their edges."""
    low, span = (0.0, n - 1) if align_corners else (-0.5, n)
    if span == 0:
        return x * 0
    raw = _constant(x)
    away = np.abs(raw - low)
    flips = np.floor(away / span)
    odd = flips % 2 == 1
    # Even: away - flips * span + low, odd: (flips + 1) * span - away + low; and away is x - low or low - x.
    sign = np.where(raw >= low, 1.0, -1.0)
    slope = np.where(odd, -sign, sign)
    offset = np.where(odd, (flips + 1) * span, -flips * span) + low
    return (x - low) * slope.astype(x.dtype) + offset.astype(x.dtype)


def _whole(x: Any) -> Any:
    """Whole numbers as integers; nan and infinities as some number that is in no image."""
    return np.where(np.abs(x) < 2**30, x, -(2**30)).astype(np.int64)


Corners = tuple[Any, Any]  # the places that a point is read at, and their weights: (batch, corners, points)


def _corners(axes: list[Corners], sizes: tuple[int, ...]) -> Corners:
    """The corners along each axis, and their weights, as those of the whole image; what is beyond its ends weighs nothing."""
    inside = [(np.clip(place, 0, n - 1), np.where((place >= 0) & (place < n), part, 0.0)) for (place, part), n in zip(axes, sizes, strict=True)]
    index, weight = inside[0]
    for (place, part), n in zip(inside[1:], sizes[1:], strict=True):
        index, weight = _outer(np.add, index * n, place), _outer(np.multiply, weight, part)
    return index, weight


def _outer(combine: Any, a: Any, b: Any) -> Any:
    """`combine` of each pair of corners: (batch, n, points), (batch, m, points) -> (batch, n * m, points)."""
    return combine(a[:, :, None], b[:, None]).reshape((a.shape[0], a.shape[1] * b.shape[1], a.shape[2]))


def _nearest_corners(x: Any) -> Corners:
    rounded = np.rint(x)
    place = _constant(rounded)
    return _whole(place)[:, None], (1 + (rounded - place))[:, None]  # 1, with a derivative of 0


def _linear_corners(x: Any) -> Corners:
    below = np.floor(_constant(x))
    beyond = x - below
    first = _whole(below)
    return np.stack([first, first + 1], axis=1), np.stack([1 - beyond, beyond], axis=1)


def _cubic_corners(x: Any, n: int, padding_mode: str, align_corners: bool) -> Corners:
    below = np.floor(_constant(x))
    beyond = x - below
    a = -0.75

    def near(d: Any) -> Any:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Any) -> Any:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    places = [_whole(_within(below + offset, n, padding_mode, align_corners)) for offset in (-1, 0, 1, 2)]
    return np.stack(places, axis=1), np.stack([far(beyond + 1), near(beyond), near(1 - beyond), far(2 - beyond)], axis=1)


def affine_grid(theta: Any, size: Any, align_corners: bool | None = None) -> Any:
    """The places at which `grid_sample` reads an image that an affine map has moved: theta @ (x, y, 1) for each pixel (x, y).

    theta          (batch, 2, 3) for images, (batch, 3, 4) for volumes
    size           (batch, channels, height, width) of the output, or (batch, channels, depth, height, width)
    align_corners  as in `grid_sample`
    returns        (batch, height, width, 2), or (batch, depth, height, width, 3)

    >>> import numpy as np
    >>> affine_grid(np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2))
    array([[[[-0.5,  0. ],
             [ 0.5,  0. ]]]])
    """
    arrays_only("affine_grid", theta=theta)
    sizes = tuple(size) if isinstance(size, tuple | list) else (size,)
    if not all(is_integer(n) and n > 0 for n in sizes) or len(sizes) not in (4, 5):
        raise ValueError(f"affine_grid: size must be 4 or 5 positive integers, (batch, channels, *sizes), not {size!r}")
    ndim = len(sizes) - 2
    if theta.shape != (sizes[0], ndim, ndim + 1):
        raise ValueError(f"affine_grid: theta has shape {theta.shape}, expected {(sizes[0], ndim, ndim + 1)} for size {sizes}")
    if theta.dtype.kind != "f":
        raise TypeError(f"affine_grid: theta must be of floating point, not {theta.dtype}")
    axes = [_normalised(n, bool(align_corners)) for n in sizes[2:]]
    points = [np.broadcast_to(x, sizes[2:]).ravel() for x in np.ix_(*axes)]
    rows = np.stack([*reversed(points), np.ones(math.prod(sizes[2:]))], axis=-1).astype(theta.dtype)
    return np.matmul(rows, np.swapaxes(theta, -1, -2)).reshape((sizes[0], *sizes[2:], ndim))


def _normalised(n: int, align_corners: bool) -> Any:
    """The places of n pixels in (-1, 1)."""
    if align_corners:
        return np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
    return (2 * np.arange(n) + 1) / n - 1


# --- rearranging ------------------------------------------------------------------------------------------------------------


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """Each r^2 channels become r x r pixels: (..., C r^2, H, W) to (..., C, H r, W r) (Shi et al. 2016, "Real-time single image... sub-pixel").

    >>> import numpy as np
    >>> pixel_shuffle(np.array([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]), 2)
    array([[[1., 2.],
            [3., 4.]]])
    """
    r = _factor("pixel_shuffle", "upscale_factor", input, upscale_factor)
    *batch, channels, height, width = input.shape
    if channels % (r * r):
        raise ValueError(f"pixel_shuffle: input of shape {input.shape} has {channels} channels, which upscale_factor^2 = {r * r} does not divide")
    k = len(batch)
    split = input.reshape((*batch, channels // (r * r), r, r, height, width))
    return np.transpose(split, (*range(k + 1), k + 3, k + 1, k + 4, k + 2)).reshape((*batch, channels // (r * r), height * r, width * r))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """Blocks of r x r pixels become r^2 channels: (..., C, H r, W r) to (..., C r^2, H, W), the inverse of `pixel_shuffle`.

    >>> import numpy as np
    >>> pixel_unshuffle(np.array([[[1.0, 2.0], [3.0, 4.0]]]), 2).ravel()
    array([1., 2., 3., 4.])
    """
    r = _factor("pixel_unshuffle", "downscale_factor", input, downscale_factor)
    *batch, channels, height, width = input.shape
    if height % r or width % r:
        raise ValueError(f"pixel_unshuffle: downscale_factor={r} does not divide the height and width of input of shape {input.shape}")
    k = len(batch)
    split = input.reshape((*batch, channels, height // r, r, width // r, r))
    return np.transpose(split, (*range(k + 1), k + 2, k + 4, k + 1, k + 3)).reshape((*batch, channels * r * r, height // r, width // r))


def _factor(function: str, name: str, input: Any, factor: Any) -> int:
    arrays_only(function, input=input)
    if not is_integer(factor) or factor < 1:
        raise ValueError(f"{function}: {name} must be an integer >= 1, not {factor!r}")
    if input.ndim < 3:
        raise ValueError(f"{function}: input must be (..., channels, height, width), not of shape {input.shape}")
    return int(factor)


def channel_shuffle(input: Any, groups: int) -> Any:
    """Channels dealt out anew: of (g, n) channels, (n, g) (Zhang et al. 2018, "ShuffleNet", figure 1).

    input   (batch, channels, *sizes)

    >>> import numpy as np
    >>> channel_shuffle(np.arange(6.0).reshape(1, 6, 1), 2).ravel()
    array([0., 3., 1., 4., 2., 5.])
    """
    arrays_only("channel_shuffle", input=input)
    if not is_integer(groups) or groups < 1:
        raise ValueError(f"channel_shuffle: groups must be an integer >= 1, not {groups!r}")
    if input.ndim < 3 or input.shape[1] % groups:
        raise ValueError(
            f"channel_shuffle: input must be (batch, channels, *sizes) with channels that groups={groups} divides, not of shape {input.shape}"
        )
    split = input.reshape((input.shape[0], groups, input.shape[1] // groups, *input.shape[2:]))
    return np.swapaxes(split, 1, 2).reshape(input.shape)
