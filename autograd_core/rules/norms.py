"""Norms of vectors and matrices, and condition numbers.

A norm has a kink at zero and where its largest (or smallest) part is shared. At zero the gradient is 0, the shortest of all
subgradients, so that a zero vector poisons nothing; ties share the gradient equally, as in `np.max`. The second derivative at zero
is that of the smooth function which is made of the norm, its square for example (lengths.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.arrays.shapes import keep_reduced_axes, normalise_axes
from autograd_core.define.door import defvjp
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.lengths import LENGTHS, limit, proportional
from autograd_core.rules.matrices import adjoint, precision, times_diagonal
from autograd_core.tensor.handles import plain


def _direction(x: Any) -> Any:
    """The unit number in the direction of x: x / |x|, and 0 at 0."""
    if x.dtype.kind != "c":
        return np.sign(x)
    size = np.abs(x)
    return x / np.where(plain(size) == 0, math.inf, size)


def _shares(parts: Any, extreme: Any, axes: Any) -> Any:
    """One over the number of ties where `parts` equals its `extreme`, zero elsewhere: a plain array."""
    parts, extreme = plain(parts), plain(extreme)
    ties = (parts == extreme).astype(parts.dtype)
    return ties / ties.sum(axis=axes, keepdims=True)


def _vector_norm(g: Any, out: Any, x: Any, order: Any, axes: tuple[int, ...]) -> Any:
    """The gradient of the norm over `axes`; `g` and `out` have these axes with size 1.

    Order p: (|x| / norm)^(p-1) x / |x|. Elements that are zero get 0, also for p <= 1, where the slope is not defined.
    """
    if order is None or order == 2:
        return g * (x / np.where(plain(out) == 0, math.inf, out))
    if order == 1:
        return g * _direction(x)
    if order == 0:
        return np.zeros_like(x)
    size = np.abs(x)
    if order in (math.inf, -math.inf):
        return g * (_direction(x) * _shares(size, out, axes))
    zero = plain(size) == 0
    powers = np.where(zero, 0.0, np.where(zero, 1.0, size) ** (order - 2))
    # Of a negative order the norm is zero if one element is, and then does not change with the others: 0 ** (1 - p) is 0.
    base = out if order < 0 else np.where(plain(out) == 0, 1.0, out)
    return g * base ** (1 - order) * (x * powers)


def _vector_norm_at_zero(slope: Any, x: Any, order: Any, axes: tuple[int, ...]) -> Any:
    """What is added to the gradient where the norm is 0: its derivative there is `slope` (lengths.limit).

    The square of the Euclidean norm is smooth, and so is that of any norm whose zero depends on one element. Others have no second
    derivative at 0, unless they are multiplied away.
    """
    if order is None or order == 2:
        return proportional(slope, x)
    if order == 0:
        return np.zeros_like(x)
    zero = plain(x) == 0
    # A norm of positive order is zero with all elements, one of negative order with any of them.
    parts = math.prod(x.shape[k] for k in axes) if order > 0 else zero.sum(axis=axes, keepdims=True)
    return proportional(np.where(parts == 1, slope, _undetermined(slope)), np.where(zero, x, 0.0))


def _undetermined(slope: Any) -> Any:
    """0 where `slope` is, else nan."""
    return np.where(plain(slope) == 0, 0.0, math.nan).astype(slope.dtype)


def _singular_norm(g: Any, x: Any, order: Any) -> Any:
    """The gradient of the sum, the largest or the smallest of the singular values of (..., m, n); g : (...)."""
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    values = plain(s)
    weights = (values > 0).astype(values.dtype)  # a singular value that is zero has a kink there, as |x| has
    if order != "nuc":
        weights = weights * _shares(values, values[..., :1] if order == 2 else values[..., -1:], -1)
    return times_diagonal(u, g[..., None] * weights) @ vh


def _matrix_norm(g: Any, x: Any, order: Any) -> Any:
    """The gradient of a matrix norm over the last two axes; g : (...) without them."""
    if order in ("nuc", 2, -2):
        return _singular_norm(g, x, order)
    if order not in (1, -1, math.inf, -math.inf):
        raise ValueError("Invalid norm order for matrices.")
    summed, kept = (-2, -1) if order in (1, -1) else (-1, -2)
    sums = np.abs(plain(x)).sum(axis=summed, keepdims=True)
    extreme = (sums.max if order > 0 else sums.min)(axis=kept, keepdims=True)
    return g[..., None, None] * (_direction(x) * _shares(sums, extreme, kept))


def _matrix_norm_at_zero(slope: Any, x: Any, order: Any) -> Any:
    """The same for a matrix norm over the last two axes; slope : (...) without them.

    The square of the smallest singular value is smooth if it is the only one that is 0: it is (u^H x v)^2 then, to second order.
    """
    slope = slope[..., None, None]
    if order == -2:
        u, s, vh = np.linalg.svd(plain(x), full_matrices=False)
        noise = max(x.shape[-2:]) * precision(s.dtype)
        alone = (s <= noise * s[..., :1]).sum(axis=-1)[..., None, None] == 1
        direction = u[..., :, -1:] @ vh[..., -1:, :]
        along = (direction.conjugate() * x).sum(axis=(-2, -1), keepdims=True)
        return proportional(np.where(alone, slope, _undetermined(slope)), along) * direction
    single = x.shape[-1] * x.shape[-2] == 1
    return proportional(slope if single else _undetermined(slope), np.where(plain(x) == 0, x, 0.0))


def _flat_norm(g: Any, out: Any, x: Any, order: Any, axis: Any, keepdims: Any) -> Any:
    """`vector_norm`: over any number of axes, all of them if `axis` is None."""
    axes = normalise_axes(axis, x.ndim)
    slope = limit(g, out, single=x.dtype.kind != "c" and math.prod(x.shape[k] for k in axes) == 1)
    g, out = (keep_reduced_axes(v, axes, keepdims, x.ndim) for v in (g, out))
    result = _vector_norm(g, out, x, order, axes)
    if slope is None:
        return result
    return result + _vector_norm_at_zero(keep_reduced_axes(slope, axes, keepdims, x.ndim), x, order, axes)


def _norm(g: Any, out: Any, x: Any, order: Any, axis: Any, keepdims: Any) -> Any:
    axes = normalise_axes(axis, x.ndim)
    flattened = axis is None and order is None
    if len(axes) != 2 or flattened or order in (None, "fro", "f"):
        return _flat_norm(g, out, x, None if order in ("fro", "f") else order, axes, keepdims)
    slope = limit(g, out, single=x.dtype.kind != "c" and math.prod(x.shape[k] for k in axes) == 1)
    batch = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    matrices = np.moveaxis(x, axes, (-2, -1))
    result = _matrix_norm(g.reshape(batch), matrices, order)
    if slope is not None:
        result = result + _matrix_norm_at_zero(slope.reshape(batch), matrices, order)
    return np.moveaxis(result, (-2, -1), axes)


_VECTOR_ORDERS = (None, 2, 1, 0, 3, 2.5, 0.5, -1, math.inf, -math.inf)
_MATRIX_ORDERS = (None, "fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf)


def _norm_samples(a: Arrays) -> list[Call]:
    return [
        *[call(a(4), order) for order in _VECTOR_ORDERS],
        *[call(a(3, 2), order) for order in _MATRIX_ORDERS],
        *[call(a(2, 3, 2), order, axis=(0, 2), keepdims=True) for order in ("nuc", 2, 1, -math.inf, "fro")],
        *[call(a(2, 3), axis=0), call(a(2, 3), 1, axis=-1, keepdims=True), call(a(2, 3), math.inf, axis=1), call(a(2, 3), 3, 0), call(a(2, 3, 2))],
        *[call(a()), call(a(2, 3, 2), keepdims=True), call(a(0)), call(a(2, 3, 2), 1, axis=(2, 0)), call(a(2, 3, 2), 2, axis=(-1, 1))],
        *[call(a.complex(3), order) for order in (None, 1, 3, math.inf)],
        *[call(a.complex(3, 2), order) for order in ("fro", "nuc", 2, 1)],
    ]


LENGTHS.update((np.linalg.norm, np.linalg.vector_norm, np.linalg.matrix_norm))
defvjp(
    np.linalg.norm,
    x=lambda g, out, x, ord, axis, keepdims: _norm(g, out, x, ord, axis, keepdims),  # noqa: A006 (NumPy's name for it)
    samples=_norm_samples,
)
defvjp(
    np.linalg.vector_norm,
    x=lambda g, out, x, ord, axis, keepdims: _flat_norm(g, out, x, ord, axis, keepdims),  # noqa: A006
    samples=lambda a: [
        *[call(a(2, 3), ord=order) for order in _VECTOR_ORDERS if order is not None],
        *[call(a(2, 3), axis=0), call(a(2, 3, 2), axis=(0, -1), ord=3), call(a(2, 3), axis=1, keepdims=True), call(a(2, 3), keepdims=True, ord=1)],
        *[call(a()), call(a(0)), call(a.complex(2, 2), ord=3)],
    ],
)
defvjp(
    np.linalg.matrix_norm,
    x=lambda g, out, x, ord, keepdims: _norm(g, out, x, ord, (-2, -1), keepdims),  # noqa: A006
    samples=lambda a: [
        *[call(a(3, 2), ord=order) for order in _MATRIX_ORDERS if order is not None],
        *[call(a(2, 3, 2)), call(a(2, 2, 3), ord="nuc", keepdims=True), call(a(2, 3, 2), keepdims=True), call(a.complex(3, 2), ord=2)],
    ],
)


def _inverse(x: Any) -> Any:
    """The inverse, or nan where there is none: the condition number of a singular matrix is infinite, and has no derivative."""
    try:
        return np.linalg.inv(x)
    except np.linalg.LinAlgError:
        return x * math.nan


def _cond(g: Any, x: Any, p: Any) -> Any:
    if g.dtype.kind == "c":
        g = np.real(g)  # older NumPy gives the condition number of a complex matrix as a complex number
    if p in (None, 2, -2):
        u, s, vh = np.linalg.svd(x, full_matrices=False)
        first, last = (np.arange(s.shape[-1]) == i for i in ((0, s.shape[-1] - 1) if p != -2 else (s.shape[-1] - 1, 0)))
        above, below = (np.where(which, s, 0.0).sum(axis=-1)[..., None] for which in (first, last))
        slopes = np.where(first, 1 / below, 0.0) - np.where(last, above / (below * below), 0.0)
        return times_diagonal(u, g[..., None] * slopes) @ vh
    inverse = _inverse(x)
    norm, inverse_norm = (np.linalg.norm(m, p, axis=(-2, -1)) for m in (x, inverse))
    of_inverse = adjoint(inverse) @ _norm(g * norm, inverse_norm, inverse, p, (-2, -1), False) @ adjoint(inverse)
    return _norm(g * inverse_norm, norm, x, p, (-2, -1), False) - of_inverse


defvjp(
    np.linalg.cond,
    x=_cond,
    samples=lambda a: [
        *[call(a.square(2), p) for p in _MATRIX_ORDERS],
        *[call(a(3, 2)), call(a(2, 3), -2), call(a.square(2, 2)), call(a.square(2, 2), 1), call(a.complex(2, 2), "fro")],
    ],
)
