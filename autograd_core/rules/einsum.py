"""Einstein sums: `np.einsum` in each of its forms.

A call is read into labels: one integer per axis and operand, with the axes of an ellipsis as labels of their own. The
gradient for an operand is then another Einstein sum, of the result's gradient with the other operands, over every label
that the operand does not have. What a sum cannot say is added to it: a label found in this operand alone is broadcast, a label
repeated in it ('ii->i') is spread on the diagonal, and a size-1 axis that was stretched is summed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from autograd_core.define.door import constant, defvjp
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.matrices import arrayed

constant(np.einsum_path)

# Steps of the plain loop above which it pays to look for the best order of products and to give them to BLAS: measured,
# 14 microseconds of planning against 1 of the loop at 4 x 4 x 4, even at 32 x 32 x 32, six times as fast at 256 x 256 x 256.
WORTH_PLANNING = 2**15

Labels = tuple[int, ...]
ELLIPSIS = 1000  # labels from here on are an ellipsis' axes, counted from its last: ELLIPSIS + 0, ELLIPSIS + 1, ...


class Sum(NamedTuple):
    """A call of einsum, read: where its arrays stand among the operands, and the labels of their axes and the result's."""

    places: tuple[int, ...]
    inputs: tuple[Labels, ...]
    output: Labels


def _ellipsis(count: int) -> Labels:
    return tuple(ELLIPSIS + k for k in reversed(range(count)))


def _spread(term: list[Any], count: int) -> Labels:
    """The labels of a term, with `...` replaced by `count` labels."""
    return tuple(label for item in term for label in (_ellipsis(count) if item is Ellipsis else (item,)))


def _letters(text: str) -> list[Any]:
    """The subscripts of one operand: letters as integers, in the order in which NumPy sorts them, and `...` as Ellipsis."""
    return [Ellipsis if c == "\0" else ord(c) for c in text.replace(" ", "").replace("...", "\0")]


def read(operands: tuple[Any, ...]) -> Sum:
    """The labels of a call `einsum(*operands)` that NumPy has accepted.

    >>> read(("ij,jk", np.ones((2, 3)), np.ones((3, 4)))).output == (ord("i"), ord("k"))
    True
    """
    terms: list[list[Any]]
    if isinstance(operands[0], str):
        left, arrow, right = operands[0].partition("->")
        places = tuple(range(1, len(operands)))
        terms = [_letters(part) for part in left.split(",")]
        target = _letters(right) if arrow else None
    else:  # einsum(a, [0, 1], b, [1, 2], [0, 2])
        places = tuple(range(0, len(operands) - 1, 2))
        terms = [list(operands[place + 1]) for place in places]
        target = list(operands[-1]) if len(operands) % 2 else None
    counts = [len(np.shape(operands[place])) - len(term) + 1 if Ellipsis in term else 0 for place, term in zip(places, terms, strict=True)]
    if target is None:  # what NumPy gives then: the ellipsis, and the labels that stand once, sorted
        flat = [item for term in terms for item in term if item is not Ellipsis]
        target = [Ellipsis, *sorted(label for label in set(flat) if flat.count(label) == 1)]
    inputs = tuple(_spread(term, count) for term, count in zip(terms, counts, strict=True))
    return Sum(places, inputs, _spread(target, max(counts)))


class _Gradients(list[Any]):
    """One gradient per operand, None for subscripts; computed when asked for, so an operand that is not tracked costs nothing."""

    def __init__(self, g: Any, operands: tuple[Any, ...]) -> None:
        super().__init__(operands)
        self.g = g
        self.reading = read(operands)
        self.shapes = [np.shape(operands[place]) for place in self.reading.places]
        self.sizes: dict[int, int] = {}
        for labels, shape in zip(self.reading.inputs, self.shapes, strict=True):
            for label, n in zip(labels, shape, strict=True):
                self.sizes[label] = n if self.sizes.get(label, 1) == 1 else self.sizes[label]

    def __getitem__(self, place: Any) -> Any:
        places, inputs, output = self.reading
        if place not in places:
            return None
        operands = [(operand, labels) for p, operand, labels in zip(places, self._arrays(), inputs, strict=True) if p != place]
        k = places.index(place)
        return _gradient(self.g, output, operands, inputs[k], self.shapes[k], self.sizes)

    def __iter__(self) -> Iterator[Any]:
        return (self[place] for place in range(len(self)))

    def _arrays(self) -> list[Any]:
        return [super(_Gradients, self).__getitem__(place) for place in self.reading.places]


