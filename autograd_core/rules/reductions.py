"""Derivatives of reductions and running totals: sums, products, means, variances, extremes, and their nan-ignoring versions.

The gradient of a sum is the sum's gradient copied to every element; the others weigh the copies. All of them know the
keywords axis (None, int, tuple), keepdims, where, initial, dtype and those of their own (ddof, correction, mean).

At ties and edges: elements that share a maximum share its gradient equally; a product or a running product with zeros has
its exact derivative, at every order; the standard deviation of equal elements has slope 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import _NoValue

from autograd_core.arrays.layers import for_all, kind_of
from autograd_core.arrays.shapes import as_rows, from_rows, keep_reduced_axes, reduced_size
from autograd_core.define.door import composed, defvjp, op
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.lengths import LENGTHS, limit, proportional
from autograd_core.tensor.handles import plain

__all__ = [
    "cumprod_rule",
    "deviation_rule",
    "everywhere",
    "extreme_rules",
    "mean_rule",
    "product_initial_rule",
    "product_rule",
    "reduction_calls",
    "running_calls",
    "running_from_the_end",
    "running_recurrence",
    "spread",
    "variance_rule",
    "where_calls",
]


def everywhere(where: Any) -> bool:
    """Whether a `where=` keyword leaves nothing out."""
    return where is _NoValue or where is True


def spread(g: Any, shape: tuple[int, ...], axis: Any, where: Any) -> Any:
    """The gradient of a reduction, copied to the elements of `shape` that it took in."""
    if type(g) is np.float64 and axis is None and everywhere(where) and math.prod(shape) <= FEW:
        copies = np.empty(shape)  # a fifth of broadcast_to's time
        copies.fill(g)
        return copies
    if kind_of(g) is np.float64 and axis is None and everywhere(where) and math.prod(shape) <= FEW:  # the same, being recorded
        copies = np.zeros_like(g, shape=shape)
        copies[...] = g
        return copies
    g = np.broadcast_to(keep_reduced_axes(g, axis, False, len(shape)), shape)
    return g if everywhere(where) else np.where(where, g, 0.0)


FEW = 1024  # elements, up to which copies are made quicker than a view of one


def _reducing(function: Any, ufunc: Any) -> Callable[..., Any]:
    """NumPy's reduction `function` without its detours: what it comes down to for plain arrays."""

    def quick(a: Any, axis: Any = None, *rest: Any, **kwargs: Any) -> Any:
        return ufunc.reduce(a, axis, **kwargs) if not rest else function(a, axis, *rest, **kwargs)

    return quick


def _quick_mean(a: Any, axis: Any = None, *rest: Any, **kwargs: Any) -> Any:
    if rest or kwargs or not a.size or a.dtype.char not in "dfFD":  # half precision is summed in single
        return np.mean(a, axis, *rest, **kwargs)
    return np.add.reduce(a, axis) / a.dtype.type(reduced_size(a.shape, axis))


def _taken_in(shape: tuple[int, ...], dtype: Any, axis: Any, where: Any) -> Any:
    """How many elements of `shape` each result took in: a Python number, or an array of `dtype` with reduced axes of size 1."""
    if everywhere(where):
        return reduced_size(shape, axis)
    # An integer array would promote float32.
    return np.sum(np.broadcast_to(where, shape), axis=axis, keepdims=True, dtype=dtype)


def reduction_calls(a: Arrays) -> list[Call]:
    """What every reduction is tried on."""
    return [
        call(a(2, 3)),
        call(a(2, 3), axis=0),
        call(a(2, 3), axis=-1, keepdims=True),
        call(a(2, 3, 2), axis=(0, -1)),
        call(a(2, 3), axis=()),
        call(a(2, 3), keepdims=True),
        call(a(2, 1), 1),
        call(a()),
        call(a(2, 3).T, axis=0),
    ]


def where_calls(a: Arrays, **initial: Any) -> list[Call]:
    """Calls that leave elements out."""
    mask = np.array([[True, False, True], [True, True, False]])
    return [
        call(a(2, 3), where=mask, **initial),
        call(a(2, 3), axis=1, where=mask[0, ::-1], **initial),
        call(a(2, 3), axis=0, keepdims=True, where=mask, **initial),
    ]


def _with_empty(a: Arrays) -> list[Call]:
    return [call(a(0, 3), axis=0), call(a(0, 3), axis=1)]


# --- sums and means ------------------------------------------------------------------------------------------------------------

