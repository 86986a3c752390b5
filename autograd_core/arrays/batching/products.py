"""Batches: products of arrays, linear algebra and Fourier transforms. NumPy takes stacks of matrices itself."""

from __future__ import annotations

import math
import operator
import string
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import Batched, wrapped
from autograd_core.arrays.batching.table import axes_behind, cover_each, covers, first_is_batched
from autograd_core.arrays.batching.ufuncs import aligned

# --- products --------------------------------------------------------------------------------------------------------------


@covers(np.dot)
def _dot(level: int, a: Any, b: Any, out: None = None) -> Any:
    ndims = np.ndim(a), np.ndim(b)
    if 0 in ndims:
        return np.multiply(a, b)
    if ndims[1] <= 2:
        return np.matmul(a, b)
    return np.tensordot(a, b, axes=((ndims[0] - 1,), (ndims[1] - 2,)))


@covers(np.inner)
def _inner(level: int, a: Any, b: Any) -> Any:
    ndims = np.ndim(a), np.ndim(b)
    return np.multiply(a, b) if 0 in ndims else np.tensordot(a, b, axes=((ndims[0] - 1,), (ndims[1] - 1,)))


@covers(np.outer, np.linalg.outer)
def _outer(level: int, a: Any, b: Any, out: None = None) -> Any:
    return np.multiply(np.reshape(a, (-1, 1)), np.reshape(b, (1, -1)))


@covers(np.vdot)
def _vdot(level: int, a: Any, b: Any) -> Any:
    return np.sum(np.multiply(np.ravel(a).conjugate(), np.ravel(b)))


@covers(np.tensordot, np.linalg.tensordot)
def _tensordot(level: int, a: Any, b: Any, axes: Any = 2) -> Any:
    ndim1, ndim2 = np.ndim(a), np.ndim(b)
    if isinstance(axes, tuple | list):
        sides = [tuple(side) if np.ndim(side) else (side,) for side in axes]
        first = [operator.index(i) % ndim1 for i in sides[0]]
        second = [operator.index(i) % ndim2 for i in sides[1]]
    else:
        first, second = list(range(ndim1 - axes, ndim1)), list(range(axes))
    if [np.shape(a)[i] for i in first] != [np.shape(b)[i] for i in second]:
        raise ValueError("shape-mismatch for sum")
    batched = [isinstance(v, Batched) and v.level == level for v in (a, b)]
    if batched == [True, False]:
        return Batched(np.tensordot(a.payload, b, ([i + 1 for i in first], second)), level)
    if batched == [False, True]:
        return Batched(np.moveaxis(np.tensordot(a, b.payload, (first, [i + 1 for i in second])), ndim1 - len(first), 0), level)
    return _both_tensordot(level, a, b, first, second)


def _both_tensordot(level: int, a: Any, b: Any, first: list[int], second: list[int]) -> Any:
    """Both have the batch's axis: a product of two matrices for each element."""
    free1 = [i for i in range(a.ndim) if i not in first]
    free2 = [i for i in range(b.ndim) if i not in second]
    summed = math.prod(a.shape[i] for i in first)
    left = np.transpose(a, [*free1, *first]).reshape((math.prod(a.shape[i] for i in free1), summed))
    right = np.transpose(b, [*second, *free2]).reshape((summed, math.prod(b.shape[i] for i in free2)))
    return np.matmul(left, right).reshape(tuple(a.shape[i] for i in free1) + tuple(b.shape[i] for i in free2))


