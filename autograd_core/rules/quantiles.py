"""Quantiles and medians, by every method, with weights, and with nan ignored or not.

A quantile lies on the line between two neighbours in sorted order, and its gradient goes to these two elements. Of equal
elements it goes to one: any choice is a subgradient. Between jumps it is also differentiable in its probability. A weighted
quantile is one of the elements, and constant in the weights between jumps.

Where a quantile lies NumPy itself says, for each method: the quantile of 0, 1, ..., n - 1 is a place among n sorted elements.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from autograd_core.arrays.shapes import as_rows, from_rows, normalise_axes
from autograd_core.define.door import defvjp, op
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.indexing import scatter
from autograd_core.rules.shapes import array_of
from autograd_core.tensor.handles import plain

__all__ = ["quantile_position"]

# The place of the quantile q among n elements moves by n + slope per unit of q; by nothing for methods that are not listed.
_SLOPES = {"linear": -1.0, "interpolated_inverted_cdf": 0.0, "hazen": 0.0, "weibull": 1.0, "median_unbiased": 1 / 3, "normal_unbiased": 1 / 4}


def _slope(place: Any, n: Any, method: str) -> Any:
    if method not in _SLOPES:
        return np.zeros_like(place)
    # The others stay at the ends for a while; "linear" is there at q = 0 only, where it has the slope to the right.
    inside = (place >= 0) if method == "linear" else (place > 0)
    return np.where(inside & (place < n - 1), n + _SLOPES[method], 0.0)


@op(
    q=lambda g, out, n, method: (g * _slope(plain(out), n, method)).astype(g.dtype),
    samples=lambda a: [call(a(2, 3, low=0.1, high=0.9), 7, method) for method in [*_SLOPES, "nearest"]],
)
def quantile_position(q: Any, n: int, method: str) -> Any:
    """Where the quantile `q` lies among `n` sorted elements, counted from 0."""
    places: Any = np.arange(n, dtype=np.float64)
    return np.quantile(places, q, method=method).astype(q.dtype)  # type: ignore[call-overload]


class _Neighbours(NamedTuple):
    """For rows (..., n) and k quantiles: which elements each lies between, and where.

    low, high : (..., k) places in the rows
    fraction : (k,) or (..., k), how far it is from the lower to the higher one; tracked if q is
    slope : (k,) or (..., k), what `fraction` changes by per unit of q
    valid : (..., 1), whether the row has a quantile, or None if all have
    """

    low: Any
    high: Any
    fraction: Any
    slope: Any
    valid: Any


def _neighbours(rows: Any, q: Any, method: str, skip_nan: bool) -> _Neighbours:
    n = rows.shape[-1]
    nans = np.isnan(rows).sum(axis=-1)
    counts = n - nans if skip_nan else np.full_like(nans, n)
    valid = None if not nans.any() else ((counts > 0) if skip_nan else nans == 0)[..., None]
    sizes, which = np.unique(counts, return_inverse=True)
    places = [quantile_position(q, max(int(size), 1), method) for size in sizes]
    if len(places) == 1:
        place, slope = places[0], _slope(plain(places[0]), int(sizes[0]), method)
    else:
        which = which.reshape(counts.shape)
        place, slope = np.stack(places)[which], np.stack([_slope(plain(p), int(size), method) for p, size in zip(places, sizes, strict=True)])[which]
    below = np.floor(plain(place)).astype(int)
    above = np.minimum(below + 1, np.maximum(counts[..., None] - 1, 0))
    below = np.broadcast_to(below, above.shape)
    order = np.argpartition(rows, np.unique([below, above]), axis=-1)
    low, high = np.take_along_axis(order, below, -1), np.take_along_axis(order, above, -1)
    return _Neighbours(low, high, place - np.floor(plain(place)), slope, valid)


def _elements_taken(rows: Any, values: Any, q: Any, weights: Any) -> _Neighbours:
    """The same for weighted quantiles, where each value is one of the elements.

    Of equal elements it is the one at which their weights, added up in order, reach what the quantile still needs: that one
    takes over when the tie is broken in this order, others may not take over in any.
    """
    equal = rows[..., None, :] == values[..., None]
    weights = np.where(np.isnan(rows), 0.0, weights)
    needed = q * weights.sum(axis=-1)[..., None] - (weights[..., None, :] * (rows[..., None, :] < values[..., None])).sum(axis=-1)
    reached = np.cumsum(weights[..., None, :] * equal, axis=-1)
    enough = reached >= np.minimum(needed * (1 - 1e-12), reached[..., -1])[..., None]
    place = np.argmax(equal & enough, axis=-1)
    return _Neighbours(place, place, 0.0, 0.0, None if not np.isnan(values).any() else ~np.isnan(values))


@functools.cache
def _axes_of_result(q_ndim: int, a_ndim: int, axis: Any) -> tuple[int, ...]:
    """Which of the axes (those of q, then those of `a` that remain) stand where in the result of np.nanquantile.

    They should stand in this order. But NumPy (2.4) mixes them up if q has several axes and `axis` is a tuple, so it is asked.
    """
    remaining = [k for k in range(a_ndim) if k not in normalise_axes(axis, a_ndim)]
    q_shape = tuple(range(1, 1 + q_ndim))  # all sizes are different, and larger by one than the number of the axis
    a_shape = tuple(1 + q_ndim + remaining.index(k) if k in remaining else 1 for k in range(a_ndim))
    shape: tuple[int, ...] = np.nanquantile(np.zeros(a_shape), np.full(q_shape, 0.5), axis=axis).shape
    return tuple(size - 1 for size in shape)


def _per_row(g: Any, a: Any, q: Any, axis: Any, rows: Any, skip_nan: bool) -> Any:
    """The gradient of the result, whose first axes are q's, as (..., k) beside the rows; a q of no axes counts as k = 1."""
    if skip_nan and np.ndim(q) > 1:
        order = _axes_of_result(np.ndim(q), a.ndim, axis)
        sizes = (*np.shape(q), *rows.shape[:-1])
        g = np.transpose(g.reshape(tuple(sizes[k] for k in order)), np.argsort(order).tolist())
    return np.moveaxis(g.reshape((np.size(q), *rows.shape[:-1])), 0, -1)


