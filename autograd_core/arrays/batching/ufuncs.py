"""Ufuncs of batches: line up the hidden axes, and let the ufunc broadcast."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import Batched, BatchingError, stretched, wrapped
from autograd_core.arrays.batching.loop import each
from autograd_core.arrays.layers import level_of

__all__ = ["aligned", "apply_ufunc", "matmul"]


def apply_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any], level: int) -> Any:
    """`ufunc(*inputs, **kwargs)`, or its `reduce`, `accumulate`... by `method`, where an input or `out` is a batch of `level`."""
    out = kwargs.pop("out", None)
    if method == "at":
        return _at(ufunc, inputs, level)
    result = _computed(ufunc, method, inputs, kwargs, level)
    if out is None or all(target is None for target in out):
        return result
    (target,) = out
    if not isinstance(target, Batched) or target.level != level:
        raise BatchingError(f"{ufunc.__name__}: an array outside of the batch cannot hold a batched result; write it to a name: y = f(x)")
    target[...] = result
    return target


def _computed(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any], level: int) -> Any:
    found: Any = NotImplemented
    if level_of(kwargs) == level:
        pass
    elif method == "__call__":
        found = _called(ufunc, inputs, kwargs, level)
    elif method in ("reduce", "accumulate"):
        found = _folded(ufunc, method, inputs, kwargs)
    elif method == "outer" and not kwargs:
        a, b = inputs
        found = ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b)
    return each(getattr(ufunc, method), inputs, kwargs, level) if found is NotImplemented else found


def _called(ufunc: Any, inputs: tuple[Any, ...], kwargs: dict[str, Any], level: int) -> Any:
    if ufunc is np.matmul:
        return matmul(inputs[0], inputs[1], level) if not kwargs else NotImplemented
    if ufunc.signature is None:
        return wrapped(ufunc(*aligned(inputs, level), **kwargs), level)
    # Axes are counted from the end or not at all: from the front there is one more.
    if "?" in ufunc.signature or "axes" in kwargs or kwargs.get("axis", -1) >= 0:
        return NotImplemented
    cores = [part.count(",") + 1 if part else 0 for part in ufunc.signature.split("->")[0][1:-1].split("),(")]
    return wrapped(ufunc(*aligned(inputs, level, cores), **kwargs), level)


def aligned(inputs: Any, level: int, cores: Any = None) -> list[Any]:
    """The payloads, with as many axes as the input that has most of them, its core axes not counted."""
    cores = cores or [0] * len(inputs)
    loop = max(np.ndim(value) - core for value, core in zip(inputs, cores, strict=True))
    return [stretched(value, level, loop + core) for value, core in zip(inputs, cores, strict=True)]


def _folded(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`np.add.reduce(x, axis)`, with the axes counted behind the batch's."""
    array, *rest = inputs
    names = ("axis", "dtype")[: len(rest)]
    kwargs = {"axis": 0, **kwargs, **dict(zip(names, rest, strict=False))}
    if not isinstance(array, Batched) or len(rest) > 2:
        return NotImplemented
    if array.ndim == 0:
        return NotImplemented
    axis = kwargs["axis"]
    axes = range(array.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    moved = tuple(a % array.ndim + 1 for a in axes)
    kwargs["axis"] = moved if method == "reduce" else moved[0]
    return Batched(getattr(ufunc, method)(array.payload, **kwargs), array.level)


def _at(ufunc: Any, inputs: tuple[Any, ...], level: int) -> None:
    """`ufunc.at(target, index, values)`: in one call where the index is the same over the batch."""
    target, index, *values = inputs
    if not isinstance(target, Batched) or target.level != level:
        raise BatchingError(f"{ufunc.__name__}.at: an array outside of the batch cannot take batched values; begin with np.zeros_like of one")
    entries = index if type(index) is tuple else (index,)
    # With integer arrays first and nothing between them, the axis of the batch can simply stand before all of it.
    if level_of(index) != level and all(isinstance(entry, int) or getattr(entry, "dtype", np.dtype(bool)).kind in "iu" for entry in entries):
        shape = (*np.broadcast_shapes(*map(np.shape, entries)), *target.shape[len(entries) :])
        own = [np.broadcast_to(stretched(v, level, len(shape)), (target.payload.shape[0], *shape)) for v in values]
        ufunc.at(target.payload, (slice(None), *entries), *own)
        return
    each(ufunc.at, (target, index, *values), {}, level)


def matmul(x1: Any, x2: Any, level: int) -> Any:
    """`x1 @ x2`. A batch of matrices times one matrix is a single product of two matrices."""
    ndim1, ndim2 = np.ndim(x1), np.ndim(x2)
    if ndim1 == 0 or ndim2 == 0:
        raise ValueError("matmul: Input operand does not have enough dimensions (has 0, signature (n?,k),(k,m?)->(n?,m?))")
    batched1 = isinstance(x1, Batched) and x1.level == level
    batched2 = isinstance(x2, Batched) and x2.level == level
    if batched1 and not batched2 and ndim2 <= 2:
        p = x1.payload
        if p.ndim <= 2:
            return Batched(p @ x2, level)
        rows = p.reshape((-1, p.shape[-1])) if p.size else p
        return Batched((rows @ x2).reshape(p.shape[:-1] + np.shape(x2)[1:]), level)
    if batched2 and not batched1 and ndim2 == 1 and ndim1 == 2:
        return Batched(x2.payload @ np.swapaxes(x1, 0, 1), level)
    first = np.reshape(x1, (1, *np.shape(x1))) if ndim1 == 1 else x1
    second = np.reshape(x2, (*np.shape(x2), 1)) if ndim2 == 1 else x2
    product = np.matmul(*aligned((first, second), level, [2, 2]))
    if ndim2 == 1:
        product = product[..., 0]
    if ndim1 == 1:
        product = product[..., 0] if ndim2 == 1 else product[..., 0, :]
    return Batched(product, level)
