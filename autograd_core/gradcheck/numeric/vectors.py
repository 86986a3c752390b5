"""Lists of arrays as one real vector and back: a complex number counts as its real and its imaginary part.

A gradient by PyTorch's convention (dL/dRe + i dL/dIm) is then the ordinary gradient, and nothing below has to know complex
numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Vectors", "as_kind", "typical_size"]


def as_kind(array: Any, like: Any) -> Any:
    """`array` as complex or real as `like` is: `np.emath.sqrt` and its kind return one or the other, depending on values."""
    if (array.dtype.kind == "c") == (like.dtype.kind == "c"):
        return array
    return array.real if array.dtype.kind == "c" else array.astype(np.complex128)


class Vectors:
    """The way between arrays of given shapes and dtypes and a real vector of all their elements."""

    def __init__(self, arrays: Sequence[Any]) -> None:
        self.like = [np.empty(0, a.dtype) for a in arrays]
        self.shapes = [a.shape for a in arrays]
        self.sizes = [a.size * (2 if a.dtype.kind == "c" else 1) for a in arrays]
        ends = np.cumsum([0, *self.sizes]).tolist()
        self.parts = [slice(start, end) for start, end in itertools.pairwise(ends)]
        self.size = ends[-1]
        self.single_real = len(arrays) == 1 and arrays[0].dtype.kind != "c"

    def join(self, arrays: Sequence[Any]) -> Any:
        """The real vector of all elements; None stands for zeros.

        raises : ValueError if shapes have changed
        """
        if self.single_real and arrays[0] is not None and arrays[0].shape == self.shapes[0] and arrays[0].dtype.kind != "c":
            return arrays[0].reshape(-1).astype(np.float64, copy=False)
        vector = np.zeros(self.size)
        for array, like, shape, part in zip(arrays, self.like, self.shapes, self.parts, strict=True):
            if array is None:
                continue
            if array.shape != shape:
                raise ValueError(f"shape {array.shape} where {shape} is expected")
            if like.dtype.kind == "c" or array.dtype.kind == "c":
                array = np.ascontiguousarray(as_kind(array, like)).reshape(-1)
                vector[part] = array.view(array.real.dtype)
            else:
                vector[part] = array.reshape(-1)
        return vector

    def split(self, vector: Any) -> list[Any]:
        """The arrays, new ones, from a real vector; single precision stays double, so that steps are not rounded away."""
        if self.single_real:
            return [vector.copy().reshape(self.shapes[0])]
        arrays = []
        for like, shape, part in zip(self.like, self.shapes, self.parts, strict=True):
            piece = vector[part].copy()
            arrays.append((piece.view(np.complex128) if like.dtype.kind == "c" else piece).reshape(shape))
        return arrays

    def place(self, index: int) -> tuple[int, tuple[int, ...], str]:
        """Of a component of the vector: which array, which element of it, and "", "real" or "imaginary" part."""
        i = next(i for i, part in enumerate(self.parts) if index < part.stop)
        offset = index - self.parts[i].start
        complex_part = ""
        if self.like[i].dtype.kind == "c":
            complex_part = "imaginary" if offset % 2 else "real"
            offset //= 2
        element = tuple(int(k) for k in np.unravel_index(offset, self.shapes[i])) if self.shapes[i] else ()
        return i, element, complex_part


def typical_size(array: Any) -> float:
    """The median size of the elements that are not zero; 1 if there are none."""
    sizes = np.abs(array[np.isfinite(array)])
    sizes = sizes[sizes > 0]
    return float(np.median(sizes)) if sizes.size else 1.0
