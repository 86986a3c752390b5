"""Counts and histograms. They are constant in the data between jumps, so gradients are those of the weights.

Where NumPy places the edges between the smallest and the largest element, the edges are tracked as functions of these two.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.define.door import composed, defvjp
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.differences import differences
from autograd_core.rules.shapes import array_of
from autograd_core.tensor.handles import plain

defvjp(
    np.bincount,
    weights=lambda g, x: g[np.asarray(x)],
    signature="x, weights=None, minlength=0",
    inert=("minlength",),
    linear=True,
    samples=lambda a: [
        call(np.array([0, 2, 2, 1]), a(4)),
        call(np.array([3, 0]), weights=a(2), minlength=6),
        call([1, 1], a(2)),
        call(np.array([], dtype=int), a(0)),
    ],
)


def _edges(values: Any, bins: Any, limits: Any, edges: Any) -> Any:
    """NumPy's `edges` as a function of what it took them from: given ones, or the smallest and the largest of `values`."""
    if hasattr(bins, "requires_grad"):
        return bins
    if np.ndim(bins) and not isinstance(bins, str):
        return edges
    if limits is not None or not getattr(values, "requires_grad", False):
        return edges
    first, last = np.min(values), np.max(values)
    if plain(first) == plain(last):  # NumPy opens a range of no width around it
        return first + (edges - plain(first))
    return first + (last - first) * ((edges - edges[0]) / (edges[-1] - edges[0]))


def _bin_numbers(values: Any, edges: Any) -> Any:
    """Which bin each element falls into, -1 or the number of bins for none; the last bin has its right edge too."""
    places = np.searchsorted(edges, values, side="right") - 1
    places[values == edges[-1]] -= 1
    return places


def _totals(places: Any, inside: Any, count: int, weights: Any) -> Any:
    """The sum of the weights in each bin."""
    places, weights = places[inside], weights[inside]
    if weights.dtype.kind == "c":
        return np.bincount(places, np.real(weights), count) + 1j * np.bincount(places, np.imag(weights), count)
    return np.bincount(places, weights, count)


def _histogram_calls(a: Arrays) -> list[Call]:
    return [
        call(a(6), 3, weights=a(6)),
        call(a(6), weights=a(6), density=True),
        call(a(2, 3), np.array([-2.0, -0.5, 0.1, 1.0]), weights=a(2, 3)),
        call(a(6), 4, (-1.0, 1.0), weights=a(6)),
        call(a(6), 3, density=True),
        call(a(6), 3),
        call(a(5), 2, weights=a.complex(5)),
        call(a(6), [-2.0, 0.0, 2.0], None, True, a.positive(6)),
    ]


@composed(np.histogram, samples=_histogram_calls)
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:  # noqa: A002  NumPy's name
    """Sums of weights per bin, and the bins' edges."""
    a = array_of(a)
    if weights is None:
        totals, edges = np.histogram(plain(a), plain(bins), plain(range))
    else:
        weights = array_of(weights)
        if weights.shape != a.shape:
            raise ValueError("weights should have the same shape as a.")
        edges = np.histogram_bin_edges(plain(a), plain(bins), plain(range), plain(weights))
        places = _bin_numbers(np.ravel(plain(a)), edges)
        inside = (places >= 0) & (places < edges.size - 1)
        totals = _totals(places, inside, edges.size - 1, weights.reshape(-1)).astype(weights.dtype)
    edges = _edges(a, bins, range, edges)
    if density:
        totals = totals / differences(edges, 1, 0).astype(float) / np.sum(totals)
    return totals, edges


@composed(np.histogram_bin_edges, samples=lambda a: [call(a(6), 3), call(a(6)), call(a(2, 3), "sturges"), call(a(1), 2)])
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:  # noqa: A002  NumPy's name
    """Where the bins of a histogram lie."""
    return _edges(a, bins, range, np.histogram_bin_edges(plain(a), plain(bins), plain(range), plain(weights)))


def _grid_calls(a: Arrays) -> list[Call]:
    return [
        call(a(6, 2), 3, weights=a(6)),
        call(a(6, 2), (2, np.array([-2.0, 0.0, 2.0])), weights=a(6), density=True),
        call([a(5), a(5), a(5)], 2, weights=a(5)),
        call(a(6, 2), 2, density=True),
        call(a(6, 1), 2, [(-1.0, 1.0)], weights=a(6)),
        call(a(6, 2), 2),
    ]


@composed(np.histogramdd, samples=_grid_calls)
def histogramdd(sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:  # noqa: A002  NumPy's name
    """Sums of weights per cell of a grid, and the grid's edges along each axis."""
    if isinstance(sample, list | tuple):
        columns = [array_of(column).reshape(-1) for column in sample]
    else:
        sample = sample.reshape((-1, 1)) if sample.ndim == 1 else sample
        columns = [sample[:, k] for k in np.arange(sample.shape[1])]
    data = np.stack([plain(column) for column in columns], axis=1)
    totals, edges = np.histogramdd(data, plain(bins), plain(range))
    if weights is not None:
        places = [_bin_numbers(column, along) for column, along in zip(data.T, edges, strict=True)]
        inside = np.logical_and.reduce([(p >= 0) & (p < n) for p, n in zip(places, totals.shape, strict=True)])
        clipped = np.ravel_multi_index([np.where(inside, p, 0) for p in places], totals.shape)
        totals = _totals(clipped, inside, totals.size, array_of(weights)).reshape(totals.shape)
    each_bins = bins if hasattr(bins, "__len__") else [bins] * len(columns)
    each_range = [None] * len(columns) if range is None else range
    ends = [_edges(column, b, r, e) for column, b, r, e in zip(columns, each_bins, each_range, edges, strict=True)]
    if density:
        whole = np.sum(totals)
        for k, along in enumerate(ends):
            totals = totals / differences(along, 1, 0).reshape((-1,) + (1,) * (len(ends) - k - 1))
        totals = totals / whole
    return totals, type(edges)(ends)


@composed(
    np.histogram2d,
    samples=lambda a: [
        call(a(6), a(6), 3, weights=a(6)),
        call(a(6), a(6), (2, 3), density=True, weights=a.positive(6)),
        call(a(6), a(6), np.array([-2.0, -1.0, 2.0]), weights=a(6)),
        call(a(6), a(6), 2),
    ],
)
def histogram2d(x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:  # noqa: A002  NumPy's name
    """np.histogramdd of two axes, with the edges of each."""
    x, y = array_of(x), array_of(y)
    if x.shape[0] != y.shape[0]:
        raise ValueError("x and y must have the same length.")
    if hasattr(bins, "__len__") and len(bins) not in (1, 2):
        bins = [array_of(bins)] * 2
    totals, (x_edges, y_edges) = histogramdd([x, y], bins, range, density, weights)
    return totals, x_edges, y_edges
