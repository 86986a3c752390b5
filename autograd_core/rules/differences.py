"""Differences, integrals, interpolation and convolution along an axis.

The adjoint of a difference is the negative difference of the gradient with zeros around it; that of a convolution is a
correlation. The others are written with functions that have rules.

At knots, `interp` has the slope of the interval to the right, at the last knot of the one to the left. `unwrap` has slope 1
everywhere: what it adds is constant between jumps of its argument.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.arrays.shapes import normalise_axes
from autograd_core.define.door import composed, defvjp, op
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.shapes import array_of
from autograd_core.tensor.handles import plain

__all__ = ["along", "differences"]


def along(axis: int, ndim: int, part: Any) -> tuple[Any, ...]:
    """The index that takes `part` along `axis` and everything else."""
    return (*(slice(None),) * (axis % ndim), part)


# --- differences -----------------------------------------------------------------------------------------------------------------


def _difference_rule(g: Any, like: Any, n: int, axis: int) -> Any:
    """(-1)^n times the n-th difference of g with n zeros on both sides."""
    if g.shape[axis] == 0:
        return np.zeros_like(g, shape=like.shape)
    shape = tuple(n if k == axis % like.ndim else m for k, m in enumerate(g.shape))
    zeros = np.zeros_like(g, shape=shape)
    result = differences(np.concatenate([zeros, g, zeros], axis=axis), n, axis)
    return -result if n % 2 else result


@op(a=_difference_rule, linear=True, samples=lambda a: [call(a(2, 4), 1, -1), call(a(4, 2), 2, 0), call(a(3), 3, 0), call(a(3), 5, 0)])
def differences(a: Any, n: int, axis: int) -> Any:
    """np.diff without its `prepend` and `append`."""
    return np.diff(a, n, axis)


@composed(
    np.diff,
    samples=lambda a: [
        call(a(4)),
        call(a(2, 3), axis=0),
        call(a(2, 4), n=2),
        call(a(2, 3), n=0),
        call(a(2, 3), prepend=a(), append=a(2, 2)),
        call(a(3), 2, -1, a(1)),
        call(a(1)),
        call(a.complex(3)),
    ],
)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    """Differences of neighbours, `n` times; `prepend` and `append` extend the array first."""
    if n == 0:
        return a
    ends = [np._NoValue if end is np._NoValue else array_of(end) for end in (prepend, append)]
    a = array_of(a)
    if a.ndim:
        shape = tuple(1 if k == axis % a.ndim else m for k, m in enumerate(a.shape))
        ends = [np.broadcast_to(end, shape) if end is not np._NoValue and end.ndim == 0 else end for end in ends]
    parts = [part for part in (ends[0], a, ends[1]) if part is not np._NoValue]
    return differences(a if len(parts) == 1 else np.concatenate(parts, axis), n, axis)


@composed(
    np.ediff1d,
    samples=lambda a: [call(a(4)), call(a(2, 3), to_end=a(2), to_begin=a()), call(a(3), a()), call(a(1)), call(a.complex(3), None, a.complex())],
)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours in the flat array, between `to_begin` and `to_end`."""
    flat = np.ravel(array_of(ary))
    parts = [None if end is None else np.ravel(array_of(end)) for end in (to_begin, to_end)]
    for name, end in zip(("to_begin", "to_end"), parts, strict=True):
        if end is not None and not np.can_cast(end.dtype, flat.dtype, casting="same_kind"):
            raise TypeError(f"dtype of `{name}` must be compatible with input `ary` under the `same_kind` rule.")
    parts.insert(1, differences(flat, 1, 0))
    return np.concatenate([part.astype(flat.dtype) for part in parts if part is not None])


# --- slopes and integrals ----------------------------------------------------------------------------------------------------------


def _slope(f: Any, spacing: Any, axis: int, edge_order: int) -> Any:
    """Central differences inside and one-sided ones at the ends; `spacing` is a number, or the steps between the places."""

    def at(start: int, stop: int | None) -> Any:
        return f[along(axis, f.ndim, slice(start, stop))]

    if np.ndim(spacing) == 0:
        inside = (at(2, None) - at(0, -2)) / (2.0 * spacing)
        first = last = before = beyond = spacing
    else:
        shape = (-1,) + (1,) * (f.ndim - axis - 1)
        left, right = spacing[:-1].reshape(shape), spacing[1:].reshape(shape)
        a, c = -right / (left * (left + right)), left / (right * (left + right))
        inside = a * at(0, -2) + (right - left) / (left * right) * at(1, -1) + c * at(2, None)
        first, last = spacing[0], spacing[-1]
        before, beyond = (spacing[1], spacing[-2]) if edge_order == 2 else (first, last)
    if edge_order == 1:
        start, end = (at(1, 2) - at(0, 1)) / first, (at(-1, None) - at(-2, -1)) / last
    else:
        start = _parabola_slope(at(0, 1), at(1, 2), at(2, 3), first, before)
        end = -_parabola_slope(at(-1, None), at(-2, -1), at(-3, -2), last, beyond)
    return np.concatenate([start, inside, end], axis=axis)


