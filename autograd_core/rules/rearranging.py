"""Rearranging: elements turned over, shifted, repeated, put on a diagonal or cut to a triangle.

All of these are linear, so a rule is the transposed map: shift back, sum the copies, take the diagonal.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.arrays.indices import along
from autograd_core.arrays.shapes import normalise_axes
from autograd_core.define.door import composed, defvjp, op
from autograd_core.define.samples import call
from autograd_core.rules.indexing import gradient_of_zeros, scatter

# --- turning and shifting --------------------------------------------------------------------------------------------------

defvjp(
    np.flip,
    m=lambda g, axis: np.flip(g, axis),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(2, 3)), call(a(2, 3), 0), call(a(2, 3, 2), axis=(0, -1)), call(a()), call(a(0, 2), 1), call(a.complex(3))],
)
defvjp(np.fliplr, m=lambda g: np.fliplr(g), structural=True, linear=True, samples=lambda a: [call(a(2, 3)), call(a(2, 1, 2)), call(a.complex(2, 2))])
defvjp(
    np.flipud,
    m=lambda g: np.flipud(g),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(2, 3)), call(a(3)), call(a(0, 2)), call(a.complex(2))],
)
defvjp(
    np.rot90,
    m=lambda g, k, axes: np.rot90(g, -k, axes),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(2, 3)), call(a(2, 3), 2), call(a(2, 3, 2), -1, (1, 2)), call(a(2, 3, 2), k=5, axes=(-1, 0)), call(a.complex(2, 2), 3)],
)


def _negative(shift: Any) -> Any:
    return tuple(-s for s in shift) if isinstance(shift, tuple | list) else -shift


defvjp(
    np.roll,
    a=lambda g, shift, axis: np.roll(g, _negative(shift), axis),
    structural=True,
    linear=True,
    samples=lambda a: [
        call(a(2, 3), 2),
        call(a(2, 3), -1, 1),
        call(a(2, 3), (1, 2), axis=(0, -1)),
        call(a(2, 3), (1, 1), axis=1),
        call(a(2, 3), 1, axis=(0, 1)),
        call(a(), 1),
        call(a(0, 2), 1, 0),
        call(a.complex(3), 1),
    ],
)

# --- repeating ---------------------------------------------------------------------------------------------------------------


def _untiled(g: Any, like: Any, reps: Any) -> Any:
    """The sum of the tiles: one axis for the tiles before each axis of a tile."""
    reps = tuple(np.ravel(reps).tolist())
    shape = (1,) * (len(reps) - like.ndim) + like.shape
    reps = (1,) * (len(shape) - len(reps)) + reps
    tiles = [n for pair in zip(reps, shape, strict=True) for n in pair]
    return g.reshape(tuple(tiles)).sum(axis=tuple(range(0, len(tiles), 2))).reshape(like.shape)


defvjp(
    np.tile,
    A=_untiled,
    structural=True,
    linear=True,
    samples=lambda a: [
        call(a(2, 3), 2),
        call(a(2, 3), (2, 1)),
        call(a(3), (2, 1, 2)),
        call(a(2, 3, 2), [2, 3]),
        call(a(), 3),
        call(a(2), ()),
        call(a(2), 0),
        call(a(0, 2), (1, 2)),
        call(a.complex(2), np.array([2])),
    ],
)


def _unrepeated(g: Any, like: Any, repeats: Any, axis: Any) -> Any:
    """The sum of an element's copies; where their numbers differ, each copy is added at the place that it came from."""
    # NumPy takes a number for an array of one element, with an axis too.
    shape = (like.size,) if axis is None or not like.shape else like.shape
    (axis,) = (0,) if axis is None else normalise_axes(axis, like.ndim)
    repeats = np.asarray(repeats)
    if repeats.size == 1:
        copies = (*shape[: axis + 1], repeats.item(), *shape[axis + 1 :])
        return g.reshape(copies).sum(axis=axis + 1).reshape(like.shape)
    return scatter(g, along(axis, np.repeat(np.arange(shape[axis]), repeats)), shape).reshape(like.shape)


