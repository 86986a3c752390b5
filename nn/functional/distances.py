"""Distances and directions of vectors: norms of differences, cosines, vectors scaled to length 1.

The zero vector has no direction. It is given none: its unit vector, its cosine and their gradients are 0, where torch divides
by a small eps and gives gradients of 1e8 or 1e12.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.arguments import as_array, axis_or_dim

__all__ = ["at_least", "cdist", "cosine_similarity", "normalize", "pairwise_distance", "pdist"]


# The gradient passes where the value was raised too, as through torch's clamp without gradient.
@ag.op(
    batches=True,
    name="at_least",
    x=lambda g: g,
    inert=("low",),
    elementwise=True,
    real_only=True,
    samples=lambda a: [ag.call(a.positive(*shape), 1e-6).only("below `low` the gradient passes straight through") for shape in [(2, 3), (), (0, 3)]],
)
def at_least(x: Any, low: float) -> Any:
    """max(x, low), whose gradient passes straight through."""
    return np.maximum(x, low)


def _norm(x: Any, p: float, axis: Any, keepdims: bool) -> Any:
    """The p-norm along `axis`, whose gradient is 0 at the zero vector."""
    if p == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=keepdims)  # which has second derivatives at 0 too
    return np.linalg.vector_norm(x, ord=float(p), axis=axis, keepdims=keepdims)


def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: None = None, *, axis: Any = None) -> Any:
    """Vectors of length 1: input / max(norm_p(input), eps) along an axis, 1 by default; the zero vector stays, with gradient 0.

    dim, axis  the axis, or several
    out        not taken: results are new arrays

    >>> import numpy as np
    >>> normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    input = as_array(input)
    if out is not None:
        raise TypeError("normalize: out= is not taken, as an array of the tape is not written over; write y = normalize(x)")
    length = _norm(input, p, axis_or_dim("normalize", axis, dim, 1), keepdims=True)
    return input / np.where(length == 0, math.inf, np.where(length >= eps, length, eps))


def _direction(x: Any, axis: int, eps: float) -> Any:
    """X / max(|x|, eps), and 0 for the zero vector: over infinity it is 0, and so is its gradient."""
    length = _norm(x, 2.0, axis, keepdims=True)
    return x / np.where(length == 0, math.inf, at_least(length, eps))


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8, *, axis: Any = None) -> Any:
    """The cosine of the angle between vectors, x1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along an axis, 1 by default.

    x1, x2   of shapes that broadcast
    returns  their common shape without the axis; 0, with gradient 0, where one of them is the zero vector

    >>> import numpy as np
    >>> cosine_similarity(np.array([[1.0, 0.0]]), np.array([[3.0, 4.0]]))
    array([0.6])
    """
    x1, x2 = as_array(x1), as_array(x2)
    axis = axis_or_dim("cosine_similarity", axis, dim, 1)
    ndim = max(x1.ndim, x2.ndim)
    if not -ndim <= axis < ndim:
        raise ValueError(f"cosine_similarity: axis {axis} is out of bounds for shapes {x1.shape} and {x2.shape}")
    if x1.shape != x2.shape:
        shape = np.broadcast_shapes(x1.shape, x2.shape)
        x1, x2 = np.broadcast_to(x1, shape), np.broadcast_to(x2, shape)
    unit1, unit2 = _direction(x1, axis, eps), _direction(x2, axis, eps)
    return np.sum(unit1 * unit2, axis=axis)


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """The p-norm of x1 - x2 + eps along the last axis: the distances of vectors in pairs.

    x1, x2   (..., D), of shapes that broadcast
    eps      is added to each difference, as in torch; with eps=0 equal vectors have the distance 0, with gradient 0
    returns  (...), or (..., 1) if `keepdim`

    >>> import numpy as np
    >>> pairwise_distance(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]), eps=0.0)
    array([5.])
    """
    difference = as_array(x1) - as_array(x2)
    if not difference.ndim:
        raise ValueError("pairwise_distance: expected vectors, (..., D), not numbers")
    return _norm(difference + eps if eps else difference, p, -1, keepdims=keepdim)


_MODES = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
_MANY = 1 << 20  # differences: more are never held at once


def _pulls(g: Any, out: Any) -> Any:
    return g / np.where(out == 0, math.inf, out)


# sum over j of w[i, j] (x1[i] - x2[j]) by products: with many rows the differences would fill the memory.
@ag.op(
    name="cdist",
    x1=lambda g, out, x1, x2: x1 * _pulls(g, out).sum(axis=-1)[..., None] - _pulls(g, out) @ x2,
    x2=lambda g, out, x1, x2: x2 * _pulls(g, out).sum(axis=-2)[..., None] - _pulls(g, out).swapaxes(-1, -2) @ x1,
    real_only=True,
    samples=lambda a: [ag.call(a(3, 2), a(4, 2)), ag.call(a(2, 1, 3, 2), a(2, 4, 2)), ag.call(a(0, 2), a(4, 2))],
)
def _euclidean(x1: Any, x2: Any) -> Any:
    """The Euclidean distances of rows, a block of rows at a time."""
    batch = np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    out = np.empty((*batch, x1.shape[-2], x2.shape[-2]), np.result_type(x1, x2))
    rows = max(1, _MANY // max(1, math.prod(batch) * math.prod(x2.shape[-2:])))
    for first in range(0, x1.shape[-2], rows):
        difference = x1[..., first : first + rows, None, :] - x2[..., None, :, :]
        out[..., first : first + rows, :] = np.sqrt(np.vecdot(difference, difference))
    return out


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Any:
    """The p-norm distances of each row of x1 to each row of x2.

    x1, x2        (..., P, M) and (..., R, M); the leading axes broadcast
    p             in [0, inf]
    compute_mode  taken for torch's sake: distances are computed from the differences always, which is exact also for close rows
    returns       (..., P, R); the gradient of a distance of 0 is 0

    Of Euclidean distances no more than a million differences are held at once.

    >>> import numpy as np
    >>> cdist(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0]]))
    array([[5., 1.]])
    """
    x1, x2 = as_array(x1), as_array(x2)
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"cdist: x1 has shape {x1.shape}, x2 {x2.shape}; expected (..., P, M) and (..., R, M)")
    if not p >= 0:
        raise ValueError(f"cdist: p must not be negative, not {p}")
    if compute_mode not in _MODES:
        raise ValueError(f"cdist: compute_mode must be one of {', '.join(_MODES)}, not {compute_mode!r}")
    if p == 2 and math.prod(np.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])) * x1.shape[-2] * math.prod(x2.shape[-2:]) > _MANY:
        return _euclidean(x1, x2)
    return _norm(x1[..., :, None, :] - x2[..., None, :, :], p, -1, keepdims=False)


def pdist(input: Any, p: float = 2.0) -> Any:
    """The p-norm distances of all pairs of rows (i, j), i < j, row after row; as SciPy's `pdist`.

    input    (N, M)
    returns  (N (N - 1) / 2,); the gradient of a distance of 0 is 0

    >>> import numpy as np
    >>> pdist(np.array([[0.0], [1.0], [3.0]]))
    array([1., 3., 2.])
    """
    input = as_array(input)
    if input.ndim != 2:
        raise ValueError(f"pdist: expected a matrix, (N, M), not shape {input.shape}")
    if not p >= 0:
        raise ValueError(f"pdist: p must not be negative, not {p}")
    first, second = np.triu_indices(input.shape[0], 1)
    return _norm(input[first] - input[second], p, -1, keepdims=False)