def _parabola_slope(f0: Any, f1: Any, f2: Any, h1: Any, h2: Any) -> Any:
    """The slope at the first of three places with steps h1 and h2 between them."""
    return -(2 * h1 + h2) / (h1 * (h1 + h2)) * f0 + (h1 + h2) / (h1 * h2) * f1 - h1 / (h2 * (h1 + h2)) * f2


@composed(
    np.gradient,
    samples=lambda a: [
        call(a(5)),
        call(a(3, 4)),
        call(a(5), a.positive()),
        call(a(4), np.cumsum(a.positive(4))),
        call(a(3, 4), a(), np.cumsum(a.positive(4)), edge_order=2),
        call(a(3, 4), 2.0, axis=-1),
        call(a(3, 3, 2), axis=(0, 2)),
        call(a(4), 0.5, edge_order=2),
        call(a.complex(3)),
    ],
)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """The slope along each axis; steps, or the places themselves, may be tensors too."""
    f = array_of(f)
    axes = normalise_axes(axis, f.ndim)
    # Numbers stay Python's own: as arrays they would promote float32.
    steps = [step if isinstance(step, int | float) else array_of(step) for step in varargs] or [1.0]
    steps = steps * len(axes) if len(steps) == 1 and np.ndim(steps[0]) == 0 else steps
    if len(steps) != len(axes):
        raise TypeError("invalid number of arguments")
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    slopes = []
    for k, step in zip(axes, steps, strict=True):
        if np.ndim(step) > 1 or (np.ndim(step) == 1 and np.shape(step) != f.shape[k : k + 1]):
            raise ValueError("when 1d, distances must match the length of the corresponding dimension")
        if f.shape[k] < edge_order + 1:
            raise ValueError("Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements are required.")
        slopes.append(_slope(f, differences(step, 1, 0) if np.ndim(step) else step, k, edge_order))
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


@composed(
    np.trapezoid,
    samples=lambda a: [
        call(a(4)),
        call(a(2, 4), dx=a()),
        call(a(2, 4), np.cumsum(a.positive(4))),
        call(a(4, 2), a(4, 2), axis=0),
        call(a(3, 2), a(3), 1.0, 0),
        call(a.complex(3), a(3)),
    ],
)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral of `y` by the trapezoidal rule."""
    y = array_of(y)
    if x is None:
        widths = dx
    else:
        x = array_of(x)
        widths = differences(x, 1, 0 if x.ndim == 1 else axis)
        if x.ndim == 1:
            widths = widths.reshape((-1,) + (1,) * (y.ndim - axis % y.ndim - 1))
    return np.sum(widths * (y[along(axis, y.ndim, slice(1, None))] + y[along(axis, y.ndim, slice(None, -1))]) / 2.0, axis=axis)


defvjp(
    np.unwrap,
    p=lambda g: g,
    inert=("discont", "axis", "period"),
    structural=True,
    samples=lambda a: [call(4 * a(5)), call(4 * a(2, 4), axis=0), call(9 * a(5), period=3.0), call(a(4), 1.0)],
)

# --- interpolation -------------------------------------------------------------------------------------------------------------------


def _one_period(x: Any, xp: Any, fp: Any, period: Any) -> tuple[Any, Any, Any]:
    """Everything folded into one period, the places in order and one more at both ends."""
    period = abs(period)
    x, xp = x % period, xp % period
    order = np.argsort(xp)
    xp, fp = xp[order], fp[order]
    return x, np.concatenate([xp[-1:] - period, xp, xp[:1] + period]), np.concatenate([fp[-1:], fp, fp[:1]])


@composed(
    np.interp,
    samples=lambda a: [
        call(a(5), np.sort(a(4)), a(4)),
        call(a(2, 3, low=-4, high=4), np.sort(a(4)), a(4), left=a(), right=a()),
        call(a(), np.sort(a(4)), a(4), 0.0),
        call(a(6, low=-7, high=7), a(4), a(4), period=3.0),
        call(a(3), np.sort(a(3)), a.complex(3)),
        call(a(3), a(1), a(1)),
        call(a(0), np.sort(a(3)), a(3)),
    ],
)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """The value at `x` of the straight lines through (xp, fp); `left` and `right` of the ends, which are fp's by default."""
    x, xp, fp = array_of(x), array_of(xp), array_of(fp)
    # NumPy computes this in double precision, whatever it is given.
    x, xp, fp = x.astype(np.float64), xp.astype(np.float64), fp.astype(np.complex128 if fp.dtype.kind == "c" else np.float64)
    if period is not None:
        if period == 0:
            raise ValueError("period must be a non-zero value")
        x, xp, fp = _one_period(x, xp, fp, period)
        left = right = None
    if xp.ndim != 1 or fp.ndim != 1 or xp.shape != fp.shape or not xp.size:
        raise ValueError("fp and xp are not of the same length, or empty, or not one-dimensional")
    left, right = fp[0] if left is None else left, fp[-1] if right is None else right
    if xp.size == 1:
        return np.where(x < xp, left, np.where(x > xp, right, fp))
    k = np.clip(np.searchsorted(plain(xp), plain(x), side="right") - 1, 0, xp.size - 2)
    slopes = differences(fp, 1, 0) / differences(xp, 1, 0)
    inside = slopes[k] * (x - xp[k]) + fp[k]
    return np.where(x < xp[0], left, np.where(x > xp[-1], right, inside))


