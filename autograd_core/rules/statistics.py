"""Averages, covariances and correlations: NumPy's formulas, written with functions that have rules."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from autograd_core.arrays.layers import for_any
from autograd_core.arrays.shapes import normalise_axes
from autograd_core.define.door import composed
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.shapes import array_of
from autograd_core.tensor.handles import plain


@composed(
    np.average,
    samples=lambda a: [
        call(a(2, 3)),
        call(a(2, 3), axis=1, keepdims=True),
        call(a(2, 3), axis=-1, weights=a.positive(3)),
        call(a(2, 3), weights=a.positive(2, 3)),
        call(a(2, 3, 2), axis=(0, 2), weights=a.positive(2, 3, 2), returned=True),
        call(a(3), returned=True),
        call(a.complex(3), weights=a.positive(3)),
    ],
)
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    """The mean, or the sum of `a` times `weights` divided by the sum of the weights."""
    a = array_of(a)
    if weights is None:
        mean = np.mean(a, axis=axis, keepdims=keepdims)
        return (mean, np.full_like(mean, a.size / mean.size)) if returned else mean
    weights = array_of(weights)
    axes = normalise_axes(axis, a.ndim)
    if weights.shape != a.shape:
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        if weights.shape != tuple(a.shape[k] for k in axes):
            raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
        weights = np.transpose(weights, sorted(range(len(axes)), key=axes.__getitem__))
        weights = weights.reshape(tuple(n if k in axes else 1 for k, n in enumerate(a.shape)))
    total = np.sum(weights, axis=axes, keepdims=keepdims)
    if for_any(plain(total) == 0):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    mean = np.sum(a * weights, axis=axes, keepdims=keepdims) / total
    return (mean, np.broadcast_to(total, mean.shape).copy()) if returned else mean


def _variables(m: Any, name: str, dtype: Any) -> Any:
    """At least two-dimensional, in double precision unless `dtype` says otherwise."""
    m = array_of(m)
    if m.ndim > 2:
        raise ValueError(f"{name} has more than 2 dimensions")
    return m.reshape((1,) * (2 - m.ndim) + m.shape).astype(dtype)


def _covariances(a: Arrays) -> list[Call]:
    return [
        call(a(2, 4)),
        call(a(4, 2), rowvar=False),
        call(a(4), a(4)),
        call(a(2, 4), a(1, 4), bias=True),
        call(a(2, 4), ddof=0, fweights=a.integers(1, 4, 4)),
        call(a(2, 4), aweights=a.positive(4)),
        call(a(2, 4), aweights=a.positive(4), fweights=a.integers(1, 4, 4), bias=True),
        call(a.complex(2, 3)),
    ]


def _observation_weights(name: str, weights: Any, count: int) -> Any:
    """One weight per observation, not negative."""
    if weights is None:
        return None
    weights = array_of(weights).astype(float)
    if weights.ndim > 1:
        raise RuntimeError(f"cannot handle multidimensional {name}")
    if weights.shape[0] != count:
        raise RuntimeError(f"incompatible numbers of samples and {name}")
    if for_any(plain(weights) < 0):
        raise ValueError(f"{name} cannot be negative")
    return weights


@composed(np.cov, samples=_covariances)
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, fweights: Any = None, aweights: Any = None, *, dtype: Any = None
) -> Any:
    """The covariance matrix of the variables in `m` and `y`, whose observations may be weighted."""
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    m, y = array_of(m), None if y is None else array_of(y)
    dtype = np.result_type(np.float64, m.dtype, *([] if y is None else [y.dtype])) if dtype is None else dtype
    x = _variables(m, "m", dtype)
    x = x.T if not rowvar and m.ndim != 1 else x
    if x.shape[0] == 0:
        return np.zeros((0, 0))
    if y is not None:
        y = _variables(y, "y", dtype)
        x = np.concatenate([x, y.T if not rowvar and y.shape[0] != 1 else y], axis=0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    repeats = _observation_weights("fweights", fweights, x.shape[1])
    importance = _observation_weights("aweights", aweights, x.shape[1])
    if repeats is not None and not np.all(plain(repeats) == np.around(plain(repeats))):
        raise TypeError("fweights must be integer")
    weights = repeats if importance is None else importance if repeats is None else repeats * importance
    mean, total = average(x, axis=1, weights=weights, returned=True)
    total = total[0]
    if weights is None:
        factor = x.shape[1] - ddof
    elif ddof == 0:
        factor = total
    else:
        factor = total - ddof if importance is None else total - ddof * np.sum(weights * importance) / total
    if for_any(plain(factor) <= 0):
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        factor = 0.0
    x = x - mean[:, None]
    return np.squeeze((x @ (x if weights is None else x * weights).T.conjugate()) * np.true_divide(1, factor))


@composed(np.corrcoef, samples=lambda a: [call(a(2, 4)), call(a(4, 2), rowvar=False), call(a(4), a(4)), call(a(4)), call(a.complex(2, 3))])
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """The correlation coefficients of the variables in `x` and `y`."""
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return 0 * c + plain(c) / plain(c)  # 1 or nan, with slope exactly 0
    deviations = np.sqrt(np.real(np.diag(c)))
    c = c / deviations[:, None] / deviations[None, :]
    clipped = np.clip(np.real(c), -1, 1)
    return clipped + 1j * np.clip(np.imag(c), -1, 1) if c.dtype.kind == "c" else clipped
