"""Shape manipulation: the same elements in another shape or order. Gradients go back the same way.

Copies along an axis that broadcasting made are summed in the sweep, so `broadcast_to` has no rule to speak of.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.arrays.shapes import normalise_axes
from autograd_core.define.door import composed, defvjp
from autograd_core.define.samples import call


def inverse_permutation(axes: Any, ndim: int) -> tuple[int, ...] | None:
    """The order of axes that undoes `axes` (None: reversed, its own inverse)."""
    if axes is None:
        return None
    places = normalise_axes(axes if isinstance(axes, tuple | list) else np.atleast_1d(axes).tolist(), ndim)  # a number means one axis
    return tuple(sorted(range(ndim), key=places.__getitem__))


def in_order(function: Any) -> Any:
    """`function` of an array, refusing to read its elements in memory order: a tensor is a value and has no layout."""

    def ordered(a: Any, *args: Any, **kwargs: Any) -> Any:
        order = kwargs.get("order", args[-1] if args else "C")
        if isinstance(order, str) and order in "AK":
            raise TypeError(
                f"{function.__name__}: order={order!r} reads elements as they lie in memory, which is no part of a tensor's value; pass 'C' or 'F'"
            )
        return function(a, *args, **kwargs)

    return ordered


reshape = defvjp(
    np.reshape,
    a=lambda g, like, order: g.reshape(like.shape) if order == "C" else np.reshape(g, like.shape, order=order),
    linear=True,
    signature="a, shape=None, order='C', *, newshape=None, copy=None",
    inert=("shape", "newshape", "copy"),
    structural=True,
    samples=lambda a: [
        call(a(2, 3), (3, 2)),
        call(a(2, 3), -1),
        call(a(2, 3, 2), (4, -1), order="F"),
        call(a(2, 3), (3, 2), "F"),
        call(a(), (1, 1)),
        call(a(1), ()),
        call(a(0, 3), (3, 0, 2)),
        call(a.complex(4), (2, 2)),
    ],
)
reshape.function = in_order(np.reshape)
ravel = defvjp(
    np.ravel,
    a=lambda g, like, order: np.reshape(g, like.shape, order=order),
    signature="a, order='C'",
    structural=True,
    linear=True,
    samples=lambda a: [call(a(2, 3)), call(a(2, 3, 2), "F"), call(a(2, 3).T, order="C"), call(a()), call(a(0, 2)), call(a.complex(2, 2), order="F")],
)
ravel.function = in_order(np.ravel)
defvjp(
    np.transpose,
    a=lambda g, axes: np.transpose(g, inverse_permutation(axes, g.ndim)),
    structural=True,
    linear=True,
    samples=lambda a: [
        call(a(2, 3)),
        call(a(2, 3, 4), (1, 2, 0)),
        call(a(2, 3, 4), [-1, 0, 1]),
        call(a(3), 0),
        call(a(3), -1),
        call(a()),
        call(a(0, 2)),
        call(a.complex(2, 3), axes=(1, 0)),
    ],
)
defvjp(
    np.expand_dims,
    a=lambda g, like: g.reshape(like.shape),
    inert=("axis",),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(2, 3), 0), call(a(2, 3), axis=(0, -1)), call(a(), 0), call(a(0), -1)],
)
defvjp(
    np.squeeze,
    a=lambda g, like: g.reshape(like.shape),
    inert=("axis",),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(1, 3, 1)), call(a(1, 3, 1), 0), call(a(1, 3, 1), axis=(0, -1)), call(a()), call(a(1)), call(a(0, 1), 1), call(a(2, 3))],
)
defvjp(
    np.swapaxes,
    a=lambda g, axis1, axis2: g.swapaxes(axis1, axis2),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(2, 3), 0, 1), call(a(2, 3, 4), -1, 0), call(a(1, 0, 2), 1, 2), call(a.complex(2, 3), axis1=0, axis2=-1)],
)
defvjp(
    np.moveaxis,
    a=lambda g, source, destination: np.moveaxis(g, destination, source),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(2, 3, 4), 0, -1), call(a(2, 3, 4), (0, 2), (1, 0)), call(a(2, 3, 4), [-1], [0]), call(a(2), 0, 0)],
)
defvjp(
    np.matrix_transpose,
    x=lambda g: g.swapaxes(-1, -2),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(2, 3)), call(a(2, 3, 4)), call(a(0, 1)), call(a.complex(2, 3))],
)
defvjp(
    np.broadcast_to,
    array=lambda g: g,  # the sweep sums it back
    inert=("shape", "subok"),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(3), (2, 3)), call(a(2, 1), (4, 2, 3)), call(a(), (2, 2)), call(a(1), (0,)), call(a(2, 3), (2, 3)), call(a(1), 3)],
)
defvjp(
    np.copy,
    a=lambda g: g,
    inert=("order", "subok"),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(2, 3)), call(a(2, 3), order="F"), call(a()), call(a(0, 2)), call(a.complex(3))],
)


@composed(
    np.rollaxis,
    samples=lambda a: [call(a(2, 3, 4), 2), call(a(2, 3, 4), 0, 3), call(a(2, 3, 4), -1, start=1), call(a(2, 3, 4), 1, -1), call(a(2), 0)],
)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """The axis moved to before `start`, as np.rollaxis counts."""
    ndim = a.ndim
    position = operator.index(axis) + ndim * (axis < 0)
    before = operator.index(start) + ndim * (start < 0)
    if not (0 <= position < ndim and 0 <= before <= ndim):
        return np.rollaxis(np.empty(a.shape), axis, start)  # NumPy's own error
    return np.moveaxis(a, position, before - (position < before))


# --- at least so many axes -------------------------------------------------------------------------------------------------


def array_of(value: Any) -> Any:
    """A tensor or array as it is; a number or list as an array."""
    return value if hasattr(value, "shape") else np.asanyarray(value)


def _at_least(promote: Callable[[Any], Any], arrays: tuple[Any, ...]) -> Any:
    results = tuple(promote(array_of(a)) for a in arrays)
    return results[0] if len(results) == 1 else results


@composed(np.atleast_1d, samples=lambda a: [call(a()), call(a(2, 3)), call(a(), a(2)), call(a(0)), call(a(), 3.0)])
def atleast_1d(*arys: Any) -> Any:
    """A 0-d array as one of one element."""
    return _at_least(lambda x: x.reshape(1) if x.ndim == 0 else x, arys)


@composed(np.atleast_2d, samples=lambda a: [call(a()), call(a(3)), call(a(2, 3)), call(a(), a(2), a(1, 1, 2)), call(a(0))])
def atleast_2d(*arys: Any) -> Any:
    """A vector as one row."""
    return _at_least(lambda x: x.reshape((1,) * (2 - x.ndim) + x.shape) if x.ndim < 2 else x, arys)


@composed(np.atleast_3d, samples=lambda a: [call(a()), call(a(3)), call(a(2, 3)), call(a(), a(2), a(1, 2, 2)), call(a(0, 2))])
def atleast_3d(*arys: Any) -> Any:
    """A vector of n as (1, n, 1), a matrix of (m, n) as (m, n, 1)."""
    return _at_least(lambda x: x.reshape((1, *(x.shape or (1,)), 1) if x.ndim < 2 else (*x.shape, 1)) if x.ndim < 3 else x, arys)


# --- another dtype ---------------------------------------------------------------------------------------------------------------

if hasattr(np, "astype"):

    @composed(np.astype, samples=lambda a: [call(a(2, 3), np.complex128), call(a(), np.float64), call(a(0), np.float64, copy=False)])
    def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
        """The same values in another dtype."""
        if device not in (None, "cpu"):
            raise ValueError(f'Device not understood. Only "cpu" is allowed, but received: {device}')
        return x.astype(dtype, copy=copy)
