"""Sums over windows and over ranges of elements, and what spreads an element over its window: each other's rules.

They are computed axis by axis, from slices (`windows.Windows`).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.axes import as_product, repeat
from nn.functional.windows import Numbers, Windows

__all__ = ["Ranges", "range_sums", "repeated", "spread", "window_sums"]

# Samples: windows side by side, and overlapping, dilated ones that hang over both ends.
_BESIDE = Windows((2,), (2,), (0,), (1,), (2,))
_OVERLAPPING = Windows((3, 2), (1, 2), (1, 1), (1, 2), (3, 2))
_TOGETHER = "its callers make windows that fit the array"


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
def window_sums(x: Any, windows: Windows) -> Any:
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
def spread(g: Any, windows: Windows, sizes: Numbers) -> Any:
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
    window_sums,
    x=lambda g, windows, like: spread(g, windows, like.shape[-windows.ndim :]),
)
ag.defvjp(
    spread,
    g=lambda g, windows: window_sums(g, windows),
)


def repeated(x: Any, times: int, axis: int) -> Any:
    """Each element along `axis` < 0, `times` times: a window of its own to spread over."""
    counts = tuple(x.shape[axis:])
    kernel = (times, *(1,) * (len(counts) - 1))
    windows = Windows(kernel, kernel, (0,) * len(counts), (1,) * len(counts), counts)
    return spread(x, windows, (counts[0] * times, *counts[1:]))


class Ranges:
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
    def dividing(cls, length: int, count: int) -> Ranges:
        """`count` ranges from floor(i length / count) to ceil((i + 1) length / count): equal, or overlapping by an element."""
        i = np.arange(count)
        return cls(i * length // count, -(-(i + 1) * length // count), length)

    def transposed(self) -> Ranges:
        """For each element, the range of ranges that it is in."""
        elements = np.arange(self.length)
        return Ranges(np.searchsorted(self.ends, elements, "right"), np.searchsorted(self.starts, elements, "right"), len(self.starts))

    def __repr__(self) -> str:
        return f"ranges({', '.join(f'{a}:{b}' for a, b in zip(self.starts, self.ends, strict=True))})"


_THREE = Ranges(np.array([0, 1, 3]), np.array([2, 4, 5]), 5)


@ag.op(
    name="range_sums",
    linear=True,
    structural=True,
    samples=lambda a: [
        ag.call(*arguments).only(_TOGETHER) for arguments in [(a(2, 5), _THREE, -1), (a(3, 2), _THREE.transposed(), -2), (a(0, 5), _THREE, -1)]
    ],
)
def range_sums(x: Any, ranges: Ranges, axis: int) -> Any:
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
    range_sums,
    x=lambda g, ranges, axis: range_sums(g, ranges.transposed(), axis),
)
