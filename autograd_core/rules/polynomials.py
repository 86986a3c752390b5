"""Polynomials in NumPy's first interface, coefficients from the highest power down: polyval, polyfit, roots and their like."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from autograd_core.arrays.layers import for_all, for_any
from autograd_core.arrays.shapes import unbroadcast
from autograd_core.define.door import composed, defvjp
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.matrices import arrayed
from autograd_core.tensor.handles import Handle, plain, untracked

# --- evaluation --------------------------------------------------------------------------------------------------------------


def _falling(count: int, like: Any) -> Any:
    """The powers count, count - 1, ..., 1 in like's dtype, as a column that multiplies its rows."""
    return np.arange(count, 0, -1).astype(like.dtype).reshape((count,) + (1,) * (like.ndim - 1))


def _slope(p: Any, x: Any) -> Any:
    """The derivative of the polynomial `p` at `x`. Not np.polyder: its integers would promote float32."""
    p = arrayed(p)
    return np.polyval(p[:-1] * _falling(len(p) - 1, p), x)


def _powers(x: Any, count: int) -> Any:
    """The columns x^(count - 1), ..., x, 1, in x's dtype: np.vander itself promotes float32."""
    return np.vander(x, count).astype(x.dtype)


def _polyval_p(g: Any, like: Any, x: Any) -> Any:
    """The coefficient of x^k gets the sum of g x^k."""
    n = like.shape[0]
    x = arrayed(x)
    powers = _powers(x.reshape((-1,)), n).conjugate()
    if like.ndim == 1:
        return powers.T @ g.reshape((-1,))
    return np.stack([unbroadcast(g * powers[:, k].reshape(x.shape), like.shape[1:]) for k in range(n)])


defvjp(
    np.polyval,
    p=_polyval_p,
    x=lambda g, p, x: g * _slope(p, x).conjugate(),
    samples=lambda a: [
        *[call(a(3), a(2)), call(a(3), a(2, 2)), call(a(1), a(2)), call(a(4), a()), call(a(2), a(0)), call(np.zeros(0), a(2))],
        *[call(a(3, 2), a(2)), call(a.complex(3), a.complex(2)), call(a(3), a.complex(2))],
    ],
)


def _vander(g: Any, out: Any, x: Any) -> Any:
    """A column x^k has the slope k x^(k-1), which is the column beside it times k."""
    n = out.shape[-1]
    if n < 2:
        return 0 * x
    lower = np.vander(x, n - 1).conjugate()
    return (g * lower * np.arange(n - 1, 0, -1).astype(x.dtype)).sum(axis=1)


defvjp(
    np.vander,
    x=lambda g, out, x, increasing: _vander(g[:, :0:-1] if increasing else g[:, :-1], out, x),
    inert=("N",),
    samples=lambda a: [
        *[call(a(3)), call(a(3), 4), call(a(2), N=3, increasing=True), call(a(2), 1), call(a(2), 0), call(a(0), 2), call(a(1))],
        call(a.complex(2), 3),
    ],
)

# --- roots -------------------------------------------------------------------------------------------------------------------


def _roots(g: Any, out: Any, p: Any) -> Any:
    """A simple root r moves by -r^k / p'(r) with the coefficient of x^k; the slope at a multiple root is infinite."""
    return -(_powers(out, p.shape[0]).conjugate().T @ (g / _slope(p, out).conjugate()))


defvjp(
    np.roots,
    p=_roots,
    samples=lambda a: [
        *[call(np.array([1.0, -6.0, 11.0, -6.2])), call(np.array([2.0, 1.0, 3.0])), call(np.array([1.0, 2.0])), call(a.complex(3))],
        call(np.array([1.0, -0.5, -2.0, 1.3, 0.4])),
    ],
)


def _factor(a: Any, zero: Any) -> Any:
    """The polynomial `a` times (x - zero)."""
    nothing = np.zeros(1, a.dtype)
    return np.concatenate((a, nothing)) - np.concatenate((nothing, a)) * zero


