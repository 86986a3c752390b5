"""Variations of shape: unequal dimensions, size-1 axes, broadcasting, 0-d and empty arrays, longer axes.

How the axes of several arguments belong together is not known, so it is found by trying: a set of axes that have one size is
given another size, and kept if the function accepts it and its result has the shape to be expected.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd_core.gradcheck.inputs.structure import kind_of, redrawn
from autograd_core.gradcheck.inputs.variations import Variation
from autograd_core.gradcheck.subjects.arguments import replaced
from autograd_core.gradcheck.subjects.subjects import Subject

__all__ = ["shape_variations", "smaller"]

MOST_TRIALS = 24


class _Shapes:
    """The arrays of a call, differentiable and not, and calls with arrays of other shapes in their place."""

    def __init__(self, subject: Subject, random: np.random.Generator, results: list[Any]) -> None:
        self.subject = subject
        self.random = random
        self.results = [r.shape for r in results]
        self.arrays = subject.arrays
        self.companions = [
            (i, value)
            for i, value in enumerate(subject.args)
            if isinstance(value, np.ndarray) and value.ndim and not any(place.path[0] == i for place in subject.places)
        ]
        everything = [*self.arrays, *(value for _, value in self.companions)]
        several = len(everything) > 1
        self.everything = everything
        self.kinds = [kind_of(a, several=several) for a in everything]
        self.axes = [(k, axis, n) for k, a in enumerate(everything) for axis, n in enumerate(a.shape)]

    def resized(self, axes: set[tuple[int, int]], size: int) -> Subject | None:
        """The call with another size of some axes, given as (array, axis)."""
        shapes = [tuple(size if (k, axis) in axes else n for axis, n in enumerate(a.shape)) for k, a in enumerate(self.everything)]
        return self.with_shapes(shapes)

    def with_shapes(self, shapes: list[tuple[int, ...]]) -> Subject:
        # A function that takes an array that is not square in place of a symmetric one does not rely on its symmetry.
        square = [len(s) > 1 and s[-1] == s[-2] for s in shapes]
        kinds = ["free" if kind in ("symmetric", "triangular") and not ok else kind for kind, ok in zip(self.kinds, square, strict=True)]
        new = [a if a.shape == shape else redrawn(a, kind, self.random, shape) for a, kind, shape in zip(self.everything, kinds, shapes, strict=True)]
        arrays, others = new[: len(self.arrays)], new[len(self.arrays) :]
        args, kwargs = replaced(self.subject.args, self.subject.kwargs, self.subject.places, arrays)
        for (i, _), other in zip(self.companions, others, strict=True):
            args[i] = other
        places = [place._replace(array=a) for place, a in zip(self.subject.places, arrays, strict=True)]
        return self.subject.with_call(args, kwargs, places)

    def result_shapes(self, subject: Subject | None) -> list[tuple[int, ...]] | None:
        """The shapes of the results, or None if the function does not take these arrays."""
        if subject is None:
            return None
        try:
            results = subject.value([a.copy() for a in subject.arrays])
        except Exception:  # noqa: BLE001  an unknown function may raise anything on shapes that it does not take
            return None
        return [r.shape for r in results] if all(np.isfinite(r).all() for r in results) else None


def shape_variations(subject: Subject, random: np.random.Generator, results: list[Any], *, elementwise: bool) -> Iterator[Variation]:
    """The call with arrays of other shapes.

    results : of the call as given; closed-over arrays betray themselves by a result that keeps its shape
    """
    shapes = _Shapes(subject, random, results)
    if any("parameters" in place.path for place in subject.places):
        return
    if elementwise:
        yield from _grid(shapes)
    yield from _longer_and_single(shapes)
    yield from _other_lengths(shapes, elementwise)
    if not elementwise:
        yield from _batches(shapes)
    yield from _not_symmetric(shapes)
    yield from _unequal(shapes)
    if len(shapes.everything) > 1 and elementwise:  # others, such as losses, may count on arguments of one shape
        yield from _broadcast(shapes)
    for i in range(2):  # an empty batch
        axes = (
            {(k, axis) for k, axis, n in shapes.axes if n == (shapes.axes[0][2] if shapes.axes else 0)}
            if i
            else {(k, 0) for k, axis, _ in shapes.axes if axis == 0}
        )
        changed = shapes.resized(axes, 0) if axes else None
        found = shapes.result_shapes(changed)
        if changed is not None and found is not None and found != shapes.results:
            yield Variation("empty arrays", "empty", changed, firm=elementwise)
            break
    if elementwise:
        yield from _elementwise_shapes(shapes)


def smaller(subject: Subject, random: np.random.Generator, results: list[Any]) -> Subject | None:
    """A call with few elements in place of one with many, or None if the function does not take it.

    Axes are cut to different lengths, in the order of their sizes, so that what belongs together stays together.
    """
    shapes = _Shapes(subject, random, results)
    if any("parameters" in place.path for place in subject.places):
        return None
    lengths = dict(zip(sorted({n for *_, n in shapes.axes if n > 5}), (5, 4, 3, 6, 2, 7), strict=False))
    changed = shapes.with_shapes([tuple(lengths.get(n, n) for n in a.shape) for a in shapes.everything])
    return changed if shapes.result_shapes(changed) is not None else None


def _longer_and_single(shapes: _Shapes) -> Iterator[Variation]:
    """All axes of one size made longer, or of size 1: the result's axes of that size must follow."""
    for n in sorted({n for *_, n in shapes.axes if n > 1}):
        axes = {(k, axis) for k, axis, m in shapes.axes if m == n}
        for size, topic in ((n + 2, "longer"), (1, "single")):
            changed = shapes.resized(axes, size)
            expected = [tuple(size if m == n else m for m in shape) for shape in shapes.results]
            if changed is None or shapes.result_shapes(changed) != expected:
                break  # where no longer axis is taken, one of size 1 is broadcast against something inside
            yield Variation(f"axes of size {n} made {size} long", topic, changed, kinks=size == 1)