# --- convolution -----------------------------------------------------------------------------------------------------------------------


def _mode(mode: Any) -> str:
    """The first letter of NumPy's mode: full, same or valid."""
    return "vsf"[mode] if isinstance(mode, int) else mode[0]


def _convolution_gradient(g: Any, other: Any, size: int, mode: Any, start: int) -> Any:
    """The gradient for the operand of `size`, where `g` belongs to elements from `start` on of the full convolution.

    Of two costs that are equal in "full", "valid" needs the small one: the number of its results times the shorter operand.
    """
    if _mode(mode) == "v":
        if size >= other.size:
            return np.convolve(g, other[::-1].conjugate())
        return np.correlate(other, g, "valid")[::-1].conjugate()
    missing = size + other.size - 1 - start - g.size
    if start or missing:
        g = np.concatenate([np.zeros_like(g, shape=(start,)), g, np.zeros_like(g, shape=(missing,))])
    return np.correlate(g, other, "valid")


def _convolve_rule(g: Any, like: Any, other: Any, mode: Any) -> Any:
    shorter = min(like.size, other.size)
    start = {"f": 0, "s": (shorter - 1) // 2, "v": shorter - 1}[_mode(mode)]
    return _convolution_gradient(g, other.reshape(-1), like.size, mode, start)


def _correlate_start(n: int, m: int, mode: Any) -> int:
    """Where NumPy's correlation of n with m elements begins in the full one; it swaps a shorter first operand, and rounds differently then."""
    return {"f": 0, "s": (m - 1) // 2 if n >= m else n // 2, "v": min(n, m) - 1}[_mode(mode)]


def _correlate_rule_a(g: Any, like: Any, v: Any, mode: Any) -> Any:
    """correlate(a, v) is the convolution of a with v reversed and conjugated."""
    return _convolution_gradient(g, v.reshape(-1)[::-1].conjugate(), like.size, mode, _correlate_start(like.size, v.size, mode))


def _correlate_rule_v(g: Any, like: Any, a: Any, mode: Any) -> Any:
    return _convolution_gradient(g, a.reshape(-1), like.size, mode, _correlate_start(a.size, like.size, mode))[::-1].conjugate()


def _convolutions(a: Arrays) -> list[Call]:
    lengths = [(5, 3), (3, 5), (4, 4), (2, 5), (6, 2), (1, 3), (3, 1), (4, 6)]
    calls = [call(a(n), a(m), mode) for n, m in lengths for mode in ("full", "same", "valid")]
    return [*calls, call(a.complex(4), a.complex(3), "same"), call(a(3), a.complex(3), "full"), call(a(3), a(2), 1)]


defvjp(
    np.convolve,
    a=lambda g, like, v, mode: _convolve_rule(g, like, v, mode),
    v=lambda g, like, a, mode: _convolve_rule(g, like, a, mode),
    signature="a, v, mode='full'",
    linear=True,
    samples=lambda a: [*_convolutions(a), call(a(3), a())],
)
defvjp(np.correlate, a=_correlate_rule_a, v=_correlate_rule_v, signature="a, v, mode='valid'", linear=True, samples=_convolutions)