@composed(
    np.poly,
    samples=lambda a: [call(a(3)), call(a.square(2)), call(a.square(3)), call(a(0)), call(a.complex(2)), call(np.array([1 + 2j, 1 - 2j, 3.0]))],
)
def _poly(seq_of_zeros: Any) -> Any:
    zeros = np.atleast_1d(seq_of_zeros)
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1] and zeros.shape[0]:
        zeros = np.linalg.eigvals(zeros)
    elif zeros.ndim != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    if not len(zeros):
        return 1.0
    zeros = zeros.astype(np.mintypecode(zeros.dtype.char))
    result: Any = np.ones(1, zeros.dtype)
    for i in range(len(zeros)):
        result = _factor(result, zeros[i])
    values = np.sort(plain(zeros))
    if result.dtype.kind == "c" and for_all(values == np.sort(values.conj())):
        return np.real(result)  # the roots come in conjugate pairs
    return result


# --- arithmetic of coefficients --------------------------------------------------------------------------------------------------


def _aligned(a1: Any, a2: Any) -> tuple[Any, Any]:
    """Both with as many coefficients, zeros before the shorter one's."""
    a1, a2 = np.atleast_1d(a1), np.atleast_1d(a2)
    missing = len(a2) - len(a1)
    if missing > 0:
        a1 = np.concatenate((np.zeros(missing, a1.dtype), a1))
    elif missing < 0:
        a2 = np.concatenate((np.zeros(-missing, a2.dtype), a2))
    return a1, a2


def _pair_samples(a: Arrays) -> list[Call]:
    return [call(a(3), a(2)), call(a(2), a(3)), call(a(2), a(2)), call(a(), a(3)), call(a(1), a(1)), call(a.complex(2), a(3))]


@composed(np.polyadd, samples=_pair_samples)
def _polyadd(a1: Any, a2: Any) -> Any:
    a1, a2 = _aligned(a1, a2)
    return a1 + a2


@composed(np.polysub, samples=_pair_samples)
def _polysub(a1: Any, a2: Any) -> Any:
    a1, a2 = _aligned(a1, a2)
    return a1 - a2


def _without_leading_zeros(p: Any) -> Any:
    """As `np.poly1d` does; of a polynomial that is zero one coefficient is left."""
    p = np.atleast_1d(p)
    if len(p) and for_all(plain(p[0]) != 0):
        return p
    nonzero = np.flatnonzero(plain(p))
    return p[nonzero[0] :] if len(nonzero) else p[-1:]


@composed(np.polymul, samples=lambda a: [*_pair_samples(a), call(np.array([0.0, 1.0, 2.0]), a(2))])
def _polymul(a1: Any, a2: Any) -> Any:
    return np.convolve(_without_leading_zeros(a1), _without_leading_zeros(a2))


def _division_samples(a: Arrays) -> list[Call]:
    """The first coefficient of the divisor is a power of two, so that the remainder's first one vanishes in each precision."""
    short, long = np.array([2.0, 0.7]), np.array([2.0, -0.7, 0.4])
    return [call(a(5), long), call(a(3), short[:1]), call(a(2), long), call(a(3), long), call(a.complex(4), short)]


@composed(np.polydiv, samples=_division_samples)
def _polydiv(u: Any, v: Any) -> Any:
    u, v = np.atleast_1d(u) + 0.0, np.atleast_1d(v) + 0.0
    dtype = (plain(u[0]) + plain(v[0])).dtype
    steps, width = len(u) - len(v) + 1, len(v)
    scale = 1.0 / v[0]
    remainder = u.astype(dtype)
    if not isinstance(remainder, Handle):
        remainder = untracked(remainder)  # a tensor, so that tensors can be assigned into it
    quotient = untracked(np.zeros(max(steps, 1), dtype))
    for k in range(steps):
        digit = scale * remainder[k]
        quotient[k] = digit
        remainder[k : k + width] = remainder[k : k + width] - digit * v
    first = 0
    while first < len(remainder) - 1 and for_all(np.isclose(plain(remainder)[first], 0, rtol=1e-14)):
        first += 1
    return quotient, remainder[first:] if first else remainder


