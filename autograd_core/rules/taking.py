"""Taking elements by places, masks and choices: all are ways to index, so most are written as `a[index]`.

How NumPy reads its argument (`mode="wrap"`, a short condition, which numbers `delete` leaves over) is settled on integers
first; what then happens to the values is plain indexing, with indexing's rules.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from autograd_core.arrays.indices import along, settled
from autograd_core.arrays.shapes import normalise_axes
from autograd_core.define.door import composed, op
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.indexing import add_read, scatter
from autograd_core.rules.shapes import array_of
from autograd_core.tensor.handles import plain, untracked
from autograd_core.tensor.tensor import Tensor


def settled_places(indices: Any, length: int, mode: str) -> Any:
    """`indices` into an axis of `length` as np.take's and np.choose's `mode` reads them."""
    indices = settled(plain(indices)) if np.ndim(plain(indices)) else operator.index(plain(indices))
    if mode == "raise":
        return indices
    if mode not in ("wrap", "clip"):
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")
    return indices % length if mode == "wrap" else np.clip(indices, 0, length - 1)


def axis_of(axis: Any, ndim: int) -> int:
    """`axis` counted from the front, or NumPy's error if there is no such axis."""
    position = operator.index(axis)
    if not -ndim <= position < ndim:
        raise np.exceptions.AxisError(position, ndim)
    return normalise_axes(position, ndim)[0]


# --- np.take ---------------------------------------------------------------------------------------------------------------


def _sample_takes(a: Arrays) -> list[Call]:
    return [
        call(a(4), np.array([0, 0, 3])),
        call(a(2, 3), np.array([[0, 2], [1, -1]]), 1),
        call(a(2, 3), 1, 0),
        call(a(2, 3, 2), np.array([1, 1]), 1),
        call(a(3), np.array([], dtype=int), 0),
        call(a(2, 0), np.array([1, 1, 0]), 0),
        call(a.complex(3), np.array([1, 2]), 0),
    ]


def _add_taken(total: Any, total_owned: bool, g: Any, g_owned: bool, indices: Any, axis: int, like: Any) -> Any:
    return add_read(total, total_owned, g, g_owned, along(axis, indices), like)


@op(
    a=lambda g, indices, axis, like: scatter(g, along(axis, indices), like.shape),
    accumulate={"a": _add_taken},
    selects=True,
    linear=True,
    samples=lambda a: [c.only("its callers count axes from the front") for c in _sample_takes(a) if c.args[0].ndim == 1 or len(c.args) > 2][1:],
)
def taken(a: Any, indices: Any, axis: int) -> Any:
    """`np.take` with its keywords settled: it is quicker than `a[..., indices]`, which means the same."""
    return np.take(a, indices, axis=axis)


@composed(
    np.take,
    samples=lambda a: [
        *_sample_takes(a),
        call(a(2, 3), [5, -7, 2], mode="wrap"),
        call(a(2, 3), [5, -7, 1], axis=-1, mode="clip"),
        call(a(2, 3), 4),
        call(a(), [0, 0]),
        call(a(), [0, 0], axis=0),
        call(a(2, 3), [[0]], axis=0),
    ],
)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    """The elements, or slices along `axis`, at `indices`."""
    _refuse_out("take", out)
    a = np.atleast_1d(array_of(a)) if axis is not None else np.ravel(a)
    axis = 0 if axis is None else axis_of(axis, a.ndim)
    if isinstance(a, Tensor):
        return taken(a, settled_places(indices, a.shape[axis], mode), axis)
    return np.take(a, plain(indices), axis=axis, mode=mode)  # type: ignore[call-overload]


def _refuse_out(name: str, out: Any) -> None:
    if out is not None:
        raise TypeError(f"{name}: out= is not supported with tensors, which are values; write the result to a name: y = {name}(...)")


def along_index(indices: Any, shape: tuple[int, ...], axis: int) -> tuple[Any, ...]:
    """The index by which `take_along_axis` and `put_along_axis` read and write: `indices` on `axis`, all the places on others."""
    if np.ndim(indices) != len(shape):
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    if indices.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    places = [np.arange(n).reshape((-1,) + (1,) * (len(shape) - k - 1)) for k, n in enumerate(shape)]
    return (*places[:axis], indices, *places[axis + 1 :])


@composed(
    np.take_along_axis,
    samples=lambda a: [
        call(a(2, 3), np.array([[2, 0], [1, 1]]), 1),
        call(a(2, 3), np.array([[1, 0, 1]]), axis=0),
        call(a(2, 3), np.array([[2], [0]]), axis=-1),
        call(a(2, 3), np.array([4, 4, 0]), axis=None),
        call(a(1, 3), np.array([[0, 1], [2, 2]]), 1),
        call(a.complex(3), np.array([2, 0]), 0),
        call(a(0, 2), np.zeros((0, 1), int), 1),
    ],
)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """The element at `indices` in each row along `axis`."""
    arr, indices = array_of(arr), plain(indices)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    return arr[along_index(indices, arr.shape, axis_of(axis, arr.ndim))]


# --- by a condition --------------------------------------------------------------------------------------------------------------