def _located(out: Any, a: Any, q: Any, axis: Any, method: str, weights: Any, skip_nan: bool) -> _Neighbours:
    rows = as_rows(plain(a), axis)
    if weights is not None:
        each = as_rows(plain(weights), axis) if np.shape(weights) == np.shape(a) else np.reshape(plain(weights), -1)
        return _elements_taken(rows, _per_row(plain(out), a, q, axis, rows, skip_nan), np.reshape(plain(q), -1), each)
    q = array_of(q)
    q = q.reshape(-1) if q.dtype.kind == "f" else q.reshape(-1).astype(np.float64)
    return _neighbours(rows, q, method, skip_nan)


def _data_gradient(g: Any, out: Any, a: Any, q: Any, axis: Any, method: str, weights: Any, skip_nan: bool) -> Any:
    """Each quantile's gradient to its two elements, by how near it is to them."""
    if a.size == 0:
        return np.zeros_like(a)
    rows = as_rows(a, axis)
    low, high, fraction, _, valid = _located(out, a, q, axis, method, weights, skip_nan)
    g = _per_row(g, a, q, axis, rows, skip_nan)
    g = g if valid is None else np.where(valid, g, 0.0)
    upper = g * fraction
    upper = upper if upper.dtype == g.dtype else upper.astype(g.dtype)  # q may be float64 beside data in float32
    index = np.ogrid[tuple(slice(n) for n in low.shape)][:-1]
    result = scatter(g - upper, (*index, low), rows.shape) + scatter(upper, (*index, high), rows.shape)
    return from_rows(result, axis, a.shape)


