"""NumPy's functions of batches: a line where the hidden axis just has to be stepped over.

A rule takes the level and then what the function takes; it returns NotImplemented for what it does not cover, and the loop
over the batch (array.each) does it. So this table is about speed: what is missing here is right all the same.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import _NoValue

from autograd_core.batching.array import Batched, BatchingError, each, level_of, stretched, wrapped
from autograd_core.batching.ufuncs import aligned

__all__ = ["FUNCTIONS", "axes_behind", "batch_size", "broadcast_payload", "covers", "first_is_batched"]

FUNCTIONS: dict[Any, Callable[..., Any]] = {}


def covers(*functions: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say that the decorated function computes `functions` of batches."""

    def register(rule: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS.update(dict.fromkeys(functions, rule))
        return rule

    return register


def first_is_batched(level: int, first: Any, *others: Any) -> bool:
    """Whether `first` has the axis of `level`, and no other argument has."""
    return isinstance(first, Batched) and first.level == level and level_of(others) != level


def batch_size(values: Sequence[Any], level: int) -> int:
    """How many arrays the batches of `level` among `values` hold."""
    return int(next(v.payload.shape[0] for v in values if isinstance(v, Batched) and v.level == level))


def broadcast_payload(value: Any, level: int, size: int) -> Any:
    """The payload of a batch; of anything else, as many copies (which take no memory)."""
    if isinstance(value, Batched) and value.level == level:
        return value.payload
    return np.broadcast_to(value, (size, *np.shape(value)))


def axes_behind(axis: Any, ndim: int) -> Any:
    """`axis` of an array of `ndim` dimensions, as an axis of the payload: an int, or a tuple for a tuple or None."""
    if axis is None:
        return tuple(range(1, ndim + 1))
    if not hasattr(axis, "__index__"):  # a tuple, list, range
        return tuple(_axis_behind(a, ndim) for a in axis)
    return _axis_behind(axis, ndim)


def _axis_behind(axis: Any, ndim: int) -> int:
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim + 1


# --- what does not look at elements --------------------------------------------------------------------------------------------


FUNCTIONS[np.shape] = lambda level, a: a.shape
FUNCTIONS[np.ndim] = lambda level, a: a.ndim
FUNCTIONS[np.size] = lambda level, a, axis=None: a.size if axis is None else math.prod(a.shape[i] for i in np.atleast_1d(axis))
FUNCTIONS[np.iscomplexobj] = lambda level, x: x.dtype.kind == "c"
FUNCTIONS[np.isrealobj] = lambda level, x: x.dtype.kind != "c"
FUNCTIONS[np.result_type] = lambda level, *values: np.result_type(*(v.payload if isinstance(v, Batched) else v for v in values))
FUNCTIONS[np.may_share_memory] = FUNCTIONS[np.shares_memory] = lambda level, a, b, *rest, **kwargs: True  # who asks is careful then

# --- one array in, one of its shape out ------------------------------------------------------------------------------------------


def _elementwise(function: Any) -> Callable[..., Any]:
    def rule(level: int, x: Any, *args: Any, **kwargs: Any) -> Any:
        if not first_is_batched(level, x, args, kwargs) or kwargs.get("out") is not None:
            return NotImplemented
        return Batched(function(x.payload, *args, **kwargs), level)

    return rule


for _function in (np.real, np.imag, np.round, np.around, np.fix, np.nan_to_num, np.angle, np.sinc, np.i0, np.isreal, np.iscomplex, np.copy):
    FUNCTIONS[_function] = _elementwise(_function)
for _function in (np.isneginf, np.isposinf):
    FUNCTIONS[_function] = _elementwise(_function)


def _like(function: Any) -> Callable[..., Any]:
    def rule(level: int, a: Any, *args: Any, shape: Any = None, **kwargs: Any) -> Any:
        """Zeros, ones or anything, in the shape of `a` or another."""
        if shape is not None:
            shape = (a.payload.shape[0], *(shape if isinstance(shape, tuple | list) else (shape,)))
        return Batched(function(a.payload, *args, shape=shape, **kwargs), level)

    return rule


for _function in (np.zeros_like, np.ones_like, np.empty_like):
    FUNCTIONS[_function] = _like(_function)


@covers(np.full_like)
def _full_like(level: int, a: Any, fill_value: Any, dtype: Any = None, order: Any = "K", subok: bool = True, shape: Any = None) -> Any:
    shape = np.shape(a) if shape is None else shape if isinstance(shape, tuple | list) else (shape,)
    size = batch_size((a, fill_value), level)
    like = a.payload if isinstance(a, Batched) and a.level == level else a
    return Batched(np.full_like(like, stretched(fill_value, level, len(shape)), dtype=dtype, shape=(size, *shape)), level)


@covers(np.where)
def _where(level: int, condition: Any, x: Any = _NoValue, y: Any = _NoValue) -> Any:
    if x is _NoValue or y is _NoValue:
        return NotImplemented
    return Batched(np.where(*aligned((condition, x, y), level)), level)


@covers(np.clip)
def _clip(level: int, a: Any, *bounds: Any, **named: Any) -> Any:
    if named or len(bounds) != 2:
        return NotImplemented
    low, high = bounds
    return Batched(np.clip(*aligned((a, -math.inf if low is None else low, math.inf if high is None else high), level)), level)


# --- reductions and running totals -------------------------------------------------------------------------------------------------


def _reduction(function: Any) -> Callable[..., Any]:
    def rule(level: int, a: Any, axis: Any = None, *args: Any, **kwargs: Any) -> Any:
        if not first_is_batched(level, a, args, kwargs):
            return NotImplemented
        if kwargs.get("mean", _NoValue) is not _NoValue:
            return NotImplemented  # its axes would have to be lined up
        return Batched(function(a.payload, axes_behind(axis, a.ndim), *args, **kwargs), level)

    return rule


for _function in (np.sum, np.prod, np.mean, np.var, np.std, np.max, np.amax, np.min, np.amin, np.any, np.all, np.ptp, np.count_nonzero):
    FUNCTIONS[_function] = _reduction(_function)
for _function in (np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin):
    FUNCTIONS[_function] = _reduction(_function)


def _flattening(function: Any, default: Any = None) -> Callable[..., Any]:
    """Of a function with one axis, for which None means the flattened array."""

    def rule(level: int, a: Any, axis: Any = default, *args: Any, **kwargs: Any) -> Any:
        if not first_is_batched(level, a, args, kwargs) or kwargs.get("keepdims", False) is True or kwargs.get("order") is not None:
            return NotImplemented
        payload = a.payload
        if axis is None:
            return Batched(function(payload.reshape((payload.shape[0], a.size)), 1, *args, **kwargs), level)
        return Batched(function(payload, axes_behind(axis, a.ndim), *args, **kwargs), level)

    return rule


for _function in (np.cumsum, np.cumprod, np.nancumsum, np.nancumprod, np.argmax, np.argmin):
    FUNCTIONS[_function] = _flattening(_function)
for _function in (np.sort, np.argsort):
    FUNCTIONS[_function] = _flattening(_function, -1)


@covers(np.diff)
def _diff(level: int, a: Any, n: int = 1, axis: int = -1, **kwargs: Any) -> Any:
    return Batched(np.diff(a.payload, n, axes_behind(axis, a.ndim)), level) if first_is_batched(level, a) and not kwargs else NotImplemented


# --- shapes ------------------------------------------------------------------------------------------------------------------------


@covers(np.reshape)
def _reshape(level: int, a: Any, shape: Any = None, order: Any = "C", **kwargs: Any) -> Any:
    if order not in ("C", None) or kwargs or shape is None:
        return NotImplemented
    given = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    known = math.prod(n for n in given if n != -1)
    settled = tuple(a.size // known if n == -1 and known else n for n in given)
    if -1 in settled or math.prod(settled) != a.size:
        raise ValueError(f"cannot reshape array of size {a.size} into shape {given}")
    return Batched(a.payload.reshape((a.payload.shape[0], *settled)), level)


@covers(np.ravel)
def _ravel(level: int, a: Any, order: Any = "C") -> Any:
    return Batched(a.payload.reshape((a.payload.shape[0], a.size)), level) if order == "C" else NotImplemented


@covers(np.transpose, *([np.permute_dims] if hasattr(np, "permute_dims") else []))
def _transpose(level: int, a: Any, axes: Any = None) -> Any:
    order = range(a.ndim - 1, -1, -1) if axes is None else axes
    return Batched(np.transpose(a.payload, (0, *axes_behind(tuple(order), a.ndim))), level)


@covers(np.matrix_transpose, np.linalg.matrix_transpose)
def _matrix_transpose(level: int, x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


@covers(np.swapaxes)
def _swapaxes(level: int, a: Any, axis1: int, axis2: int) -> Any:
    return Batched(np.swapaxes(a.payload, axes_behind(axis1, a.ndim), axes_behind(axis2, a.ndim)), level)


@covers(np.moveaxis)
def _moveaxis(level: int, a: Any, source: Any, destination: Any) -> Any:
    return Batched(np.moveaxis(a.payload, axes_behind(source, a.ndim), axes_behind(destination, a.ndim)), level)


@covers(np.expand_dims)
def _expand_dims(level: int, a: Any, axis: Any) -> Any:
    new = a.ndim + (len(axis) if isinstance(axis, tuple | list) else 1)
    return Batched(np.expand_dims(a.payload, axes_behind(axis, new)), level)


@covers(np.squeeze)
def _squeeze(level: int, a: Any, axis: Any = None) -> Any:
    axis = tuple(i for i, n in enumerate(a.shape) if n == 1) if axis is None else axis
    return Batched(np.squeeze(a.payload, axes_behind(axis, a.ndim)), level)


@covers(np.broadcast_to)
def _broadcast_to(level: int, array: Any, shape: Any, subok: bool = False) -> Any:
    shape = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if array.ndim > len(shape):
        raise ValueError("input operand has more dimensions than allowed by the axis remapping")
    return Batched(np.broadcast_to(stretched(array, level, len(shape)), (array.payload.shape[0], *shape)), level)


def _along_axes(function: Any, place: int, default: Any) -> Callable[..., Any]:
    """Of a function whose argument `place` after the array says along which axes; None for all of them."""

    def rule(level: int, a: Any, *args: Any, **kwargs: Any) -> Any:
        if not first_is_batched(level, a, args, kwargs):
            return NotImplemented
        name = "axis" if function is np.flip else "axes"
        given = list(args) + [default] * (place + 1 - len(args))
        given[place] = axes_behind(kwargs.pop(name, given[place]), a.ndim)
        return NotImplemented if kwargs else Batched(function(a.payload, *given), level)

    return rule


FUNCTIONS[np.flip] = _along_axes(np.flip, 0, None)


@covers(np.rot90)
def _rot90(level: int, m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    return Batched(np.rot90(m.payload, k, axes_behind(tuple(axes), m.ndim)), level)


@covers(np.roll)
def _roll(level: int, a: Any, shift: Any, axis: Any = None) -> Any:
    if not first_is_batched(level, a, shift):
        return NotImplemented
    if axis is None:
        return np.reshape(np.roll(np.ravel(a), shift, 0), a.shape)
    return Batched(np.roll(a.payload, shift, axes_behind(axis, a.ndim)), level)


@covers(np.repeat)
def _repeat(level: int, a: Any, repeats: Any, axis: Any = None) -> Any:
    if not first_is_batched(level, a, repeats):
        return NotImplemented
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    return Batched(np.repeat(a.payload, repeats, axes_behind(axis, a.ndim)), level)


def _last_two(function: Any) -> Callable[..., Any]:
    def rule(level: int, m: Any, k: Any = 0) -> Any:
        return Batched(function(m.payload, k), level) if first_is_batched(level, m, k) and m.ndim > 1 else NotImplemented

    return rule


FUNCTIONS[np.triu], FUNCTIONS[np.tril] = _last_two(np.triu), _last_two(np.tril)


def _of_diagonals(function: Any) -> Callable[..., Any]:
    def rule(level: int, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            return NotImplemented
        return Batched(function(a.payload, offset, axes_behind(axis1, a.ndim), axes_behind(axis2, a.ndim), **kwargs), level)

    return rule


FUNCTIONS[np.diagonal], FUNCTIONS[np.trace] = _of_diagonals(np.diagonal), _of_diagonals(np.trace)


@covers(np.pad)
def _pad(level: int, array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    if not first_is_batched(level, array, pad_width, kwargs) or callable(mode) or isinstance(pad_width, dict):
        return NotImplemented
    if any(np.ndim(value) for value in kwargs.values()):
        return NotImplemented  # a pair for each axis
    widths = np.broadcast_to(np.asarray(pad_width), (array.ndim, 2)).tolist()
    return Batched(np.pad(array.payload, [(0, 0), *map(tuple, widths)], mode, **kwargs), level)


@covers(np.lib.stride_tricks.sliding_window_view)
def _sliding_window_view(level: int, x: Any, window_shape: Any, axis: Any = None, **kwargs: Any) -> Any:
    window_shape = tuple(window_shape) if isinstance(window_shape, tuple | list) else (window_shape,)
    return Batched(np.lib.stride_tricks.sliding_window_view(x.payload, window_shape, axes_behind(axis, x.ndim), **kwargs), level)


# --- several arrays ------------------------------------------------------------------------------------------------------------------


def _payloads(arrays: Any, level: int) -> list[Any]:
    """All as payloads of one batch; those that are the same over it, repeated."""
    size = batch_size(arrays, level)
    return [broadcast_payload(array, level, size) for array in arrays]


@covers(np.concatenate)
def _concatenate(level: int, arrays: Any, axis: Any = 0, **kwargs: Any) -> Any:
    if isinstance(arrays, Batched):
        arrays = list(arrays)
    if axis is None:
        arrays, axis = [np.ravel(array) for array in arrays], 0
    return Batched(np.concatenate(_payloads(arrays, level), axes_behind(axis, np.ndim(arrays[0])), **kwargs), level)


@covers(np.stack)
def _stack(level: int, arrays: Any, axis: int = 0, **kwargs: Any) -> Any:
    if isinstance(arrays, Batched):
        arrays = list(arrays)
    return Batched(np.stack(_payloads(arrays, level), axes_behind(axis, np.ndim(arrays[0]) + 1), **kwargs), level)


@covers(np.take_along_axis)
def _take_along_axis(level: int, arr: Any, indices: Any, axis: Any = -1) -> Any:
    if axis is None:
        return NotImplemented
    array, places = _payloads((arr, indices), level)
    return Batched(np.take_along_axis(array, places, axes_behind(axis, np.ndim(arr))), level)


@covers(np.put_along_axis)
def _put_along_axis(level: int, arr: Any, indices: Any, values: Any, axis: Any) -> Any:
    if not isinstance(arr, Batched) or arr.level != level:
        raise _outside("put_along_axis")
    if axis is None:
        return NotImplemented
    places = broadcast_payload(indices, level, arr.payload.shape[0])
    np.put_along_axis(arr.payload, places, stretched(values, level, arr.ndim), axes_behind(axis, arr.ndim))
    return None


@covers(np.take)
def _take(level: int, a: Any, indices: Any, axis: Any = None, out: None = None, mode: Any = "raise") -> Any:
    if not first_is_batched(level, a, indices) or out is not None:
        return NotImplemented
    a, axis = (np.ravel(a), 0) if axis is None else (a, axis)
    return Batched(np.take(a.payload, indices, axes_behind(axis, a.ndim), mode=mode), level)


def _outside(name: str) -> BatchingError:
    return BatchingError(f"{name}: an array outside of the batch cannot take batched values; begin with np.zeros_like of a batched one")


def _in_place(function: Any) -> Callable[..., Any]:
    """Of a function that changes its first argument: the loop's elements are views, if that is a batch."""

    def rule(level: int, target: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(target, Batched) or target.level != level:
            raise _outside(function.__name__)
        each(function, (target, *args), kwargs, level)

    return rule


for _function in (np.copyto, np.put, np.place, np.putmask, np.fill_diagonal):
    FUNCTIONS[_function] = _in_place(_function)


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
    if not isinstance(subscripts, str) or kwargs.get("out") is not None:
        return NotImplemented
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


# --- linear algebra: NumPy takes stacks of matrices itself ------------------------------------------------------------------------------


def _of_stacks(function: Any) -> Callable[..., Any]:
    def rule(level: int, a: Any, *args: Any, **kwargs: Any) -> Any:
        if not first_is_batched(level, a, args, kwargs) or a.ndim < 2:
            return NotImplemented
        return wrapped(function(a.payload, *args, **kwargs), level)

    return rule


for _name in ("inv", "det", "slogdet", "cholesky", "eig", "eigh", "eigvals", "eigvalsh", "svd", "svdvals", "qr", "matrix_power", "matrix_norm"):
    FUNCTIONS[getattr(np.linalg, _name)] = _of_stacks(getattr(np.linalg, _name))
for _name in ("trace", "diagonal", "pinv"):
    FUNCTIONS[getattr(np.linalg, _name)] = _of_stacks(getattr(np.linalg, _name))


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
        axis = 0 if x.ndim == 1 else (0, 1)
    return Batched(np.linalg.norm(x.payload, ord, axes_behind(axis, x.ndim), keepdims), level)


@covers(np.linalg.matmul)
def _linalg_matmul(level: int, x1: Any, x2: Any) -> Any:
    return np.matmul(x1, x2)


# --- Fourier transforms ------------------------------------------------------------------------------------------------------------------


def _transform(function: Any) -> Callable[..., Any]:
    def rule(level: int, a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
        return Batched(function(a.payload, n, axes_behind(axis, a.ndim), norm), level)

    return rule


for _name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):
    FUNCTIONS[getattr(np.fft, _name)] = _transform(getattr(np.fft, _name))


def _transform_of_axes(function: Any, default: Any) -> Callable[..., Any]:
    def rule(level: int, a: Any, s: Any = None, axes: Any = default, norm: Any = None) -> Any:
        if axes is None and s is not None:
            return NotImplemented
        return Batched(function(a.payload, s, axes_behind(axes, a.ndim), norm), level)

    return rule


for _name in ("fft", "ifft", "rfft", "irfft"):
    FUNCTIONS[getattr(np.fft, f"{_name}n")] = _transform_of_axes(getattr(np.fft, f"{_name}n"), None)
    FUNCTIONS[getattr(np.fft, f"{_name}2")] = _transform_of_axes(getattr(np.fft, f"{_name}2"), (-2, -1))
for _function in (np.fft.fftshift, np.fft.ifftshift):
    FUNCTIONS[_function] = _along_axes(_function, 0, None)