defvjp(
    np.repeat,
    a=_unrepeated,
    signature="a, repeats, axis=None",
    structural=True,
    linear=True,
    samples=lambda a: [
        call(a(2, 3), 2),
        call(a(2, 3), 2, axis=0),
        call(a(2, 3), 3, -1),
        call(a(2, 3), [1, 0, 2], axis=1),
        call(a(3), np.array([2, 3, 1])),
        call(a(2, 3), [2], 1),
        call(a(), 3),
        call(a(), 3, axis=0),
        call(a(), [2], -1),
        call(a(2), 0),
        call(a(0, 2), 2, 1),
        call(a.complex(2), (1, 2)),
    ],
)


def _unresized(g: Any, like: Any) -> Any:
    if like.size == 0:
        return gradient_of_zeros(g, like.shape)
    return scatter(np.ravel(g), (np.arange(g.size) % like.size,), (like.size,)).reshape(like.shape)


defvjp(
    np.resize,
    a=_unresized,
    inert=("new_shape",),
    structural=True,
    linear=True,
    samples=lambda a: [
        call(a(2, 3), (2, 2)),
        call(a(2, 3), (4, 4)),
        call(a(2), 5),
        call(a(), (2, 2)),
        call(a(3), 0),
        call(a(0), 3),
        call(a.complex(2), 3),
    ],
)

# --- diagonals ---------------------------------------------------------------------------------------------------------------


def diagonal_length(rows: int, columns: int, offset: int) -> int:
    """How many elements the diagonal at `offset` of a matrix has."""
    return max(0, min(rows + min(offset, 0), columns - max(offset, 0)))


@op(
    values=lambda g, offset, axis1, axis2: np.diagonal(g, offset, axis1, axis2),
    inert=("shape",),
    structural=True,
    linear=True,
    samples=lambda a: [
        call(a(3), 0, 0, 1, (3, 3)),
        call(a(2), 1, 0, 1, (3, 3)),
        call(a(2, 2), -1, 0, -1, (3, 2, 4)),
        call(a(2, 0), 5, 1, 2, (2, 3, 3)),
        call(a.complex(2), 0, 1, 0, (2, 4)),
    ],
)
def from_diagonal(values: Any, offset: int, axis1: int, axis2: int, shape: tuple[int, ...]) -> Any:
    """Zeros of `shape` with a diagonal of `values`: the adjoint of `np.diagonal`."""
    result = gradient_of_zeros(values, shape)
    places = np.arange(values.shape[-1])
    np.moveaxis(result, (axis1, axis2), (-2, -1))[..., places - min(offset, 0), places + max(offset, 0)] = values
    return result


defvjp(
    np.diagonal,
    a=lambda g, like, offset, axis1, axis2: from_diagonal(g, offset, axis1, axis2, like.shape),
    selects=True,
    linear=True,
    samples=lambda a: [
        call(a(3, 3)),
        call(a(3, 4), 1),
        call(a(3, 2), offset=-1),
        call(a(2, 3, 4), 0, -1, 0),
        call(a(2, 3), 7),
        call(a(0, 2)),
        call(a.complex(2, 2)),
    ],
)


def _traced(g: Any, like: Any, offset: int, axis1: int, axis2: int) -> Any:
    ones = (*g.shape, diagonal_length(like.shape[axis1], like.shape[axis2], offset))
    return from_diagonal(np.broadcast_to(np.expand_dims(g, -1), ones), offset, axis1, axis2, like.shape)


defvjp(
    np.trace,
    a=_traced,
    inert=("dtype",),
    selects=True,
    linear=True,
    samples=lambda a: [
        call(a(3, 3)),
        call(a(3, 4), 1),
        call(a(3, 2), offset=-1),
        call(a(2, 3, 4), 0, -1, 0),
        call(a(2, 3), 7),
        call(a(0, 2)),
        call(a(2, 2), dtype=np.complex128),
        call(a.complex(2, 2)),
    ],
)