def _other_lengths(shapes: _Shapes, elementwise: bool) -> Iterator[Variation]:
    """Axes of one size of other lengths, whatever shape the result then has: of both parities, and beyond blocks of 8 and 16.

    A function that ignores the elements that were added did not expect them.
    """
    sizes = sorted({n for *_, n in shapes.axes if n > 1})
    for n in sizes[:3]:
        axes = tuple((k, axis) for k, axis, m in shapes.axes if m == n)
        lengths = [n + 1, n + 3] if elementwise else [n + 1, n + 2, n + 3]
        if len(sizes) == 1 or n == sizes[-1]:
            lengths += [9, 17]
        for size in (m for m in lengths if m > n):
            changed = shapes.resized(set(axes), size)
            found = shapes.result_shapes(changed)
            if changed is None or found is None or sum(map(np.prod, found)) > 400 or sum(a.size for a in changed.arrays) > 200:
                break
            followed = found == [tuple(size if m == n else m for m in shape) for shape in shapes.results]
            if size == n + 2 and followed:
                continue  # it has been tried
            if not followed and not _last_counts(changed, axes):
                break
            yield Variation(f"axes of size {n} made {size} long", "longer", changed)


def _batches(shapes: _Shapes) -> Iterator[Variation]:
    """One more axis in front, of the first argument or of all: where the results get it too, and nothing else changes."""
    for all_of_them in (True, False) if len(shapes.arrays) > 1 else (True,):
        more = [(2, *a.shape) if all_of_them or k == 0 else a.shape for k, a in enumerate(shapes.everything)]
        changed = shapes.with_shapes(more)
        if shapes.result_shapes(changed) == [(2, *shape) for shape in shapes.results]:
            yield Variation("one more axis in front" + ("" if all_of_them else f" of {shapes.subject.names[0]}"), "batch", changed, firm=False)
            return


def _not_symmetric(shapes: _Shapes) -> Iterator[Variation]:
    """An argument that is symmetric as given, but need not be square, made unsymmetric: transposes show."""
    for k, kind in enumerate(shapes.kinds[: len(shapes.arrays)]):
        if kind not in ("symmetric", "triangular"):
            continue
        axes = {(k, axis) for axis in range(shapes.arrays[k].ndim)}
        n = shapes.arrays[k].shape[-1]
        for axis in axes:
            found = shapes.result_shapes(shapes.resized({axis}, n + 1))
            if found is not None:
                arrays = [redrawn(a, "free", shapes.random) if j == k else a for j, a in enumerate(shapes.arrays)]
                yield Variation(f"{shapes.subject.names[k]} not symmetric", "value", shapes.subject.at(arrays))
                break


