"""Products of arrays: matmul and its relatives, dot, outer, tensordot, kron and cross.

Each is linear in each of its arguments, so a rule is the same kind of product of the gradient with the other argument, and
any order of derivative follows. Most are `holomorphic`: their rules know no conjugates, which Dask arrays lack as a method.
Einstein sums have a file of their own (einsum.py). The rule of a matrix product costs one matrix product: it is where a
neural network spends its time.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.define.door import composed, defvjp
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.matrices import arrayed

# --- matmul ------------------------------------------------------------------------------------------------------------------


def matmul_first(g: Any, like: Any, x2: Any) -> Any:
    """The gradient of `x1 @ x2` for x1: g x2^T, with NumPy's meaning of vectors and of stacks of matrices."""
    ndim = x2.ndim
    if ndim == 2 and like.ndim != 1:
        return g @ x2.T
    if ndim == 1:
        return g.reshape((*g.shape, 1)) * x2 if like.ndim > 1 else g * x2
    if like.ndim == 1:
        return np.matmul(x2, g.reshape((*g.shape, 1))).reshape((*g.shape[:-1], like.shape[0]))
    if like.ndim == 2:
        # One matrix for a whole stack: sum over the stack inside the product, not after it.
        inner = (*range(ndim - 2), ndim - 1)
        return np.tensordot(g, x2, (inner, inner))
    return g @ x2.swapaxes(-1, -2)


def matmul_second(g: Any, like: Any, x1: Any) -> Any:
    """The gradient of `x1 @ x2` for x2: x1^T g."""
    ndim = x1.ndim
    if ndim == 2 and like.ndim == 2:
        return x1.T @ g
    if ndim == 1:
        return x1.reshape((-1, 1)) * g.reshape((*g.shape[:-1], 1, g.shape[-1])) if like.ndim > 1 else g * x1
    if like.ndim == 1:
        return np.tensordot(g, x1, g.ndim)
    if like.ndim == 2:
        # A layer's weights under inputs of shape (batch, time, features): one product of two tall matrices.
        rows = math.prod(x1.shape[:-1])
        return x1.reshape((rows, x1.shape[-1])).T @ g.reshape((rows, g.shape[-1]))
    return x1.swapaxes(-1, -2) @ g


def _matmul_samples(a: Arrays) -> list[Call]:
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        *[((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2))],
        *[((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)), ((2, 2, 3), (2, 3, 1)), ((2, 1, 2, 3), (3, 3, 2)), ((1, 2, 3), (2, 3, 2))],
        *[((2, 2, 3), (3,)), ((3,), (2, 3, 2)), ((2, 0), (0, 3)), ((0, 3), (3, 2)), ((2, 0, 3), (3, 2)), ((0, 2, 3), (0, 3, 1)), ((0,), (0,))],
    ]
    complex_calls = [call(a.complex(2, 3), a.complex(3, 2)), call(a.complex(2, 2, 3), a(3, 2)), call(a.complex(3), a.complex(3))]
    return [*[call(a(*s), a(*t)) for s, t in shapes], *complex_calls]


defvjp(np.matmul, x1=matmul_first, x2=matmul_second, holomorphic=True, linear=True, samples=_matmul_samples)
composed(np.linalg.matmul, samples=lambda a: [call(a(2, 3), a(3, 2)), call(a(2, 2, 3), a(3, 2)), call(a.complex(3), a.complex(3, 2))])(np.matmul)

# --- dot, vdot, inner, outer -------------------------------------------------------------------------------------------------


def _dot_first(g: Any, like: Any, b: Any) -> Any:
    b = arrayed(b)
    if like.ndim == 0 or b.ndim == 0:
        return g * b
    if like.ndim == b.ndim == 2:
        return g @ b.T
    free = tuple(axis for axis in range(b.ndim) if axis != max(b.ndim - 2, 0))
    return np.tensordot(g, b, (tuple(range(like.ndim - 1, g.ndim)), free))


def _dot_second(g: Any, like: Any, a: Any) -> Any:
    a = arrayed(a)
    if like.ndim == 0 or a.ndim == 0:
        return g * a
    if like.ndim == a.ndim == 2:
        return a.T @ g
    free = tuple(range(a.ndim - 1))
    result = np.tensordot(a, g, (free, free))  # (K, ...) and K belongs before the last axis
    return result if like.ndim == 1 else np.moveaxis(result, 0, -2)


_DOT_SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    *[((), ()), ((), (2, 3)), ((2, 3), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((2, 1, 3), (3,))],
    *[((3,), (2, 3, 2)), ((2, 3), (2, 3, 2)), ((2, 1, 3), (2, 3, 2)), ((2, 0), (0, 2)), ((0, 3), (3, 2)), ((2, 2), (1, 2, 2))],
]

