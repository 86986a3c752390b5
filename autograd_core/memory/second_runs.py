"""Whether a second run computed what the first did: a few sums over each value are kept, and compared.

A gradient is that of the second run. If that drew other random numbers (from a generator of its own), read a file that has
changed, or counted its calls, the gradient belongs to another value than the one that was returned. The sums need as good as no
memory, and see a change anywhere in an array, also of the order of its elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.layers import ArrayLayer

__all__ = ["differs", "summary_of"]

_SUMS = 3  # numbers in the summary of an array
_ROUNDING = 1000  # in units of the dtype's precision: the same operations on the same numbers mostly agree to the bit


def summary_of(values: Sequence[Any]) -> list[float]:
    """Sums of all elements, of their squares, and of every third element, of each array in `values`; raw values as a tensor holds them."""
    found: list[float] = []
    with np.errstate(all="ignore"):
        for array in _arrays(values):
            flat = np.ravel(array)
            if flat.dtype.kind == "c":
                flat = flat.view(flat.real.dtype)
            elif flat.dtype.kind != "f" or flat.dtype.itemsize < 4:
                flat = flat.astype(np.float64)
            found += (float(flat.sum()), float(np.dot(flat, flat)), float(flat[::3].sum()))
    return found


def differs(first: Sequence[float], values: Sequence[Any]) -> bool:
    """Whether `values` are others than those that `first` is the summary of, by more than rounding explains."""
    second = summary_of(values)
    if len(first) != len(second):
        return True
    for i, array in enumerate(_arrays(values)):
        rounding = _ROUNDING * float(np.finfo(array.dtype).eps) if array.dtype.kind in "fc" else 0.0
        total, square, third = first[_SUMS * i : _SUMS * (i + 1)]
        allowed = rounding * math.sqrt(array.size * square) if square >= 0 else 0.0
        for one, other, margin in zip((total, square, third), second[_SUMS * i :], (allowed, rounding * square, allowed), strict=False):
            if one != other and not abs(one - other) <= margin and not (math.isnan(one) and math.isnan(other)):
                return True
    return False


def _arrays(values: Sequence[Any]) -> list[Any]:
    """NumPy's arrays and scalars in `values`, those of batches and duals too; another library's arrays are not looked into."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, ArrayLayer):
            found += _arrays(value.parts)
        elif isinstance(value, np.ndarray | np.generic):
            found.append(value)
    return found