def _unequal(shapes: _Shapes) -> Iterator[Variation]:
    """Some of the axes of one size made longer, so that what belongs together shows."""
    trials, kept = 0, 0
    for n in sorted({n for *_, n in shapes.axes if n > 1}):
        axes = [(k, axis) for k, axis, m in shapes.axes if m == n]
        if len(axes) < 2:
            continue
        for count in range(1, len(axes)):
            for chosen in itertools.combinations(axes, count):
                trials += 1
                if trials > MOST_TRIALS or kept == 3:
                    return
                changed = shapes.resized(set(chosen), n + 1)
                found = shapes.result_shapes(changed)
                if changed is not None and found is not None and _last_counts(changed, chosen):
                    kept += 1
                    text = ", ".join(f"{a.shape}" for a in changed.arrays)
                    # Of one array that was square: a rule must take it. Of several: they may not have belonged together.
                    split = any((k, axis) in axes and (k, axis) not in chosen for k, _ in chosen for axis in range(shapes.everything[k].ndim))
                    yield Variation(f"unequal dimensions {text}", "unequal", changed, firm=split)


def _last_counts(subject: Subject, axes: tuple[tuple[int, int], ...]) -> bool:
    """Whether the elements that were added change the result: a function that ignores them did not expect them."""
    for k, axis in axes:
        if k >= len(subject.arrays) or subject.arrays[k].dtype.kind not in "fc":
            continue
        arrays = [a.copy() for a in subject.arrays]
        before = subject.value(arrays)
        np.moveaxis(arrays[k], axis, 0)[-1] *= 1.5
        try:
            after = subject.value(arrays)
        except Exception:  # noqa: BLE001  it noticed them: they are outside of its domain now
            continue
        if all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)):
            return False
    return True


def _broadcast(shapes: _Shapes) -> Iterator[Variation]:
    """One argument broadcast against the others: an axis of size 1, or a leading axis less; the result keeps its shape."""
    for k, a in enumerate(shapes.arrays):
        if not a.ndim or shapes.kinds[k] not in ("free", "categories"):
            continue
        for axis in range(a.ndim):
            changed = shapes.resized({(k, axis)}, 1) if a.shape[axis] > 1 else None
            if changed is not None and shapes.result_shapes(changed) == shapes.results:
                yield Variation(f"{shapes.subject.names[k]} of shape {changed.arrays[k].shape} broadcast", "broadcast", changed)
        less = [b.shape if j != k else a.shape[1:] for j, b in enumerate(shapes.everything)]
        changed = shapes.with_shapes(less)
        if shapes.result_shapes(changed) == shapes.results:
            yield Variation(f"{shapes.subject.names[k]} of shape {a.shape[1:]} broadcast", "broadcast", changed)


def _grid(shapes: _Shapes) -> Iterator[Variation]:
    """An elementwise function at many values, near together where functions usually have their branches."""
    sizes = np.concatenate([np.linspace(0.05, 0.98, 9), np.linspace(1.3, 11.7, 22), [14.0, 19.0, 21.0, 29.0, 33.0, 48.0, 75.0, 95.0]])
    grid = np.concatenate([sizes, -sizes]) + 0.01
    changed = shapes.with_shapes([grid.shape] * len(shapes.everything))
    free = [i for i, kind in enumerate(shapes.kinds[: len(shapes.arrays)]) if kind not in ("categories", "one-hot", "shares")]
    values = [shapes.random.permutation(grid) if i in free else a for i, a in enumerate(changed.arrays)]
    changed = changed.at([v.astype(a.dtype) for v, a in zip(values, changed.arrays, strict=True)])
    try:
        found = [r.shape for r in changed.value([a.copy() for a in changed.arrays])]
    except Exception:  # noqa: BLE001  it takes no other shape, or no such values
        return
    if found == [grid.shape]:
        yield Variation("values from -95 to 95", "grid", changed)


def _elementwise_shapes(shapes: _Shapes) -> Iterator[Variation]:
    """An elementwise function takes any shape: a number, and one more axis."""
    for shape, label in (((), "0-d arrays"), ((2, 1, 3), "arrays of shape (2, 1, 3)")):
        changed = shapes.with_shapes([shape] * len(shapes.everything))
        if shapes.result_shapes(changed) == [shape] * len(shapes.results):
            yield Variation(label, "shape", changed)