@composed(np.polyder, samples=lambda a: [call(a(4)), call(a(4), 2), call(a(2), m=3), call(a(3), 0), call(a(1)), call(a.complex(3))])
def _polyder(p: Any, m: int = 1) -> Any:
    if int(m) < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    for _ in range(int(m)):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@composed(np.polyint, samples=lambda a: [call(a(3)), call(a(3), 2), call(a(2), m=2, k=a(2)), call(a(2), 2, a(1)), call(a(2), 1, a()), call(a(3), 0)])
def _polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    m = int(m)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    constants = np.zeros(m) if k is None else np.atleast_1d(k)
    if len(constants) == 1 and m > 1:
        constants = constants[0] * np.ones(m)
    if len(constants) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in range(m):
        p = np.concatenate((p / np.arange(len(p), 0, -1), constants[i : i + 1]))
    return p


# --- least squares -----------------------------------------------------------------------------------------------------------


def _weighted(lhs: Any, rhs: Any, w: Any) -> tuple[Any, Any]:
    w = arrayed(w) + 0.0
    if w.ndim != 1:
        raise TypeError("expected a 1-d array for weights")
    if w.shape[0] != rhs.shape[0]:
        raise TypeError("expected w and y to have the same length")
    column = w.reshape((-1, 1))
    return lhs * column, rhs * (column if rhs.ndim == 2 else w)


def _check_data(x: Any, y: Any, deg: Any) -> None:
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if x.ndim != 1:
        raise TypeError("expected 1D vector for x")
    if x.size == 0:
        raise TypeError("expected non-empty vector for x")
    if y.ndim < 1 or y.ndim > 2:
        raise TypeError("expected 1D or 2D array for y")
    if x.shape[0] != y.shape[0]:
        raise TypeError("expected x and y to have same length")


@composed(
    np.polyfit,
    samples=lambda a: [
        *[call(a(5), a(5), 2), call(a(5), a(5, 2), 1), call(a(3), a(3), 2), call(a(4), a(4), 0), call(a(5), a(5), 1, w=a.positive(5))],
        *[call(a(5), a(5, 2), 2, w=a.positive(5)), call(a(5), a(5), 1, full=True), call(a(5), a(5), 1, cov=True), call(a(5), a(5, 2), 1, cov=True)],
        call(a(5), a(5), 1, cov="unscaled", rcond=1e-12),
    ],
)
def _polyfit(x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    order = int(deg) + 1
    x, y = arrayed(x) + 0.0, arrayed(y) + 0.0
    _check_data(x, y, deg)
    if rcond is None:
        rcond = len(x) * np.finfo(x.dtype).eps
    lhs, rhs = np.vander(x, order), y
    if w is not None:
        lhs, rhs = _weighted(lhs, rhs, w)
    scale = np.sqrt((lhs * lhs).sum(axis=0))  # to improve the condition number
    lhs = lhs / scale
    c, residuals, rank, singular = np.linalg.lstsq(lhs, rhs, rcond)
    c = (c.T / scale).T
    if for_any(rank != order) and not full:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=2)
    if full:
        return c, residuals, rank, singular, rcond
    if not cov:
        return c
    base = np.linalg.inv(lhs.T @ lhs) / np.outer(scale, scale)
    if cov == "unscaled":
        factor: Any = 1
    elif len(x) <= order:
        raise ValueError("the number of data points must exceed order to scale the covariance matrix")
    else:
        factor = residuals / (len(x) - order)
    return c, base * factor if y.ndim == 1 else base[:, :, None] * factor
