"""logsumexp, softmax and its logarithm: SciPy's functions of these names, which do not dispatch on tensors.

Among elements that are all -inf each gets an equal share of logsumexp's gradient; their softmax is nan, as in SciPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.arrays.shapes import keep_reduced_axes
from autograd_core.define.door import op
from autograd_core.define.samples import Arrays, Call, call

__all__ = ["log_softmax", "logsumexp", "softmax"]


def _weights(out: Any, a: Any, axis: Any, b: Any, keepdims: bool) -> Any:
    """Each element's part in the sum, exp(a - out). An infinite result is its largest elements: there a - out would be nan."""
    out = keep_reduced_axes(out, axis, keepdims, max(a.ndim, 0 if b is None else b.ndim))
    largest = a == out
    count = np.sum(largest, axis=axis, keepdims=True, dtype=a.dtype)
    return np.where(np.isinf(out), np.where(largest, 1 / count, 0.0), np.exp(a - out))


def _kept(g: Any, a: Any, axis: Any, b: Any, keepdims: bool) -> Any:
    return keep_reduced_axes(g, axis, keepdims, max(a.ndim, 0 if b is None else b.ndim))


def _data_rule(g: Any, out: Any, a: Any, axis: Any, b: Any, keepdims: bool) -> Any:
    share = _kept(g, a, axis, b, keepdims) * _weights(out, a, axis, b, keepdims).conjugate()
    return share if b is None else share * b.conjugate()


def _sums(a: Arrays) -> list[Call]:
    return [
        call(a(2, 3)),
        call(a(2, 3), axis=1),
        call(a(2, 3, 2), axis=(0, -1), keepdims=True),
        call(a(2, 3), axis=0, b=a.positive(2, 3)),
        call(a(2, 3), axis=1, b=a.positive(3)),
        call(a()),
    ]


@op(
    a=_data_rule,
    b=lambda g, out, a, axis, b, keepdims: _kept(g, a, axis, b, keepdims) * _weights(out, a, axis, b, keepdims).conjugate(),
    samples=_sums,
)
def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False) -> Any:
    """The smooth maximum: log(sum(b exp(a))) over `axis`, without overflow.

    a        array or tensor
    axis     int, tuple, or None for all elements
    b        factors of the exponentials, which broadcast with `a`; nan where the sum is negative
    returns  an array of `a`'s shape without `axis`, or with it in size 1 if `keepdims`

    >>> import autograd_core as ag
    >>> x = ag.tensor([1000.0, 1000.0], requires_grad=True)
    >>> y = logsumexp(x); y
    tensor(1000.69314718, op=logsumexp)
    >>> ag.gradient(y, x)
    tensor([0.5, 0.5])
    """
    top = np.max(a, axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0.0).astype(a.dtype)
    terms = np.exp(a - top) if b is None else b * np.exp(a - top)
    with np.errstate(divide="ignore"):  # of nothing, or of -inf only, the logarithm of 0
        total = np.log(np.sum(terms, axis=axis, keepdims=True)) + top
    return total if keepdims else total.reshape(np.sum(terms, axis=axis).shape)[()]


def _axes(a: Arrays) -> list[Call]:
    return [call(a(2, 3)), call(a(2, 3), axis=-1), call(a(2, 3, 2), axis=(0, 2)), call(a())]


@op(x=lambda g, out, axis: out.conjugate() * (g - np.sum(g * out.conjugate(), axis=axis, keepdims=True)), samples=_axes)
def softmax(x: Any, axis: Any = None) -> Any:
    """Positive numbers that sum to 1, exp(x) / sum(exp(x)) over `axis`; of the shape of `x`.

    >>> softmax(np.array([0.0, np.log(3.0)]))
    array([0.25, 0.75])
    """
    weights = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return weights / np.sum(weights, axis=axis, keepdims=True)


@op(x=lambda g, out, axis: g - np.exp(out).conjugate() * np.sum(g, axis=axis, keepdims=True), samples=_axes)
def log_softmax(x: Any, axis: Any = None) -> Any:
    """The logarithm of softmax, x - log(sum(exp(x))) over `axis`; it stays finite where softmax is rounded to 0.

    >>> log_softmax(np.array([0.0, -1000.0])).tolist()
    [0.0, -1000.0]
    """
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