@composed(
    np.compress,
    samples=lambda a: [
        call([True, False, True], a(3)),
        call(np.array([False, True]), a(2, 3), axis=1),
        call([0, 1], a(2, 3)),
        call([True, True], a(2, 2), -1),
        call([False], a.complex(2)),
    ],
)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    """The slices along `axis` (elements of the flattened array without one) for which `condition` holds."""
    _refuse_out("compress", out)
    condition = np.asarray(plain(condition))
    if condition.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    return take(a, np.flatnonzero(condition), axis)


@composed(np.extract, samples=lambda a: [call(np.array([True, False, True]), a(3)), call(a.mask(2, 3), a(2, 3)), call([[1, 0]], a(1, 2))])
def extract(condition: Any, arr: Any) -> Any:
    """The elements, in a row, for which `condition` holds."""
    return take(np.ravel(arr), np.flatnonzero(plain(condition)))


@composed(
    np.delete,
    samples=lambda a: [
        call(a(4), 1),
        call(a(2, 3), [0, 2], axis=1),
        call(a(2, 3), slice(1, None), -1),
        call(a(2, 3), [1, 1, -1]),
        call(a(4), np.array([True, False, False, True])),
        call(a(2, 3), [], 0),
        call(a.complex(3), 0),
    ],
)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """The array without the places `obj`."""
    arr = np.ravel(arr) if axis is None else array_of(arr)
    axis = 0 if axis is None else axis_of(axis, arr.ndim)
    return take(arr, np.delete(np.arange(arr.shape[axis]), plain(obj)), axis)


# --- by choosing among arrays ----------------------------------------------------------------------------------------------------


@composed(
    np.choose,
    samples=lambda a: [
        call(np.array([1, 0, 1]), [a(3), a(3)]),
        call(np.array([[2], [0]]), [a(3), a(2, 3), a()]),
        call(np.array([4, -1]), [a(2), a(2), 1.5], mode="wrap"),
        call(np.array([4, -1]), (a(2), a(2)), mode="clip"),
        call(np.array([1, 0]), a(2, 2)),
        call(1, [a(2), a(2)]),
        call(np.array([0, 1]), [a(2), a.complex(2)]),
    ],
)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """At each place the element of the array that `a` names there."""
    _refuse_out("choose", out)
    choices = list(choices)
    places = np.asarray(settled_places(a, len(choices), mode))
    if places.size and (places.min() < 0 or places.max() >= len(choices)):
        raise ValueError("invalid entry in choice array")
    shape = np.broadcast_shapes(places.shape, *(np.shape(c) for c in choices))
    dtype = np.result_type(*(c.dtype if hasattr(c, "dtype") else c for c in choices))
    layers = np.stack([np.broadcast_to(array_of(c), shape) for c in choices], dtype=dtype)
    return take_along_axis(layers, np.broadcast_to(places, shape)[None], 0)[0]


@composed(
    np.select,
    samples=lambda a: [
        call([a.mask(3), a.mask(3)], [a(3), a(3)]),
        call([a.mask(2, 3), a.mask(3)], [a(2, 3), a()], default=a(3)),
        call([a.mask(3)], [a(3)], -1.0),
        call([np.array(True)], [a()]),
        call([a.mask(2)], [a.complex(2)], a(2)),
    ],
)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """At each place the element of the first choice whose condition holds there, `default` where none does."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if not condlist:
        raise ValueError("select with an empty condition list is not possible")
    dtype = np.result_type(*(c.dtype if hasattr(c, "dtype") else c for c in (*choicelist, default)))
    result = default
    for number, (condition, choice) in reversed(list(enumerate(zip(condlist, choicelist, strict=True)))):
        if array_of(condition).dtype != bool:
            raise TypeError(f"invalid entry {number} in condlist: should be boolean ndarray")
        result = np.where(plain(condition), choice, result)
    return result if result.dtype == dtype else result.astype(dtype)


@composed(
    np.piecewise,
    samples=lambda a: [
        call(np.array([-1.5, -0.5, 0.5, 1.5]), [np.array([True, True, False, False])], [lambda x: -x * x, lambda x: x]),
        call(a(2, 3), [a.mask(2, 3)], [lambda x: np.exp(x)]),
        call(a(3), [np.array([True, False, False]), np.array([False, True, False])], [2.0, lambda x, k: k * x, 5.0], 3.0),
        call(a(), True, [lambda x: x * x]),
        call(a.complex(2), a.mask(2), [lambda x: x * x, 0]),
    ],
)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """`funclist[i](x[condlist[i]])` at the places where the condition holds; one function more is for the others."""
    x, condlist = array_of(x), plain(condlist)
    if np.isscalar(condlist) or not (isinstance(condlist[0], list | np.ndarray) or x.ndim == 0):
        condlist = [condlist]
    conditions = np.asarray(condlist, dtype=bool)
    if len(funclist) == len(conditions) + 1:
        conditions = np.concatenate([conditions, ~conditions.any(axis=0, keepdims=True)], axis=0)
    elif len(funclist) != len(conditions):
        raise ValueError(f"with {len(conditions)} condition(s), either {len(conditions)} or {len(conditions) + 1} functions are expected")
    result = untracked(np.zeros(x.shape, x.dtype))
    for condition, function in zip(conditions, funclist, strict=True):
        if not callable(function):
            result[condition] = function
        elif condition.any():
            result[condition] = function(x[condition], *args, **kw)
    return result
