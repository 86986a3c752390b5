"""The methods of ufuncs: `np.add.reduce`, `np.multiply.outer`, `np.logaddexp.accumulate`, `np.add.reduceat`.

Sums, products and extremes are NumPy's functions of those names. For any other ufunc f, the running values are a recurrence
out[k] = f(out[k - 1], a[k]), so the gradient is one too: what reaches out[k] comes from g[k] and, times the slope of f, from
out[k + 1]. It is solved without a loop over elements, from the very rules of f. A reduction is the last running value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import _NoValue

from autograd_core.arrays.shapes import as_rows, keep_reduced_axes, normalise_axes
from autograd_core.define.door import composed, op
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.reductions import everywhere, running_recurrence
from autograd_core.rules.shapes import array_of
from autograd_core.tape.signatures import rule_parameters
from autograd_core.tape.table import TABLE
from autograd_core.tensor.handles import plain

__all__ = ["accumulated", "segment_sums"]

Compute = Callable[..., Any]

_REDUCTIONS: dict[Any, Compute] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.fmax: np.nanmax,
    np.fmin: np.nanmin,
}
_RUNNING: dict[Any, Compute] = {np.add: np.cumsum, np.multiply: np.cumprod}
# Of these the order of the elements matters: NumPy folds them along one axis only.
_ORDERLY = (
    np.subtract,
    np.divide,
    np.power,
    np.float_power,
    np.arctan2,
    np.remainder,
    np.fmod,
    np.floor_divide,
    np.copysign,
    np.heaviside,
    np.nextafter,
)
# Their reductions are left out: NumPy computes wrong ones where its loops use AVX-512 (np.power.reduce([2.0, 3.0, 2.0]) is 4, not 64).
_NOT_REDUCED = (np.power, np.arctan2)
_FOLDED = (*_ORDERLY, np.hypot, np.logaddexp, np.logaddexp2)


# --- accumulate ------------------------------------------------------------------------------------------------------------------


def _slope(ufunc: Any, argument: str, x1: Any, x2: Any, out: Any) -> Any:
    """The derivative of an elementwise function, by its own rule: that is linear in g, so its value at g = 1 says it all."""
    rule = TABLE[ufunc].rules[argument]
    values = {"x1": x1, "x2": x2, "out": out, "like": plain(x1 if argument == "x1" else x2)}
    return rule(np.ones_like(out), *[values[name] for name in rule_parameters(rule)])


def _accumulated_rule(g: Any, out: Any, a: Any, axis: int, ufunc: Any) -> Any:
    if a.shape[axis] < 2:
        return g
    first, rest, most = ((*(slice(None),) * (axis % a.ndim), part) for part in (slice(0, 1), slice(1, None), slice(0, -1)))
    onward = _slope(ufunc, "x1", out[most], a[rest], out[rest])
    # Reversed, z[k] = g[k] + onward[k] z[k + 1] is the recurrence; its first coefficient is not used.
    flipped = np.concatenate([np.zeros_like(onward[first]), np.flip(onward, axis)], axis=axis)
    z = np.flip(running_recurrence(flipped, np.flip(g, axis), axis), axis)
    return np.concatenate([z[first], z[rest] * _slope(ufunc, "x2", out[most], a[rest], out[rest])], axis=axis)


@op(
    a=_accumulated_rule,
    holomorphic=True,
    samples=lambda a: [call(a.positive(2, 4), axis, ufunc) for ufunc in (np.divide, np.logaddexp) for axis in (0, -1)],
)
def accumulated(a: Any, axis: int, ufunc: Any) -> Any:
    """`ufunc.accumulate(a, axis)`."""
    return ufunc.accumulate(a, axis)


def _accumulate(ufunc: Any) -> Compute:
    running = _RUNNING.get(ufunc)

    def accumulate(array: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Any:
        if running is not None:
            return running(array, axis=axis, dtype=dtype, out=out)
        return accumulated(array if dtype is None else array.astype(dtype), axis, ufunc)

    return accumulate


# --- reduce ----------------------------------------------------------------------------------------------------------------------


def _reduce(ufunc: Any) -> Compute:
    """NumPy's own reduction where there is one, else the last running value."""
    reduction = _REDUCTIONS.get(ufunc)

    def named(
        array: Any, axis: Any = 0, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = _NoValue, where: Any = True
    ) -> Any:
        given = {"initial": initial} if initial is not _NoValue and initial is not None else {}
        if dtype is not None:
            array = array.astype(dtype)
        return reduction(array, axis=axis, keepdims=keepdims, **given, **({} if everywhere(where) else {"where": where}))  # type: ignore[misc]

    def folded(
        array: Any, axis: Any = 0, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = _NoValue, where: Any = True
    ) -> Any:
        array = array if dtype is None else array.astype(dtype)
        if not everywhere(where):
            if ufunc.identity is None:
                raise TypeError(f"np.{ufunc.__name__}.reduce: where= needs a ufunc with an identity; index the array first: a[where]")
            array = np.where(where, array, float(ufunc.identity))
        if ufunc in _ORDERLY and len(normalise_axes(axis, array.ndim)) > 1:
            raise ValueError(f"np.{ufunc.__name__}.reduce: the order of the elements matters, so at most one axis can be reduced, not axis={axis}")
        rows = as_rows(array, axis)
        if initial is not _NoValue and initial is not None:
            start = np.broadcast_to(array_of(initial).astype(array.dtype), (*rows.shape[:-1], 1))
            rows = np.concatenate([start, rows], axis=-1)
        if rows.shape[-1] == 0:
            raise ValueError(f"np.{ufunc.__name__}.reduce: no elements to reduce, and no initial value")
        result = accumulated(rows, -1, ufunc)[..., -1]
        return keep_reduced_axes(result, axis, False, array.ndim) if keepdims else result

    return folded if reduction is None else named


