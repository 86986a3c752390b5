"""Ranges with differentiable ends: linspace, logspace, geomspace."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from autograd_core.arrays.layers import for_any
from autograd_core.define.door import composed
from autograd_core.define.samples import call
from autograd_core.rules.shapes import array_of
from autograd_core.tensor.handles import plain


def _operand(value: Any) -> Any:
    """Python's numbers as they are, so that float32 stays float32; lists as arrays."""
    return value if isinstance(value, int | float | complex) else array_of(value)


def _steps(num: Any, endpoint: bool, dtype: Any, ndim: int) -> tuple[Any, int]:
    """The fractions 0, 1/n, 2/n... of the way along a first axis, and how many steps the whole way has."""
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    count = num - 1 if endpoint else num
    return (np.arange(num) / max(count, 1)).astype(dtype).reshape((-1,) + (1,) * ndim), count


@composed(
    np.linspace,
    samples=lambda a: [
        call(a(), a(), 5),
        call(a(3), a(2, 3), 4, axis=-1),
        call(a(2), a(2), num=3, endpoint=False),
        call(a(), a(), 3, retstep=True),
        call(a(), a(), 1),
        call(a(2), 1.0, 0),
        call(a(), a(), 3, dtype=np.complex128),
        call(a.complex(), a(), 3),
    ],
)
def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0, *, device: Any = None
) -> Any:
    """`num` numbers from `start` to `stop` in equal steps: start + k (stop - start) / (num - 1)."""
    if device not in (None, "cpu"):
        raise ValueError(f'Device not understood. Only "cpu" is allowed, but received: {device}')
    start, stop = _operand(start), _operand(stop)
    delta = stop - start * 1.0
    steps, count = _steps(num, endpoint, delta.real.dtype, delta.ndim)
    result = start + steps * delta
    if endpoint and num > 1:
        # The last one is `stop` to the bit.
        result = np.concatenate((result[:-1], np.broadcast_to(stop, (1, *delta.shape))), dtype=result.dtype)
    result = np.moveaxis(result, 0, axis) if axis else result
    if dtype is not None:
        result = (np.floor(result) if np.issubdtype(dtype, np.integer) else result).astype(dtype)
    return (result, delta / count if count > 0 else np.nan) if retstep else result


@composed(
    np.logspace,
    samples=lambda a: [
        call(a(), a(), 4),
        call(a(2), a(2), 3, endpoint=False, base=2.0),
        call(a(2), a(2), 3, True, 2.0, None, -1),
        call(a(), a(2), 3, base=a.positive(2)),
        call(a(), a(), 3, dtype=np.complex128),
    ],
)
def logspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0) -> Any:
    """`num` powers of `base`, with exponents from `start` to `stop` in equal steps."""
    if np.ndim(base):
        ndim = max(np.ndim(start), np.ndim(stop), np.ndim(base))
        start, stop, base = (np.reshape(x, (1,) * (ndim - np.ndim(x)) + np.shape(x)) for x in (start, stop, base))
        base = np.expand_dims(base, axis)
    result = np.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return result if dtype is None else result.astype(dtype)


@composed(
    np.geomspace,
    samples=lambda a: [
        call(a.positive(), a.positive(), 4),
        call(-a.positive(2), -a.positive(2), 3, endpoint=False),
        call(a.positive(2), a.positive(3, 1), 3, axis=-1),
        call(a.positive(), a.positive(), 1),
        call(a.complex(), a.complex(), 4),
        call(a.positive(), a.positive(), 3, dtype=np.complex128),
    ],
)
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """`num` numbers from `start` to `stop` in equal ratios: start (stop / start)^(k / (num - 1))."""
    start, stop = array_of(start), array_of(stop)
    if for_any(plain(start) == 0) or for_any(plain(stop) == 0):
        raise ValueError("Geometric sequence cannot include zero")
    # As NumPy has it, float32 too becomes float64 here.
    working = np.result_type(start.dtype, stop.dtype, float(num), np.zeros((), dtype))
    start, stop = start.astype(working), stop.astype(working)
    ratio = stop / start
    shape = ratio.shape
    steps, _ = _steps(num, endpoint, ratio.real.dtype, ratio.ndim)
    inner = start * np.exp(steps * np.log(ratio))
    # Both ends are `start` and `stop` to the bit.
    first = [np.broadcast_to(start, (1, *shape))] if num > 0 else []
    last = [np.broadcast_to(stop, (1, *shape))] if num > 1 and endpoint else []
    result = np.concatenate((*first, inner[1 : num - len(last)], *last))
    result = np.moveaxis(result, 0, axis) if axis else result
    return result if dtype is None else result.astype(dtype)