@covers(np.einsum)
def _einsum(level: int, subscripts: Any, *operands: Any, **kwargs: Any) -> Any:
    """The batch's axis is one more letter, first in each operand that has it and in the result."""
    if kwargs.get("out") is not None:
        return NotImplemented
    if not isinstance(subscripts, str):
        return _einsum(level, *_in_letters(subscripts, *operands), **kwargs)
    subscripts = subscripts.replace(" ", "")
    inputs, arrow, result = subscripts.partition("->")
    if not arrow:
        once = sorted(c for c in set(inputs.replace(".", "").replace(",", "")) if inputs.count(c) == 1)
        result = ("..." if "..." in inputs else "") + "".join(once)
    letter = next(c for c in "zyxwvutsrqponmlkjihgfedcbaZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in subscripts)
    batched = [isinstance(v, Batched) and v.level == level for v in operands]
    parts = [letter + part if own else part for part, own in zip(inputs.split(","), batched, strict=True)]
    payloads = [v.payload if own else v for v, own in zip(operands, batched, strict=True)]
    return Batched(np.einsum(f"{','.join(parts)}->{letter}{result}", *payloads, **kwargs), level)


def _in_letters(*values: Any) -> tuple[Any, ...]:
    """The arguments of einsum in its other form, (a, [0, 1], b, [1, 2], [0, 2]), as ("AB,BC->AC", a, b)."""
    letters = string.ascii_uppercase + string.ascii_lowercase  # as NumPy counts them
    paired = len(values) // 2 * 2
    terms = ["".join("..." if label is Ellipsis else letters[label] for label in labels) for labels in (*values[1:paired:2], *values[paired:])]
    inputs = ",".join(terms[: paired // 2])
    return (inputs if paired == len(values) else f"{inputs}->{terms[-1]}", *values[:paired:2])


# --- linear algebra: NumPy takes stacks of matrices itself ------------------------------------------------------------------


def _of_stacks(function: Any) -> Callable[..., Any]:
    def rule(level: int, a: Any, *args: Any, **kwargs: Any) -> Any:
        if not first_is_batched(level, a, args, kwargs) or a.ndim < 2:
            return NotImplemented
        return wrapped(function(a.payload, *args, **kwargs), level)

    return rule


_stacks = ("inv", "det", "slogdet", "cholesky", "eig", "eigh", "eigvals", "eigvalsh", "svd", "svdvals", "qr", "matrix_power", "matrix_norm")
cover_each(_of_stacks, *(getattr(np.linalg, name) for name in _stacks))
cover_each(_of_stacks, np.linalg.trace, np.linalg.diagonal, np.linalg.pinv)


@covers(np.linalg.solve)
def _solve(level: int, a: Any, b: Any) -> Any:
    vector = np.ndim(b) == 1
    columns = np.reshape(b, (-1, 1)) if vector else b
    found = np.linalg.solve(*aligned((a, columns), level, [2, 2]))
    return Batched(found[..., 0] if vector else found, level)


@covers(np.linalg.norm)
def _norm(level: int, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:  # noqa: A002  NumPy's name
    if axis is None:
        if ord is None:
            return NotImplemented if keepdims else _norm(level, np.ravel(x), None, 0)
        if x.ndim not in (1, 2):
            return NotImplemented  # NumPy's error
        axis = 0 if x.ndim == 1 else (0, 1)
    return Batched(np.linalg.norm(x.payload, ord, axes_behind(axis, x.ndim), keepdims), level)


@covers(np.linalg.matmul)
def _linalg_matmul(level: int, x1: Any, x2: Any) -> Any:
    return np.matmul(x1, x2)


# --- Fourier transforms -----------------------------------------------------------------------------------------------------


def _transform(function: Any) -> Callable[..., Any]:
    def rule(level: int, a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
        return Batched(function(a.payload, n, axes_behind(axis, a.ndim), norm), level)

    return rule


cover_each(_transform, np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft, np.fft.hfft, np.fft.ihfft)


def _transform_of_axes(function: Any, default: Any) -> Callable[..., Any]:
    def rule(level: int, a: Any, s: Any = None, axes: Any = default, norm: Any = None) -> Any:
        if axes is None and s is not None:
            return NotImplemented
        return Batched(function(a.payload, s, axes_behind(axes, a.ndim), norm), level)

    return rule


cover_each(lambda function: _transform_of_axes(function, None), np.fft.fftn, np.fft.ifftn, np.fft.rfftn, np.fft.irfftn)
cover_each(lambda function: _transform_of_axes(function, (-2, -1)), np.fft.fft2, np.fft.ifft2, np.fft.rfft2, np.fft.irfft2)


def _shifted(function: Any) -> Callable[..., Any]:
    def rule(level: int, x: Any, axes: Any = None) -> Any:
        return Batched(function(x.payload, axes_behind(axes, x.ndim)), level)

    return rule


cover_each(_shifted, np.fft.fftshift, np.fft.ifftshift)
