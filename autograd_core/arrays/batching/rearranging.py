"""Batches: shapes, joins, and elements moved about."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import Batched, BatchingError, stretched
from autograd_core.arrays.batching.loop import each
from autograd_core.arrays.batching.table import FUNCTIONS, axes_behind, batch_size, broadcast_payload, cover_each, covers, first_is_batched

# --- shapes -----------------------------------------------------------------------------------------------------------------


@covers(np.reshape)
def _reshape(level: int, a: Any, shape: Any = None, order: Any = "C", **kwargs: Any) -> Any:
    if order not in ("C", None) or kwargs or shape is None:
        return NotImplemented
    given = tuple(shape) if np.ndim(shape) else (shape,)
    known = math.prod(n for n in given if n != -1)
    settled = tuple(a.size // known if n == -1 and known else n for n in given)
    if -1 in settled or math.prod(settled) != a.size:
        raise ValueError(f"cannot reshape array of size {a.size} into shape {given}")
    _put_batch_outermost(a)
    return Batched(a.payload.reshape((a.payload.shape[0], *settled)), level)


@covers(np.ravel)
def _ravel(level: int, a: Any, order: Any = "C") -> Any:
    if order != "C":
        return NotImplemented
    _put_batch_outermost(a)
    raveled = a.payload.reshape((a.payload.shape[0], a.size))
    # Other than a reshape, np.ravel gives one block of memory: of a vector with gaps, or backwards, a copy.
    has_gaps = isinstance(raveled, np.ndarray) and a.size > 1 and raveled.strides[1] != raveled.itemsize and raveled.shape[0] > 0
    return Batched(raveled.copy() if has_gaps else raveled, level)


def _put_batch_outermost(a: Batched) -> None:
    """Let the elements be blocks of memory, in the order of axes that they have, if they lie between one another now.

    Whether a reshape is a view or a copy, NumPy tells by the memory of one element. A batch whose axis is further inside, of an input
    mapped along its second axis or of indices, would make a copy where the program sees a view.
    """
    payload = a.payload
    if not isinstance(payload, np.ndarray) or payload.ndim < 2:
        return
    outermost_first = sorted(range(payload.ndim), key=lambda axis: -payload.strides[axis])
    block = payload.itemsize
    for axis in reversed(outermost_first):
        if payload.strides[axis] != block and payload.shape[axis] > 1:
            return  # no block of memory as a whole: a view of a larger one
        block *= payload.shape[axis]
    if outermost_first[0] == 0:
        return
    order = (0, *(axis for axis in outermost_first if axis))
    a.payload = np.transpose(payload, order).copy().transpose(np.argsort(order))


@covers(np.transpose, *([np.permute_dims] if hasattr(np, "permute_dims") else []))
def _transpose(level: int, a: Any, axes: Any = None) -> Any:
    order = range(a.ndim - 1, -1, -1) if axes is None else np.atleast_1d(axes).tolist()
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


@covers(np.flip)
def _flip(level: int, m: Any, axis: Any = None) -> Any:
    return Batched(np.flip(m.payload, axes_behind(axis, m.ndim)) if m.ndim else m.payload.copy(), level)  # a scalar, for NumPy


@covers(np.fliplr)
def _fliplr(level: int, m: Any) -> Any:
    return Batched(np.flip(m.payload, axes_behind(1, m.ndim)), level)


@covers(np.flipud)
def _flipud(level: int, m: Any) -> Any:
    return Batched(np.flip(m.payload, axes_behind(0, m.ndim)), level)


@covers(np.tile)
def _tile(level: int, A: Any, reps: Any) -> Any:
    if not first_is_batched(level, A, reps):
        return NotImplemented
    reps = tuple(np.ravel(reps).tolist())
    ndim = max(A.ndim, len(reps))
    return Batched(np.tile(stretched(A, level, ndim), (1,) * (1 + ndim - len(reps)) + reps), level)


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
    a, axis = (np.ravel(a), 0) if axis is None or a.ndim == 0 else (a, axis)
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


# --- several arrays ---------------------------------------------------------------------------------------------------------


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


cover_each(_in_place, np.copyto, np.put, np.place, np.putmask, np.fill_diagonal)