def _probability_gradient(g: Any, out: Any, a: Any, q: Any, axis: Any, method: str, weights: Any, skip_nan: bool) -> Any:
    """The distance of the two neighbours times the speed at which the quantile passes from one to the other."""
    if a.size == 0 or weights is not None:
        return np.zeros_like(q)
    rows = as_rows(a, axis)
    low, high, _, slope, valid = _located(out, a, q, axis, method, weights, skip_nan)
    index = np.ogrid[tuple(slice(n) for n in low.shape)][:-1]
    change = _per_row(g, a, q, axis, rows, skip_nan) * (rows[(*index, high)] - rows[(*index, low)]) * slope
    change = change if valid is None else np.where(valid, change, 0.0)
    return np.sum(change, axis=tuple(range(change.ndim - 1))).reshape(np.shape(q)).astype(q.dtype)


def _rules(scale: float, skip_nan: bool) -> dict[str, Any]:
    """The rules of a quantile function whose probabilities count to `scale`."""

    def data(g: Any, out: Any, a: Any, q: Any, axis: Any, method: str, weights: Any) -> Any:
        return _data_gradient(g, out, a, array_of(q) / scale, axis, method, weights, skip_nan)

    def probability(g: Any, out: Any, a: Any, q: Any, axis: Any, method: str, weights: Any) -> Any:
        return _probability_gradient(g, out, a, array_of(q) / scale, axis, method, weights, skip_nan) / scale

    return {"a": data, "q": probability, "weights": lambda g, weights: np.zeros_like(weights)}


def _sample_quantiles(scale: float, skip_nan: bool) -> Any:
    methods = ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "lower", "higher", "midpoint", "nearest", *_SLOPES)

    def make(a: Arrays) -> list[Call]:
        def q(*shape: int) -> Any:
            return scale * a(*shape, low=0.1, high=0.9)

        calls = [call(a(2, 5), q(), axis=1, method=method) for method in methods]
        calls += [
            call(a(2, 5), 0.3 * scale),
            call(a(2, 5), q(3), axis=-1, keepdims=True),
            call(a(2, 3, 2), q(2, 2), axis=(0, 2)),
            call(a(5), [0.0, scale]),
            call(a(1), q()),
            call(a(2, 5), q(2), axis=1, method="inverted_cdf", weights=a.positive(2, 5)),
            call(a(5), q(), method="inverted_cdf", weights=a.positive(5)),
        ]
        return _with_nan(calls) if skip_nan else calls

    return make


def _with_nan(calls: list[Call]) -> list[Call]:
    for c in calls:
        if c.args[0].size > 4:
            c.args[0][(0,) * c.args[0].ndim] = np.nan
    return calls


for _function, _scale, _skip_nan in (
    (np.quantile, 1.0, False),
    (np.percentile, 100.0, False),
    (np.nanquantile, 1.0, True),
    (np.nanpercentile, 100.0, True),
):
    defvjp(_function, **_rules(_scale, _skip_nan), inert=("keepdims",), selects=True, samples=_sample_quantiles(_scale, _skip_nan))


def _medians(a: Arrays) -> list[Call]:
    return [
        call(a(2, 5)),
        call(a(2, 4), axis=1),
        call(a(2, 3, 2), axis=(0, -1), keepdims=True),
        call(a(5), axis=0),
        call(a(1)),
        call(a(2, 3), axis=-2),
    ]


defvjp(
    np.median,
    a=lambda g, out, a, axis: _data_gradient(g, out, a, 0.5, axis, "linear", None, skip_nan=False),
    inert=("keepdims",),
    selects=True,
    samples=_medians,
)
defvjp(
    np.nanmedian,
    a=lambda g, out, a, axis: _data_gradient(g, out, a, 0.5, axis, "linear", None, skip_nan=True),
    inert=("keepdims",),
    selects=True,
    samples=lambda a: _with_nan(_medians(a)),
)