defvjp(
    np.dot,
    signature="a, b, out=None",
    holomorphic=True,
    a=_dot_first,
    b=_dot_second,
    linear=True,
    samples=lambda a: [*[call(a(*s), a(*t)) for s, t in _DOT_SHAPES], call(a.complex(2, 3), a.complex(2, 3, 2))],
)

defvjp(
    np.vdot,
    signature="a, b",
    a=lambda g, like, b: (np.conjugate(g) * b).reshape(like.shape),
    b=lambda g, like, a: (g * a).reshape(like.shape),
    linear=True,
    samples=lambda a: [
        *[call(a(3), a(3)), call(a(2, 3), a(2, 3)), call(a(2, 2), a(2, 2).T), call(a(), a()), call(a(0), a(0))],
        *[call(a.complex(3), a.complex(3)), call(a.complex(2, 2), a(2, 2)), call(a(3), a.complex(3))],
    ],
)


def _inner_first(g: Any, like: Any, b: Any) -> Any:
    b = arrayed(b)
    if like.ndim == 0 or b.ndim == 0:
        return g * b
    return np.tensordot(g, b, (tuple(range(like.ndim - 1, g.ndim)), tuple(range(b.ndim - 1))))


def _inner_second(g: Any, like: Any, a: Any) -> Any:
    a = arrayed(a)
    if like.ndim == 0 or a.ndim == 0:
        return g * a
    free = tuple(range(a.ndim - 1))
    return np.tensordot(g, a, (free, free))


_INNER_SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    *[((), ()), ((), (2, 3)), ((2, 3), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 3), (4, 3)), ((2, 1, 3), (2, 3))],
    *[((2, 3), (2, 2, 3)), ((2, 0), (3, 0)), ((0, 3), (2, 3))],
]

defvjp(
    np.inner,
    signature="a, b",
    holomorphic=True,
    a=_inner_first,
    b=_inner_second,
    linear=True,
    samples=lambda a: [*[call(a(*s), a(*t)) for s, t in _INNER_SHAPES], call(a.complex(2, 3), a.complex(2, 3))],
)


def _outer_first(g: Any, like: Any, b: Any) -> Any:
    return np.matmul(g, arrayed(b).reshape((-1,))).reshape(like.shape)


def _outer_second(g: Any, like: Any, a: Any) -> Any:
    return np.matmul(arrayed(a).reshape((-1,)), g).reshape(like.shape)


defvjp(
    np.outer,
    holomorphic=True,
    a=_outer_first,
    b=_outer_second,
    linear=True,
    samples=lambda a: [
        *[call(a(2), a(3)), call(a(2, 2), a(3)), call(a(), a(3)), call(a(1), a(2, 1)), call(a(0), a(3)), call(a(2), a(0))],
        call(a.complex(2), a.complex(3)),
    ],
)
defvjp(
    np.linalg.outer,
    holomorphic=True,
    x1=lambda g, like, x2: _outer_first(g, like, x2),
    x2=lambda g, like, x1: _outer_second(g, like, x1),
    linear=True,
    samples=lambda a: [call(a(2), a(3)), call(a(0), a(3)), call(a.complex(2), a.complex(3))],
)

# --- vecdot, matvec, vecmat: products over core axes, with the axes before them broadcast -----------------------------------


def _core_last(g: Any, axis: Any, keepdims: Any) -> Any:
    """The gradient of vecdot with the axis that was summed over back, as the last one, of size 1."""
    return np.moveaxis(g, axis, -1) if keepdims else g.reshape((*g.shape, 1))


def _core_back(product: Any, like: Any, axis: int) -> Any:
    """Put the last axis of `product` where `like` has its core axis, counted from the end so that broadcasting stays aligned."""
    return product if axis == -1 else np.moveaxis(product, -1, axis - like.ndim if axis >= 0 else axis)


def _vecdot_first(g: Any, like: Any, x2: Any, axis: Any, keepdims: Any) -> Any:
    return _core_back(np.conjugate(_core_last(g, axis, keepdims)) * np.moveaxis(x2, axis, -1), like, axis)


def _vecdot_second(g: Any, like: Any, x1: Any, axis: Any, keepdims: Any) -> Any:
    return _core_back(_core_last(g, axis, keepdims) * np.moveaxis(x1, axis, -1), like, axis)


def _vecdot_samples(a: Arrays) -> list[Call]:
    return [
        *[call(a(3), a(3)), call(a(2, 3), a(2, 3)), call(a(2, 3), a(3)), call(a(2, 1, 3), a(2, 3)), call(a(2, 0), a(0)), call(a(0, 3), a(3))],
        *[call(a(3, 2), a(3, 2), axis=0), call(a(2, 3, 2), a(2, 3, 1), axis=-2), call(a(3, 2), a(3), axis=0)],
        *[call(a.complex(2, 3), a.complex(3)), call(a(3), a.complex(2, 3))],
    ]