def _gradient(g: Any, output: Labels, others: list[tuple[Any, Labels]], labels: Labels, shape: tuple[int, ...], sizes: dict[int, int]) -> Any:
    """The gradient for the operand with `labels` and `shape`, from the other operands."""
    carried = [axis for axis, label in enumerate(labels) if shape[axis] == sizes[label] and label not in labels[:axis]]
    elsewhere = set(output).union(*(other for _, other in others))
    wanted = [labels[axis] for axis in carried if labels[axis] in elsewhere]
    number = {label: i for i, label in enumerate(dict.fromkeys((*output, *(label for _, other in others for label in other))))}
    terms: list[Any] = [g, [number[label] for label in output]]
    for other, its in others:
        other = arrayed(other)
        terms += [other if other.dtype.kind != "c" else np.conjugate(other), [number[label] for label in its]]
    work = math.prod(sizes[label] for label in number)
    result = np.einsum(*terms, [number[label] for label in wanted], optimize=bool(others) and work > WORTH_PLANNING)
    sizes_found = iter(result.shape)
    result = result.reshape(tuple(next(sizes_found) if axis in carried and labels[axis] in elsewhere else 1 for axis in range(len(shape))))
    diagonal = _diagonal(labels, shape)
    if diagonal is not None:
        return np.where(diagonal, result, 0.0)
    return result if result.shape == shape else np.broadcast_to(result, shape)


def _diagonal(labels: Labels, shape: tuple[int, ...]) -> Any:
    """Where all axes with the same label have the same index, as a mask of `shape`; None if no label is repeated."""
    if len(set(labels)) == len(labels):
        return None
    mask = np.ones(shape, dtype=bool)
    for axis, label in enumerate(labels):
        first = labels.index(label)
        if first != axis:
            index, other = (np.arange(shape[a]).reshape([-1 if b == a else 1 for b in range(len(shape))]) for a in (first, axis))
            mask = mask & (index == other)
    return mask


# Subscripts, and the shapes of the operands.
_PLAIN: list[tuple[Any, ...]] = [
    *[("ij,jk->ik", (2, 3), (3, 2)), ("ij,jk", (2, 3), (3, 2)), ("ba", (2, 3)), ("i,i", (3,), (3,)), ("i,j->ji", (2,), (3,)), ("bA", (2, 3))],
    *[("ii", (3, 3)), ("ii->i", (3, 3)), ("ii...->...i", (2, 2, 3)), ("iij,j->i", (2, 2, 3), (3,)), ("iii->i", (2, 2, 2)), ("iji->j", (2, 3, 2))],
    *[("ij->", (2, 3)), ("ij->j", (2, 3)), ("ij,k->ik", (2, 3), (2,)), ("i->i", (3,)), ("", ()), (",i->i", (), (2,)), ("Ba,aB->", (2, 3), (3, 2))],
    *[("...ij,...jk->...ik", (2, 2, 3), (3, 2)), ("...i,...i", (2, 3), (1, 3)), ("i...->...", (2, 3)), ("...", (2, 2)), ("...i->i...", (2, 1, 3))],
    *[("i...,...->i...", (2, 2, 1), (3,)), ("ab,bc,cd,de->ae", (2, 1), (1, 2), (2, 2), (2, 1)), (" i j , j -> i ", (2, 3), (3,))],
    *[("ij,ij->ij", (2, 1), (2, 3)), ("i,i->", (1,), (3,)), ("ij,jk->ik", (2, 0), (0, 3)), ("ij,j->i", (0, 3), (3,)), ("i,i,i->i", (3,), (1,), (3,))],
]


def _samples(a: Arrays) -> list[Call]:
    return [
        *[call(subscripts, *[a(*shape) for shape in shapes]) for subscripts, *shapes in _PLAIN],
        *[call("ij,jk,kl->il", a(2, 3), a(3, 2), a(2, 2), optimize=how) for how in (True, "greedy")],
        *[call(a(2, 3), [0, 1], a(3), [1]), call(a(2, 3), [0, 1], a(3, 2), [1, 2], [2, 0]), call(a(2, 3), [..., 0], a(3), [0], [...])],
        *[call(a(3, 3), [0, 0], [0]), call(a.complex(2, 3), [0, 1], a.complex(3, 2), [1, 2]), call("ij,j->i", a(2, 3), a(3), order="C")],
        *[call("ij,jk->ik", a.complex(2, 3), a.complex(3, 2)), call("i,i", a.complex(3), a(3))],
    ]


defvjp(
    np.einsum,
    # It is told apart by its operands: a string or not. The keywords say how to compute, not what.
    signature="*operands, out=None, optimize=False, dtype=None, order='K', casting='safe'",
    operands=_Gradients,
    inert=("optimize", "dtype", "order", "casting"),
    linear=True,
    samples=_samples,
)