defvjp(
    np.sum,
    # Whether keepdims was given shows in g. Rules that keep two values at most are the sweep's quick ones.
    a=lambda g, like, axis, where: spread(g, like.shape, axis, where),
    # The sweep sums a gradient down to its argument's shape, here that of a number.
    initial=lambda g: g,
    inert=("dtype", "keepdims"),
    structural=True,
    linear=True,
    quick=_reducing(np.sum, np.add),
    samples=lambda a: reduction_calls(a) + where_calls(a, initial=a()) + _with_empty(a) + [call(a(2, 3), dtype=np.float64, initial=a())],
)


def mean_rule(g: Any, like: Any, axis: Any, where: Any) -> Any:
    """The gradient's share of each element that was averaged."""
    count = _taken_in(like.shape, g.dtype, axis, where)
    return spread(keep_reduced_axes(g, axis, False, like.ndim) / count, like.shape, axis, where)


defvjp(
    np.mean,
    a=mean_rule,
    inert=("dtype", "keepdims"),
    structural=True,
    linear=True,
    quick=_quick_mean,
    samples=lambda a: reduction_calls(a) + where_calls(a) + [call(a.complex(2, 3), axis=1, dtype=np.complex128)],
)

# --- variances -----------------------------------------------------------------------------------------------------------------


def variance_rule(g: Any, a: Any, axis: Any, ddof: Any, keepdims: Any, where: Any, mean: Any, correction: Any) -> Any:
    """2 (a - mean) / (n - ddof). What a moves the mean by adds nothing: deviations from the mean sum to 0."""
    count = _taken_in(a.shape, g.dtype, axis, where) - (ddof if correction is _NoValue else correction)
    weight = 2 * keep_reduced_axes(g, axis, keepdims, a.ndim) / count
    if mean is _NoValue:
        mean = np.mean(a, axis=axis, keepdims=True, where=where) if not everywhere(where) else np.mean(a, axis=axis, keepdims=True)
    product = weight * (a - mean)
    return product if everywhere(where) else np.where(where, product, 0.0)


def deviation_rule(g: Any, out: Any, a: Any, axis: Any, ddof: Any, keepdims: Any, where: Any, mean: Any, correction: Any) -> Any:
    """The variance's rule by the chain rule of the square root; 0 where the deviation is 0, with the derivative told in lengths.py."""

    def of_variance(weight: Any) -> Any:
        return variance_rule(weight, a, axis, ddof, keepdims, where, mean, correction)

    result = of_variance(np.where(out == 0, 0.0, 0.5 * g / out))
    slope = limit(g, out)
    if slope is None:
        return result
    factor = keep_reduced_axes(slope, axis, keepdims, a.ndim)
    if mean is _NoValue:
        # The deviation of one element from its mean is 0 whatever it is.
        factor = np.where(np.equal(_taken_in(a.shape, out.dtype, axis, where), 1), 0.0, factor)
    return result + proportional(factor, of_variance(np.full_like(plain(out), 0.5)))


def _variances(a: Arrays) -> list[Call]:
    return (
        reduction_calls(a)[:4]
        + where_calls(a)
        + [
            call(a(2, 3), axis=1, ddof=1),
            call(a(2, 3), axis=0, correction=1, keepdims=True),
            call(a(2, 3), axis=1, mean=a(2, 1)),
            call(a.complex(2, 3), axis=1),
        ]
    )


# A mean that is given (mean=) is an argument like any other: both partial derivatives are right also where it is no mean.
defvjp(np.var, a=variance_rule, inert=("dtype",), samples=_variances)
defvjp(np.var, mean=lambda g, a, axis, ddof, keepdims, where, mean, correction: -variance_rule(g, a, axis, ddof, keepdims, where, mean, correction))
LENGTHS.add(np.std)
defvjp(np.std, a=deviation_rule, inert=("dtype",), samples=_variances)
defvjp(
    np.std,
    mean=lambda g, out, a, axis, ddof, keepdims, where, mean, correction: -deviation_rule(g, out, a, axis, ddof, keepdims, where, mean, correction),
)

# --- largest and smallest --------------------------------------------------------------------------------------------------------


def _shares(g: Any, out: Any, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any, nan_wins: bool) -> tuple[Any, Any, Any]:
    """Which elements equal the result, each one's share of the gradient, and the result; with reduced axes of size 1."""
    out = keep_reduced_axes(out, axis, keepdims, a.ndim)
    mask = (a == out) | (a != a) if nan_wins else a == out
    if not everywhere(where):
        mask = mask & where
    # In g's dtype: an integer count would promote float32.
    count = mask.sum(axis=axis, keepdims=True, dtype=g.dtype)
    return mask, keep_reduced_axes(g, axis, keepdims, a.ndim) / (count if initial is _NoValue else count + (initial == out)), out


