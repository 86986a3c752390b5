"""Images read at given places: `grid_sample` between their pixels, at places that are themselves differentiated, which `affine_grid` makes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.windows import arrays_only, is_integer

__all__ = ["affine_grid", "grid_sample"]


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
