"""Indexing and item assignment: reading gathers, so its gradient scatters; writing replaces, so its gradient is cleared there.

Reading and scattering are each other's rule, so derivatives of any order follow. In a first-order backward pass nothing of
the size of the whole array is made per read or write: n reads of one array add into one gradient, and a loop of n
assignments passes one gradient back through all of them, cleared at one index after the other.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from autograd_core.arrays.indices import may_repeat
from autograd_core.arrays.layers import ArrayLayer, able_to_hold, kind_of
from autograd_core.define.door import defvjp, op
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.tape.plan import Like
from autograd_core.tensor.items import setitem
from autograd_core.tensor.methods import astype

__all__ = ["add_at", "cleared", "gradient_of_zeros", "scatter"]


def gradient_of_zeros(g: Any, shape: tuple[int, ...]) -> Any:
    """An array of zeros of `g`'s kind and dtype. np.zeros for NumPy's own: the system gives zeroed pages, nothing is written."""
    if isinstance(g, np.ndarray | np.generic):
        return np.zeros(shape, g.dtype)
    return np.zeros_like(g, shape=shape) if issubclass(kind_of(g), ArrayLayer) else np.zeros_like(g, shape=shape, order="C")


def add_at(total: Any, index: Any, values: Any) -> Any:
    """`total[index] += values` in place, where an element that `index` names twice gets both values; returns `total`.

    `np.add.at` is quick for one flat index into one dimension. For rows of a matrix the flat index pays from some thousand
    elements on (1000 rows of 64: 85 us instead of 430), and is ahead of bincount and of sorting.
    """
    if not may_repeat(index):
        if not isinstance(total, np.ndarray) and type(index) is tuple:
            # Dask assigns to no new axes.
            index = tuple(entry for entry in index if entry is not None)
            values = values.reshape(total[index].shape)
        total[index] += values
    elif isinstance(total, ArrayLayer):
        np.add.at(total, index, values)
    elif not isinstance(total, np.ndarray):
        raise TypeError(f"getitem: the gradient at an integer-array index needs NumPy arrays, not {type(total).__name__}; use slices or masks")
    elif values.size > FEW and total.ndim > 1 and total.flags.c_contiguous:
        np.add.at(total.reshape(-1), flat_index(index, total.shape).ravel(), np.ravel(values))
    else:
        np.add.at(total, index, values)
    return total


FEW = 1500  # elements, up to which making a flat index takes longer than it saves


def flat_index(index: Any, shape: tuple[int, ...]) -> Any:
    """For each element of `x[index]`, its place in `x.ravel()`, for an x of `shape`.

    Each axis contributes its coordinate times its stride. If not all of the index is integers, NumPy interprets it: the
    coordinates are gathered from arrays that broadcasting stretches to `shape`, which takes no memory of the size of x. Axes
    after the last entry of the index are taken whole, as one.
    """
    used = _axes_used(index, len(shape))
    whole = math.prod(shape[used:])
    entries = index if type(index) is tuple else (index,)
    only_integers = all(type(entry) is int or (hasattr(entry, "dtype") and entry.dtype.kind in "iu") for entry in entries)
    places: Any = 0
    stride = whole
    for axis in reversed(range(used)):
        if only_integers:
            along = np.where(entries[axis] < 0, entries[axis] + shape[axis], entries[axis]) * stride
        else:
            along = np.broadcast_to((np.arange(shape[axis]) * stride).reshape((-1,) + (1,) * (used - axis - 1)), shape[:used])[index]
        places = places + along
        stride *= shape[axis]
    return places if used == len(shape) else np.expand_dims(places, -1) + np.arange(whole)


def _axes_used(index: Any, ndim: int) -> int:
    """How many leading axes the entries of `index` speak of; all if it has an Ellipsis."""
    entries = index if type(index) is tuple else (index,)
    if any(entry is Ellipsis for entry in entries):
        return ndim
    return sum(_axes_of_entry(entry) for entry in entries)


def _axes_of_entry(entry: Any) -> int:
    if entry is None or isinstance(entry, bool):
        return 0
    return entry.ndim if hasattr(entry, "dtype") and entry.dtype.kind == "b" else 1


# --- reading ---------------------------------------------------------------------------------------------------------------


def _sample_indices(a: Arrays) -> list[Any]:
    mask = np.array([[True, False, True, False], [False, False, True, True], [True, False, False, False]])
    return [
        1,
        -1,
        slice(None, None, -2),
        (slice(1, None), 2),
        (Ellipsis, None, slice(0, 2)),
        (None, 2, 1),
        (),
        slice(2, 2),
        np.array([0, 0, 2]),
        (np.array([[0, -1], [0, 2]]), np.array([1, 3])),
        (np.array([[1], [1]]), slice(1, 3)),
        (slice(None), np.array([2, 0, 2])),
        (np.array([0, 1]), None, np.array([2, 2])),
        mask,
        (np.array([True, False, True]), 1),
        np.array([], dtype=int),
    ]


@op(
    values=lambda g, index: g[index],
    inert=("shape",),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(*np.zeros((3, 4))[i].shape), i, (3, 4)) for i in _sample_indices(a)] + [call(a(), (), ())],
)
def scatter(values: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with `values` added at `index`, repeatedly where it repeats: the adjoint of `x[index]`."""
    return add_read(None, False, values, False, index, Like(shape, values.dtype))