def extreme_rules(nan_wins: bool) -> dict[str, Any]:
    """Elements equal to the result share its gradient, with `initial` if that is equal too. A nan result came from nans."""

    def rule(g: Any, out: Any, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any) -> Any:
        mask, share, _ = _shares(g, out, a, axis, keepdims, initial, where, nan_wins)
        return np.where(mask, share, 0.0)

    def initial_rule(g: Any, out: Any, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any) -> Any:
        _, share, kept = _shares(g, out, a, axis, keepdims, initial, where, nan_wins)
        return np.where(initial == kept, share, 0.0)

    return {"a": rule, "initial": initial_rule}


for _extreme, _ufunc in ((np.max, np.maximum), (np.amax, np.maximum), (np.min, np.minimum), (np.amin, np.minimum)):
    _quick = _reducing(_extreme, _ufunc)
    defvjp(_extreme, **extreme_rules(nan_wins=True), selects=True, quick=_quick, samples=lambda a: reduction_calls(a) + where_calls(a, initial=a()))


@composed(np.ptp, samples=lambda a: reduction_calls(a)[:5])
def ptp(a: Any, axis: Any = None, out: None = None, keepdims: Any = False) -> Any:
    """Largest minus smallest."""
    return np.max(a, axis=axis, out=out, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


# --- products --------------------------------------------------------------------------------------------------------------------


def _others(a: Any, axis: Any) -> Any:
    """For each element the product of all others along `axis`, with no division: those before times those after it.

    Linear in the size, and a polynomial like the product itself, so that zeros are right at every order of derivative.
    """
    rows = as_rows(a, axis)
    ones = np.ones_like(rows[..., :1])
    before = np.concatenate([ones, np.cumprod(rows[..., :-1], axis=-1)], axis=-1)
    after = np.concatenate([np.cumprod(rows[..., :0:-1], axis=-1)[..., ::-1], ones], axis=-1)
    return from_rows(before * after, axis, a.shape)


def product_rule(g: Any, out: Any, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any) -> Any:
    """The gradient times the product of all other elements."""
    if a.size == 0:
        return np.zeros_like(a)
    if a.dtype != out.dtype:  # dtype= was given: NumPy multiplied in that
        a = a.astype(out.dtype)
    g = keep_reduced_axes(g, axis, keepdims, a.ndim)
    factors = a if everywhere(where) else np.where(where, a, 1.0)
    if _divisible(out):
        others = keep_reduced_axes(out, axis, keepdims, a.ndim) / factors
    else:
        others = _others(factors, axis)
        others = others if initial is _NoValue else others * initial
    product = g * others.conjugate()
    return product if everywhere(where) else np.where(where, product, 0.0)


def _divisible(out: Any) -> bool:
    """Whether no product is zero, infinite, or so small that it lost digits: then dividing by a factor takes it out again."""
    return for_all(np.isfinite(out)) and for_all(np.isfinite(1 / out))


def product_initial_rule(g: Any, a: Any, axis: Any, keepdims: Any, where: Any) -> Any:
    """The derivative of a product with respect to its first factor is the product of the rest."""
    factors = a if everywhere(where) else np.where(where, a, 1.0)
    return g * np.prod(factors, axis=axis, keepdims=False if keepdims is _NoValue else keepdims).conjugate()


def zero_calls(a: Arrays) -> list[Call]:
    one, two = a(2, 3), a(2, 3)
    one[0, 1] = two[0, 0] = two[0, 2] = two[1, 1] = 0
    return [call(one, axis=1), call(one), call(two, axis=1), call(two, axis=(1, 0)), call(two, axis=0)]


defvjp(
    np.prod,
    a=product_rule,
    initial=product_initial_rule,
    inert=("dtype",),
    samples=lambda a: reduction_calls(a) + where_calls(a, initial=a()) + zero_calls(a) + _with_empty(a) + [call(a.complex(2, 3), axis=0)],
)

# --- running totals ----------------------------------------------------------------------------------------------------------------


def running_from_the_end(g: Any, axis: int) -> Any:
    """Element i of the result is the sum of elements i, i + 1, ... along `axis`."""
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis)


def running_calls(a: Arrays) -> list[Call]:
    """What every running total is tried on."""
    return [call(a(2, 3)), call(a(2, 3), axis=0), call(a(2, 3, 2), -2), call(a(4)), call(a()), call(a(0)), call(a(2, 1), axis=1)]


defvjp(
    np.cumsum,
    a=lambda g, like, axis: running_from_the_end(g, 0).reshape(like.shape) if axis is None else running_from_the_end(g, axis),
    inert=("dtype",),
    linear=True,
    samples=lambda a: [*running_calls(a), call(a(2, 3), axis=1, dtype=np.float64)],
)