defvjp(
    np.vecdot,
    signature="x1, x2, axis=-1, keepdims=False",
    x1=_vecdot_first,
    x2=_vecdot_second,
    linear=True,
    samples=lambda a: [*_vecdot_samples(a), call(a(2, 3), a(3), keepdims=True), call(a(3, 2), a(3, 2), axis=0, keepdims=True)],
)


@composed(np.linalg.vecdot, samples=_vecdot_samples)
def _linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return np.vecdot(x1, x2, axis=axis)  # type: ignore[call-overload]


def _outermost(x1: Any, x2: Any) -> Any:
    """(..., m) and (..., n) to (..., m, n)."""
    return x1.reshape((*x1.shape, 1)) * x2.reshape((*x2.shape[:-1], 1, x2.shape[-1]))


if hasattr(np, "matvec"):  # NumPy 2.2
    defvjp(
        np.matvec,
        holomorphic=True,
        x1=lambda g, x2: _outermost(g, x2),
        x2=lambda g, x1: np.matvec(x1.swapaxes(-1, -2), g),
        linear=True,
        samples=lambda a: [
            *[call(a(2, 3), a(3)), call(a(2, 2, 3), a(3)), call(a(2, 3), a(4, 3)), call(a(2, 1, 2, 3), a(3, 3)), call(a(2, 0), a(0))],
            *[call(a(0, 3), a(3)), call(a.complex(2, 3), a.complex(2, 3))],
        ],
    )
    defvjp(
        np.vecmat,  # x1^H x2
        x1=lambda g, x2: np.matvec(x2, np.conjugate(g)),
        x2=lambda g, x1: _outermost(x1, g),
        linear=True,
        samples=lambda a: [
            *[call(a(2), a(2, 3)), call(a(2), a(2, 2, 3)), call(a(4, 2), a(2, 3)), call(a(3, 2), a(2, 1, 2, 3)), call(a(0), a(0, 2))],
            *[call(a(3), a(3, 0)), call(a.complex(2, 2), a.complex(2, 3))],
        ],
    )

# --- tensordot, kron, cross --------------------------------------------------------------------------------------------------


def _contracted(axes: Any, ndim1: int, ndim2: int) -> tuple[list[int], list[int]]:
    """The axes that `tensordot` sums over, of its first and of its second argument, none negative."""
    if np.ndim(axes) == 0 and not isinstance(axes, list | tuple):
        return list(range(ndim1 - int(axes), ndim1)), list(range(int(axes)))
    first, second = axes
    firsts, seconds = ([int(i) for i in np.atleast_1d(side)] for side in (first, second))
    return [i % ndim1 for i in firsts], [i % ndim2 for i in seconds]


def _tensordot_gradient(g: Any, other: Any, summed: list[int], others_summed: list[int], ndim: int, g_axes: tuple[int, ...]) -> Any:
    """The gradient of one argument: `g` contracted with `other` over other's free axes, which are `g_axes` of g."""
    free = [axis for axis in range(ndim) if axis not in summed]
    others_free = [axis for axis in range(other.ndim) if axis not in others_summed]
    result = np.tensordot(g, other, (g_axes, others_free))  # axes: ours that are free, then other's summed ones, ascending
    sources = [*free, *[summed[others_summed.index(axis)] for axis in sorted(others_summed)]]
    order = [sources.index(axis) for axis in range(ndim)]
    return result if order == list(range(ndim)) else np.transpose(result, order)


def _tensordot_first(g: Any, like: Any, b: Any, axes: Any) -> Any:
    firsts, seconds = _contracted(axes, like.ndim, b.ndim)
    return _tensordot_gradient(g, b, firsts, seconds, like.ndim, tuple(range(like.ndim - len(firsts), g.ndim)))


def _tensordot_second(g: Any, like: Any, a: Any, axes: Any) -> Any:
    firsts, seconds = _contracted(axes, a.ndim, like.ndim)
    return _tensordot_gradient(g, a, seconds, firsts, like.ndim, tuple(range(a.ndim - len(firsts))))