def _undiag(g: Any, like: Any, k: int) -> Any:
    return np.diagonal(g, k) if like.ndim == 1 else from_diagonal(g, k, 0, 1, like.shape)


defvjp(
    np.diag,
    v=_undiag,
    selects=True,
    linear=True,
    samples=lambda a: [call(a(3)), call(a(2), -1), call(a(3, 3)), call(a(2, 4), k=2), call(a(4, 2), -1), call(a(0)), call(a.complex(2))],
)
defvjp(
    np.diagflat,
    v=lambda g, like, k: np.diagonal(g, k).reshape(like.shape),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(3)), call(a(2, 2), 1), call(a(), -1), call(a(2), k=-2), call(a(0)), call(a.complex(2))],
)
defvjp(
    np.tril,
    m=lambda g, k: np.tril(g, k),
    selects=True,
    linear=True,
    samples=lambda a: [call(a(3, 3)), call(a(2, 4), 1), call(a(2, 3, 2), k=-1), call(a(0, 2)), call(a(3)), call(a.complex(2, 2))],
)
defvjp(
    np.triu,
    m=lambda g, k: np.triu(g, k),
    selects=True,
    linear=True,
    samples=lambda a: [call(a(3, 3)), call(a(2, 4), 1), call(a(2, 3, 2), k=-1), call(a(0, 2)), call(a(3)), call(a.complex(2, 2))],
)

# --- stretching against one another --------------------------------------------------------------------------------------------


@composed(
    np.broadcast_arrays,
    samples=lambda a: [call(a(3), a(2, 1)), call(a(), a(2, 2)), call(a(2, 3)), call(a(1), a(0, 1)), call(a(2), a.complex(1)), call(a(2), 3.0)],
)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """Every array stretched to the shape that they have in common."""
    shape = np.broadcast_shapes(*(np.shape(a) for a in args))
    return tuple(np.broadcast_to(a, shape, subok=subok) for a in args)


@composed(
    np.meshgrid,
    samples=lambda a: [
        call(a(2), a(3)),
        call(a(2), a(3), a(2), indexing="ij"),
        call(a(2), a(3), a(1), sparse=True),
        call(a(2), a(3), copy=False),
        call(a(3)),
        call(a(), a(2)),
        call(a(0), a(2)),
        call(a(2), a.complex(2)),
    ],
)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    """Coordinate arrays of a grid: each of `xi` along an axis of its own."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    order = list(range(len(xi)))
    if indexing == "xy" and len(xi) > 1:
        order[:2] = 1, 0
    axes = [np.reshape(x, (1,) * place + (-1,) + (1,) * (len(xi) - place - 1)) for x, place in zip(xi, order, strict=True)]
    grids = tuple(axes) if sparse else broadcast_arrays(*axes)
    return tuple(np.copy(grid) for grid in grids) if copy else grids


@composed(
    np.ix_,
    samples=lambda a: [call(a(2), a(3)), call(a(2)), call(a(2), np.array([0, 1]), a(1)), call(a(2), np.array([True, False])), call(a(0), a(2))],
)
def ix_(*args: Any) -> tuple[Any, ...]:
    """Each sequence along an axis of its own, to be used as an open mesh; booleans as the places where they are True."""
    mesh = []
    for place, sequence in enumerate(args):
        entries = sequence if hasattr(sequence, "ndim") else np.asarray(sequence)
        if entries.ndim != 1:
            raise ValueError("Cross index must be 1 dimensional")
        if entries.dtype == bool:
            (entries,) = np.nonzero(entries)
        elif math.prod(entries.shape) == 0 and not hasattr(sequence, "ndim"):
            entries = entries.astype(int)
        mesh.append(entries.reshape((1,) * place + (-1,) + (1,) * (len(args) - place - 1)))
    return tuple(mesh)