def _recur(a: Any, b: Any) -> Any:
    """Solve y[0] = b[0], y[i] = a[i] y[i - 1] + b[i] along the first axis, in linear time without a loop over elements.

    Two steps make one of the same form, so the odd elements are a recurrence of half the length; the even ones follow.
    """
    if len(b) < 2:
        return b.copy()
    y = np.empty_like(b)
    y[1::2] = odd = _recur(a[1::2] * a[:-1:2], a[1::2] * b[:-1:2] + b[1::2])
    y[0] = b[0]
    y[2::2] = a[2::2] * odd[: len(a[2::2])] + b[2::2]
    return y


@op
def running_recurrence(a: Any, b: Any, axis: int) -> Any:
    """Solve y[0] = b[0], y[i] = a[i] y[i - 1] + b[i] along `axis`; a, b and y have one shape, a[0] is not used."""
    return np.moveaxis(_recur(np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)), 0, axis)


def _moved(x: Any, axis: int, by: int) -> Any:
    """`x` moved `by` places up along `axis`, with a zero at the end that came free."""
    first = (slice(None),) * (axis % x.ndim)
    zero = np.zeros_like(x[(*first, slice(0, 1))])
    parts = [zero, x[(*first, slice(0, -1))]] if by == 1 else [x[(*first, slice(1, None))], zero]
    return np.concatenate(parts, axis=axis)


def _recurrence_adjoint(g: Any, a: Any, axis: int) -> Any:
    """The recurrence run from the end: z[i] = g[i] + a[i + 1] z[i + 1]."""
    return np.flip(running_recurrence(np.flip(_moved(a, axis, -1), axis).conjugate(), np.flip(g, axis), axis), axis)


defvjp(
    running_recurrence,
    a=lambda g, out, a, axis: _recurrence_adjoint(g, a, axis) * _moved(out, axis, 1).conjugate(),
    b=lambda g, a, axis: _recurrence_adjoint(g, a, axis),
    samples=lambda a: [call(a(n, 2), a(n, 2), 0) for n in (1, 2, 5, 8)] + [call(a.complex(2, 3), a.complex(2, 3), -1)],
)


def cumprod_rule(g: Any, out: Any, a: Any, axis: Any) -> Any:
    """The product before an element times the sum, over the later results, of g times the factors between.

    That sum is a recurrence, linear in the size, and exact for zeros at every order of derivative as it needs no division.
    Where division is possible, a plain running sum does the same three times as quickly.
    """
    if a.size == 0:
        return g.reshape(a.shape)
    if a.dtype != out.dtype:  # dtype= was given: NumPy multiplied in that
        a = a.astype(out.dtype)
    factors, axis = (a.reshape((-1,)), 0) if axis is None else (a, axis)
    if _divisible(out):
        return (running_from_the_end(g * out.conjugate(), axis) / factors.conjugate()).reshape(a.shape)
    first = (slice(None),) * (axis % factors.ndim)
    before = np.concatenate([np.ones_like(out[(*first, slice(0, 1))]), out[(*first, slice(0, -1))]], axis=axis)
    return (before.conjugate() * _recurrence_adjoint(g, factors, axis)).reshape(a.shape)


defvjp(
    np.cumprod,
    a=cumprod_rule,
    inert=("dtype",),
    samples=lambda a: running_calls(a) + [c for c in zero_calls(a) if isinstance(c.kwargs.get("axis"), int)] + [call(a.complex(5))],
)


def _cumulative(total: Any, start: float) -> Any:
    """The array-API spelling of a running total, which can begin with the total of nothing."""

    def cumulative(x: Any, /, *, axis: Any = None, dtype: Any = None, out: None = None, include_initial: bool = False) -> Any:
        if axis is None and x.ndim > 1:
            raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
        axis = 0 if axis is None else axis
        totals = total(x, axis=axis, dtype=dtype, out=out)
        if not include_initial:
            return totals
        first = (slice(None),) * (axis % x.ndim)
        return np.concatenate([np.full_like(totals[(*first, slice(0, 1))], start), totals], axis=axis)

    return cumulative


def _cumulative_samples(a: Arrays) -> list[Call]:
    return [call(a(4)), call(a(2, 3), axis=-1, include_initial=True), call(a(2, 3), axis=0), call(a(3), dtype=np.float64)]


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    composed(np.cumulative_sum, samples=_cumulative_samples)(_cumulative(np.cumsum, 0))
    composed(np.cumulative_prod, samples=_cumulative_samples)(_cumulative(np.cumprod, 1))