def _tensordot_samples(a: Arrays) -> list[Call]:
    return [
        *[call(a(2, 3, 2), a(3, 2, 2)), call(a(2, 3), a(3, 2), axes=1), call(a(2), a(3), axes=0), call(a(2, 3), a(3, 2), axes=(1, 0))],
        *[call(a(2, 3, 4), a(4, 2, 3), axes=((0, 2), (1, 0))), call(a(2, 3, 4), a(3, 2, 4), axes=([1, 0, -1], [0, 1, 2]))],
        *[call(a(2, 3), a(2, 3), axes=((0, 1), (0, 1))), call(a(), a(2), axes=0), call(a(2, 0), a(0, 3), axes=1), call(a(0, 2), a(2, 3), axes=1)],
        call(a.complex(2, 3), a.complex(3, 2, 2), axes=([-1, 0], [0, -1])),
    ]


defvjp(np.tensordot, a=_tensordot_first, b=_tensordot_second, holomorphic=True, linear=True, samples=_tensordot_samples)


@composed(np.linalg.tensordot, samples=_tensordot_samples)
def _linalg_tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    return np.tensordot(x1, x2, axes=axes)


def _kron_gradient(g: Any, like: Any, other: Any, which: int) -> Any:
    """`kron` is an outer product whose axes are merged pairwise: split them, and sum over the other's."""
    other = arrayed(other)
    ndim = max(like.ndim, other.ndim)
    ours = (1,) * (ndim - like.ndim) + like.shape
    others = (1,) * (ndim - other.ndim) + other.shape
    pairs = zip(ours, others, strict=True) if which == 0 else zip(others, ours, strict=True)
    split = g.reshape(tuple(n for pair in pairs for n in pair))
    summed = tuple(range(1 - which, 2 * ndim, 2))
    return np.tensordot(split, other.reshape(others), (summed, tuple(range(ndim)))).reshape(like.shape)


defvjp(
    np.kron,
    holomorphic=True,
    a=lambda g, like, b: _kron_gradient(g, like, b, 0),
    b=lambda g, like, a: _kron_gradient(g, like, a, 1),
    linear=True,
    samples=lambda a: [
        *[call(a(2), a(3)), call(a(2, 3), a(3, 2)), call(a(2), a(2, 3)), call(a(2, 2, 1), a(3)), call(a(), a(3)), call(a(), a()), call(a(0), a(3))],
        call(a.complex(2, 2), a.complex(2)),
    ],
)


def _third(x: Any) -> Any:
    """Vectors of length 2 as vectors of length 3 with nothing in the third place."""
    return x if x.shape[-1] == 3 else np.concatenate((x, 0 * x[..., :1]), axis=-1)


def _cross_gradient(g: Any, like: Any, other: Any, axis: int, others_axis: int, axisc: int, which: int) -> Any:
    other = np.moveaxis(other, others_axis, -1)
    if other.shape[-1] == like.shape[axis] == 2:  # two plane vectors: the result is the third component alone
        normal = g.reshape((*g.shape, 1))
        g = np.concatenate((0 * normal, 0 * normal, normal), axis=-1)
    else:
        g = np.moveaxis(g, axisc, -1)
    other = _third(other)
    result = np.cross(other, g) if which == 0 else np.cross(g, other)
    return _core_back(result[..., : like.shape[axis]], like, axis)


def _cross_first(g: Any, like: Any, b: Any, axisa: int, axisb: int, axisc: int, axis: Any) -> Any:
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis, axis, axis)
    return _cross_gradient(g, like, b, axisa, axisb, axisc, 0)


def _cross_second(g: Any, like: Any, a: Any, axisa: int, axisb: int, axisc: int, axis: Any) -> Any:
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis, axis, axis)
    return _cross_gradient(g, like, a, axisb, axisa, axisc, 1)


# Vectors of length 2 are differentiated too, but have no sample: NumPy is about to drop them and warns.
defvjp(
    np.cross,
    holomorphic=True,
    a=_cross_first,
    b=_cross_second,
    linear=True,
    samples=lambda a: [
        *[call(a(3), a(3)), call(a(2, 3), a(2, 3)), call(a(2, 3), a(3)), call(a(3, 2), a(3, 2), axis=0), call(a(2, 1, 3), a(2, 3))],
        *[call(a(3, 2), a(2, 3), axisa=0), call(a(2, 3), a(3, 2), axisb=0, axisc=0), call(a(3, 2), a(3), axisa=0, axisb=0), call(a(0, 3), a(3))],
        call(a.complex(3), a.complex(2, 3)),
    ],
)
defvjp(
    np.linalg.cross,
    holomorphic=True,
    x1=lambda g, like, x2, axis: _cross_gradient(g, like, x2, axis, axis, axis, 0),
    x2=lambda g, like, x1, axis: _cross_gradient(g, like, x1, axis, axis, axis, 1),
    linear=True,
    samples=lambda a: [call(a(3), a(3)), call(a(2, 3), a(3)), call(a(3, 2), a(3, 1), axis=0), call(a.complex(2, 3), a.complex(2, 3))],
)
