"""Joining and splitting: what was joined is cut apart again in the backward pass, by slices."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_core.define import composed, defvjp
from autograd_core.indices import along
from autograd_core.samples import call
from autograd_core.shapes import normalise_axes
from autograd_core.table import Like


def _concatenated(g: Any, like: Any, axis: Any) -> Any:
    """The pieces of `g` that each joined array gets. One array in place of a sequence is a sequence of its rows."""
    if isinstance(like, tuple):
        return _cut(g, like, axis)
    return np.stack(_cut(g, [Like(like.shape[1:], like.dtype)] * like.shape[0], axis))


def _cut(g: Any, likes: Sequence[Like], axis: Any) -> list[Any]:
    pieces = []
    start = 0
    if axis is None:
        for like in likes:
            pieces.append(g[start : start + like.size].reshape(like.shape))
            start += like.size
        return pieces
    (axis,) = normalise_axes(axis, g.ndim)
    for like in likes:
        pieces.append(g[along(axis, slice(start, start + like.shape[axis]))])
        start += like.shape[axis]
    return pieces


defvjp(
    np.concatenate,
    arrays=_concatenated,
    signature="arrays, axis=0, out=None, *, dtype=None, casting='same_kind'",
    inert=("dtype", "casting"),
    structural=True,
    samples=lambda a: [
        call([a(2, 3), a(1, 3)]),
        call((a(2, 3), a(2, 1), a(2, 0)), axis=-1),
        call([a(2, 3), a(2)], axis=None),
        call([a(), a(1, 1)], None),
        call(a(2, 3, 4)),
        call(a(2, 3, 4), axis=1),
        call([a(2), np.array([1, 2])]),
        call([a(0, 2), a(0, 2)]),
        call([a(2), a.complex(3)]),
        call([a(2), a(3)], dtype=complex),
    ],
)


def _stacked(g: Any, like: Any, axis: Any) -> Any:
    (axis,) = normalise_axes(axis, g.ndim)
    if not isinstance(like, tuple):
        return np.moveaxis(g, axis, 0)
    return [g[along(axis, i)] for i in range(len(like))]


defvjp(
    np.stack,
    arrays=_stacked,
    inert=("dtype", "casting"),
    structural=True,
    samples=lambda a: [
        call([a(2, 3), a(2, 3)]),
        call([a(2, 3), a(2, 3)], axis=-1),
        call((a(), a(), a())),
        call(a(2, 3), axis=1),
        call([a(0, 2)], 1),
        call([a(2), np.array([1, 2])]),
        call([a(2), a.complex(2)]),
        call([a(2)], dtype=complex),
    ],
)


def _sections(ary: Any, indices_or_sections: Any, axis: int, *, uneven: bool) -> list[Any]:
    """Slices along `axis`. Where equal parts end is left to NumPy, which splits the places 0, 1, 2..."""
    length = ary.shape[axis]
    (axis,) = normalise_axes(axis, ary.ndim)
    if hasattr(indices_or_sections, "__len__"):
        cuts = [operator.index(i) for i in indices_or_sections]
    else:
        parts = (np.array_split if uneven else np.split)(np.arange(length), indices_or_sections)
        cuts = list(itertools.accumulate(len(part) for part in parts[:-1]))
    return [ary[along(axis, slice(start, stop))] for start, stop in itertools.pairwise([0, *cuts, length])]


@composed(
    np.split,
    samples=lambda a: [
        call(a(6), 3),
        call(a(2, 6), [1, 4], axis=1),
        call(a(6), [2, 9]),
        call(a(6), [4, 2]),
        call(a(4, 2), np.array([1]), -2),
        call(a(0, 2), 1),
        call(a(6), [-2]),
    ],
)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Equal parts along an axis, or parts between indices."""
    return _sections(ary, indices_or_sections, axis, uneven=False)


@composed(np.array_split, samples=lambda a: [call(a(7), 3), call(a(2, 5), 2, axis=-1), call(a(5), [1, 3]), call(a(2), 3)])
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Parts along an axis, equal but for one element."""
    return _sections(ary, indices_or_sections, axis, uneven=True)