def add_read(total: Any, total_owned: bool, g: Any, g_owned: bool, index: Any, like: Any) -> Any:
    """The gradient of a read, added into what is there already: n small reads of one array never make n large arrays."""
    if isinstance(g, ArrayLayer) and total is not None:
        total = able_to_hold(total, g)
    if total is None:
        total = gradient_of_zeros(g, like.shape)
        if issubclass(kind_of(total), np.ndarray) and not may_repeat(index):
            total[index] = g  # a third of the memory traffic of +=
            return total
    elif not total_owned or isinstance(total, np.generic):
        total = np.array(total) if isinstance(total, np.ndarray | np.generic) else total.copy()
    return add_at(total, index, g)


defvjp(
    operator.getitem,
    x=lambda g, index, like: scatter(g, index, like.shape),
    signature="x, index",
    accumulate={"x": add_read},
    selects=True,
    linear=True,
    samples=lambda a: (
        [call(a(3, 4), i) for i in _sample_indices(a)] + [call(a(), ()), call(a(2, 3, 4), (np.array([0, 0]), slice(None), np.array([1, 1])))]
    ),
)

# --- writing ---------------------------------------------------------------------------------------------------------------


@op
def cleared(x: Any, index: Any) -> Any:
    """A copy of `x` with zeros at `index`."""
    result = np.array(x) if isinstance(x, np.ndarray | np.generic) else x.copy()
    result[index] = 0
    return result


defvjp(cleared, x=lambda g, index: cleared(g, index), selects=True, linear=True, samples=lambda a: [call(a(3, 4), i) for i in _sample_indices(a)])


def _pass_cleared(total: Any, total_owned: bool, g: Any, g_owned: bool, index: Any) -> Any:
    """Hand the gradient of an assignment's result on to what it was before, without what was overwritten.

    The sweep is done with `g` here, so an array of its own is cleared in place and handed on: no copy per assignment.
    """
    if g_owned and not isinstance(g, np.generic):
        g[index] = 0
    else:
        g = cleared(g, index)
    if total is None:
        return g
    g += total
    return g


def _written(g: Any, index: Any, like: Any) -> Any:
    """The gradient of the values written at `index`. Where it names an element twice the last one was written: others get 0."""
    # A copy: the sweep may clear g in place after this.
    taken = g[index].copy()
    if may_repeat(index):
        last = _last_writes(index, g.shape, taken.shape)
        if not last.all():
            taken = np.where(last, taken, 0.0)
    # NumPy ignores leading axes of size 1 that the values have too many.
    extra = like.ndim - taken.ndim
    return taken.reshape((1,) * extra + taken.shape) if extra > 0 else taken


def _last_writes(index: Any, shape: tuple[int, ...], written: tuple[int, ...]) -> Any:
    """Which of the elements written at `index` of an array of `shape` are still there at the end: by writing their numbers."""
    numbers = np.arange(int(np.prod(written, dtype=int))).reshape(written)
    marks = np.empty(shape, dtype=int)  # only the elements at `index` are ever touched
    marks[index] = numbers
    return marks[index] == numbers


def _sample_assignments(a: Arrays) -> list[Call]:
    calls = [call(a(3, 4), i, a(*np.zeros((3, 4))[i].shape)) for i in _sample_indices(a)]
    calls += [call(a(3, 4), i, a()) for i in _sample_indices(a)]
    calls += [call(a(3, 4), slice(None), a(1, 1, 4)), call(a(3, 4), (slice(1, None), slice(1, 3)), a(2, 1)), call(a(), (), a())]
    return calls


defvjp(
    setitem,
    x=lambda g, index: cleared(g, index),
    value=_written,
    accumulate={"x": _pass_cleared},
    selects=True,
    samples=_sample_assignments,
)

defvjp(
    astype,
    # The sweep casts back.
    x=lambda g: g,
    inert=("dtype",),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(2, 3), np.dtype("complex128")), call(a(), np.dtype("float64")), call(a(0, 2), np.dtype("float64"))],
)
