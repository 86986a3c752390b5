"""Sorting and sets: values are only moved and left out, so gradients follow the same moves.

Which element went where is worked out in the backward pass. Equal elements count as sorted in the order in which they stood
(a stable permutation), whatever NumPy's algorithm did: so the derivative does not depend on `kind`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.arrays.layers import for_all
from autograd_core.arrays.shapes import normalise_axes
from autograd_core.define.door import composed, defvjp, op
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.shapes import array_of
from autograd_core.tensor.handles import plain

# --- sorting -----------------------------------------------------------------------------------------------------------------


def sorting_order(a: Any, axis: int) -> Any:
    """The stable permutation that sorts the raw array `a`; the stable algorithm, five times as slow, runs only if there are ties."""
    order = np.argsort(a, axis)
    ranked = np.moveaxis(np.take_along_axis(a, order, axis), axis, -1)
    distinct = for_all(ranked[..., 1:] > ranked[..., :-1])
    return order if distinct else np.argsort(a, axis, kind="stable")


@op(
    values=lambda g, order, axis: np.take_along_axis(g, order, axis),
    structural=True,
    linear=True,
    samples=lambda a: [
        call(a(3), np.array([2, 0, 1]), 0),
        call(a(2, 3), np.array([[2, 0, 1], [1, 0, 2]]), -1),
        call(a.complex(2, 1), np.array([[1], [0]]), 0),
        call(a(0), np.array([], dtype=int), 0),
    ],
)
def moved_back(values: Any, order: Any, axis: int) -> Any:
    """`values` as they stood before `np.take_along_axis(_, order, axis)` permuted them: its adjoint and its inverse."""
    result = np.empty_like(values)
    np.put_along_axis(result, order, values, axis)
    return result


def _unsorted(g: Any, like: Any, a: Any, axis: Any) -> Any:
    a = plain(a)
    if axis is None:
        return moved_back(g, sorting_order(a.ravel(), 0), 0).reshape(like.shape)
    return moved_back(g, sorting_order(a, axis), axis)


defvjp(
    np.sort,
    a=_unsorted,
    signature="a, axis=-1, kind=None, order=None, *, stable=None",
    inert=("kind", "stable"),
    structural=True,
    samples=lambda a: [
        call(a(5)),
        call(a(2, 3), 0),
        call(a(2, 3, 2), axis=1),
        call(a(2, 3), axis=None),
        call(a(4), kind="stable"),
        call(a(), None),
        call(a(0, 2), 0),
        call(a.complex(4)),
    ],
)


def _unpartitioned(g: Any, like: Any, a: Any, out: Any, kth: Any, axis: Any) -> Any:
    a, out = plain(a), plain(out)
    if axis is None:
        return moved_back(g, _partitioning_order(a.ravel(), out, kth, 0), 0).reshape(like.shape)
    return moved_back(g, _partitioning_order(a, out, kth, axis), axis)


def _partitioning_order(a: Any, out: Any, kth: Any, axis: int) -> Any:
    """The permutation that made `out` of `a`. np.argpartition's need not be np.partition's (they differ from about 1000
    elements on, where vector instructions come in); then equal ranks tell which element went where."""
    order = np.argpartition(a, kth, axis)
    if np.array_equal(np.take_along_axis(a, order, axis), out, equal_nan=True):
        return order
    np.put_along_axis(order, sorting_order(out, axis), sorting_order(a, axis), axis)
    return order


defvjp(
    np.partition,
    a=_unpartitioned,
    signature="a, kth, axis=-1, kind='introselect', order=None",
    inert=("kind",),
    structural=True,
    samples=lambda a: [
        call(a(6), 2),
        call(a(3, 4), 1, axis=0),
        call(a(3, 4), (0, 2)),
        call(a(2, 3), 3, axis=None),
        call(a(2, 3), -1, 1),
        call(a.complex(4), 1),
    ],
)


@composed(np.sort_complex, samples=lambda a: [call(a(4)), call(a.complex(4)), call(a(2, 3))])
def sort_complex(a: Any) -> Any:
    """Sorted along the last axis, as complex numbers."""
    result = np.sort(array_of(a))
    return result if result.dtype.kind == "c" else result.astype(np.sort_complex(np.zeros(0, result.dtype)).dtype)


# --- sets ------------------------------------------------------------------------------------------------------------------------

# Of equal elements the first one represents all, and gets the gradient.


def _first_places(values: Any, elements: Any) -> Any:
    """For each of `elements` (without repeats), its first place in the flat raw array `values`; nan by nan."""
    found, first = np.unique(values, return_index=True, equal_nan=False)
    found, first = found[: elements.size], first[: elements.size]  # of several nans, as many as are asked for
    places = np.empty_like(first)
    places[np.argsort(elements, kind="stable")] = first
    return places


@composed(
    np.unique,
    samples=lambda a: [
        call(a(2, 3)),
        call(a(3), return_index=True, return_inverse=True, return_counts=True),
        call(a(3, 2), axis=0),
        call(a(0)),
        call(a(), return_counts=True),
        call(a.complex(3)),
    ],
)
def unique(ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False, axis: Any = None, **keywords: Any) -> Any:
    """The distinct elements (or slices along `axis`), sorted."""
    ar = array_of(ar)
    keywords |= {"return_inverse": return_inverse, "return_counts": return_counts, "axis": axis}
    _, index, *others = np.unique(plain(ar), return_index=True, **keywords)
    values = np.ravel(ar)[index] if axis is None else np.take(ar, index, axis)
    results = (values, *[index] * return_index, *others)
    return results if len(results) > 1 else values


def _with_values(function: Any) -> Any:
    """`function` (of the array API's unique_ family) with the values taken from its argument."""

    def compute(x: Any) -> Any:
        x = array_of(x)
        result = function(plain(x))
        elements = getattr(result, "values", result)
        values = np.ravel(x)[_first_places(plain(x).ravel(), elements)].reshape(elements.shape)
        return values if elements is result else result._replace(values=values)

    return compute


def _sample_sets(a: Arrays) -> list[Call]:
    return [call(a(1)), call(a()), call(a(0)), call(a.complex(1))]  # NumPy promises no order of the values


for _function in (np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values):
    composed(_function, samples=_sample_sets)(_with_values(_function))


@composed(np.union1d, samples=lambda a: [call(a(3), a(2)), call(a(2, 2), a(3))])
def union1d(ar1: Any, ar2: Any) -> Any:
    """The distinct elements of both, sorted; those of `ar1` represent equal ones of `ar2`."""
    return unique(np.concatenate((ar1, ar2), axis=None))


# np.intersect1d has no rule: numbers that are equal only now have no derivative as an intersection.


@composed(np.setdiff1d, samples=lambda a: [call(a(2, 2), a(3, low=5, high=6)), call(a(3), a(2, low=5, high=6), True)])
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """The elements of `ar1` that `ar2` has not."""
    left = np.ravel(ar1) if assume_unique else unique(ar1)
    return left[np.isin(plain(left), plain(ar2), assume_unique=True, invert=True)]


@composed(np.setxor1d, samples=lambda a: [call(a(2, 2), a(3, low=5, high=6)), call(a(3), a(2, low=5, high=6), True)])
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """The elements that only one of the two has, sorted."""
    both = np.concatenate((ar1, ar2), axis=None) if assume_unique else np.concatenate((unique(ar1), unique(ar2)))
    _, index, counts = np.unique(plain(both), return_index=True, return_counts=True)
    return both[index[counts == 1]]


@composed(np.trim_zeros, samples=lambda a: [call(a(3)), call(a.positive(4), "f"), call(a.complex(2))])
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Without the zeros at the front and the back; of a larger array, without the outer slices that are all zeros."""
    if trim.lower() not in ("f", "b", "fb", "bf"):
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    filt = array_of(filt)
    index = [slice(None)] * filt.ndim
    for k in range(filt.ndim) if axis is None else normalise_axes(axis, filt.ndim):
        others = tuple(other for other in range(filt.ndim) if other != k)
        places = np.flatnonzero((plain(filt) != 0).any(axis=others))
        first, last = (int(places[0]), int(places[-1])) if places.size else (0, -1)
        index[k] = slice(first if "f" in trim.lower() else 0, last + 1 if "b" in trim.lower() or not places.size else None)
    return filt[tuple(index)]