# --- outer -----------------------------------------------------------------------------------------------------------------------


def _outer(ufunc: Any) -> Compute:
    def outer(a: Any, b: Any, **keywords: Any) -> Any:
        a, b = array_of(a), array_of(b)
        return ufunc(a.reshape(a.shape + (1,) * b.ndim), b, **keywords)

    return outer


# --- reduceat --------------------------------------------------------------------------------------------------------------------


def _segment_rule(g: Any, like: Any, indices: Any, axis: int) -> Any:
    """Each element gets the gradient of its segment; those before the first segment get none."""
    segments = np.searchsorted(indices, np.arange(indices[0], like.shape[axis]), side="right") - 1
    taken = np.take(g, segments, axis)
    skipped = np.zeros_like(g, shape=tuple(int(indices[0]) if k == axis % like.ndim else n for k, n in enumerate(g.shape)))
    return np.concatenate([skipped, taken], axis=axis)


@op(
    a=_segment_rule,
    linear=True,
    samples=lambda a: [
        c.only("its callers see to an axis and increasing indices") for c in (call(a(6), np.array([1, 2, 5]), 0), call(a(2, 4), np.array([0, 3]), -1))
    ],
)
def segment_sums(a: Any, indices: Any, axis: int) -> Any:
    """Sums of the segments of `a` that begin at the increasing `indices`."""
    return np.add.reduceat(a, indices, axis)


def _reduceat(ufunc: Any) -> Compute:
    reduce = _reduce(ufunc)

    def reduceat(array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Any:
        array = array if dtype is None else array.astype(dtype)
        indices = np.asarray(plain(indices))
        if ufunc is np.add and indices.size and np.all(indices[1:] > indices[:-1]):
            return segment_sums(array, indices, axis)
        before = (slice(None),) * (axis % array.ndim)
        ends = [*indices[1:].tolist(), array.shape[axis]]
        pieces = [
            reduce(array[(*before, slice(i, j))], axis=axis) if i < j else array[(*before, i)] for i, j in zip(indices.tolist(), ends, strict=True)
        ]
        return np.stack(pieces, axis=axis)

    return reduceat


# --- the entries -------------------------------------------------------------------------------------------------------------------


def _array(a: Arrays, ufunc: Any, *shape: int) -> Any:
    """Positive where logarithms and quotients are taken."""
    return a.positive(*shape) if ufunc in (np.divide, np.power, np.hypot, np.float_power, np.remainder, np.fmod) else a(*shape)


def _reduce_calls(ufunc: Any) -> Callable[[Arrays], list[Call]]:
    def make(a: Arrays) -> list[Call]:
        calls = [call(_array(a, ufunc, 3, 2)), call(_array(a, ufunc, 2, 3), axis=-1, keepdims=True), call(_array(a, ufunc, 3), initial=1.5)]
        several = [call(_array(a, ufunc, 2, 3), axis=None), call(_array(a, ufunc, 2, 2, 3), axis=(0, 2))]
        masked = [call(_array(a, ufunc, 2, 3), axis=1, initial=0.5, where=np.array([[True, False, True], [True, True, False]]))]
        orderly = ufunc in _ORDERLY
        return calls + ([] if orderly else several) + ([] if orderly or (ufunc.identity is None and ufunc not in _REDUCTIONS) else masked)

    return make


def _accumulate_calls(ufunc: Any) -> Callable[[Arrays], list[Call]]:
    return lambda a: [call(_array(a, ufunc, 4)), call(_array(a, ufunc, 2, 3), axis=-1), call(_array(a, ufunc, 1, 2))]


def _outer_calls(ufunc: Any) -> Callable[[Arrays], list[Call]]:
    return lambda a: [
        call(_array(a, ufunc, 2), _array(a, ufunc, 3)),
        call(_array(a, ufunc, 2, 1), _array(a, ufunc)),
        call(_array(a, ufunc, 2), [1.5, 2.5]),
    ]


def _reduceat_calls(ufunc: Any) -> Callable[[Arrays], list[Call]]:
    return lambda a: [call(_array(a, ufunc, 6), [1, 3, 5]), call(_array(a, ufunc, 2, 4), np.array([2, 0, 0, 3]), axis=1)]


for _ufunc in (*_REDUCTIONS, *_FOLDED):
    composed((_ufunc, "accumulate"), samples=_accumulate_calls(_ufunc))(_accumulate(_ufunc))
    composed((_ufunc, "outer"), samples=_outer_calls(_ufunc))(_outer(_ufunc))
    if _ufunc not in _NOT_REDUCED:
        composed((_ufunc, "reduce"), samples=_reduce_calls(_ufunc))(_reduce(_ufunc))
        composed((_ufunc, "reduceat"), samples=_reduceat_calls(_ufunc))(_reduceat(_ufunc))

composed((np.divmod, "outer"), samples=_outer_calls(np.divmod))(_outer(np.divmod))
composed((np.ldexp, "outer"), samples=lambda a: [call(a(2), [1, 2, -1]), call(a(2, 1), np.array(3))])(_outer(np.ldexp))
