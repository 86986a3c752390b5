"""What kind of array an argument is, so that arrays made in its place are of the same kind.

A symmetric matrix stays symmetric, probabilities keep their sum, a mask of zeros and ones stays one, indices stay integers in
their range. Functions rely on such things, and a rule may: an array of another kind would raise false alarms.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.gradcheck.numeric.directions import is_symmetric
from autograd_core.gradcheck.numeric.vectors import typical_size

__all__ = ["kind_of", "redrawn"]


def kind_of(array: Any, *, several: bool) -> str:
    """`symmetric`, `triangular`, `categories` (zeros and ones), `one-hot`, `shares` (rows of sum 1), `sorted`, `integers` or `free`.

    several : the call has more than one array; only then does it matter that one is sorted
    """
    if array.dtype.kind not in "fc":
        return "integers"
    if is_symmetric(array):
        return "symmetric"
    if array.size < 2 or array.dtype.kind == "c" or not np.isfinite(array).all():
        return "free"
    if np.isin(array, (0.0, 1.0)).all():
        if array.min() == array.max():
            return "free"
        return "one-hot" if array.ndim > 1 and np.all(array.sum(axis=-1) == 1) else "categories"
    square = array.ndim >= 2 and array.shape[-1] == array.shape[-2] and array.shape[-1] > 1
    if square and (np.array_equal(array, np.tril(array)) or np.array_equal(array, np.triu(array))):
        return "triangular"
    if array.ndim and array.shape[-1] > 1 and array.min() >= 0 and np.allclose(array.sum(axis=-1), 1.0, rtol=1e-6 if array.itemsize < 8 else 1e-12):
        return "shares"
    if several and array.ndim == 1 and array.size > 2 and np.all(np.diff(array) > 0):
        return "sorted"
    return "free"


def redrawn(array: Any, kind: str, random: np.random.Generator, shape: tuple[int, ...] | None = None, sign: str = "as given") -> Any:
    """A random array of the kind of `array`, of its usual size, with elements that are all different.

    shape : of the new array;  sign : "as given" (the same share of negative elements), "positive" or "negative"
    """
    shape = array.shape if shape is None else shape
    size = int(np.prod(shape, dtype=int))
    if kind in ("integers", "categories"):
        return _categories(array, random, shape)
    if kind == "one-hot" and shape[-1:] != () and shape[-1] > 0:
        return np.eye(shape[-1], dtype=array.dtype)[random.integers(0, shape[-1], shape[:-1])]
    typical = typical_size(array)
    values = typical * random.permutation(np.linspace(0.4, 1.6, size) if size > 1 else np.full(size, 0.7)) * random.uniform(0.97, 1.03, size)
    values = values.reshape(shape)
    if array.dtype.kind == "c":
        angles = random.uniform(0, 2 * np.pi, shape)
        return (values * np.exp(1j * angles)).astype(array.dtype)
    if kind == "shares":
        return (values / values.sum(axis=-1, keepdims=True)).astype(array.dtype)
    if kind == "symmetric":
        return _symmetric(array, values, random)
    negative = float(np.mean(array < 0)) if array.size else 0.5
    share = {"positive": 0.0, "negative": 1.0}.get(sign, negative)
    flips = np.where(random.permutation(np.arange(size) + 0.5).reshape(shape) < share * size, -1.0, 1.0)
    values = values * flips
    if kind == "sorted" and values.ndim:
        values = np.sort(values, axis=-1)
    if kind == "triangular":
        values = np.where(_pattern(array, shape), values, 0.0)
    return values.astype(array.dtype)


def _categories(array: Any, random: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """The rows of `array` in another order, repeated as the shape demands."""
    if array.ndim != len(shape) or 0 in array.shape:
        return np.zeros(shape, array.dtype) if 0 in array.shape else np.resize(array, shape)
    for axis, n in enumerate(shape):
        order = np.resize(np.arange(array.shape[axis]), n)
        array = np.take(array, random.permutation(order) if axis == 0 else order, axis=axis)
    return array


def _symmetric(array: Any, values: Any, random: np.random.Generator) -> Any:
    """Another symmetric matrix; positive definite if the one given is."""
    n = values.shape[-1]
    if values.size == 0 or array.size == 0:
        return values.astype(array.dtype)
    mixed = (values + np.swapaxes(values, -1, -2)) / 2
    try:
        lowest = float(np.linalg.eigvalsh(array).min())
    except (np.linalg.LinAlgError, ValueError):
        lowest = -1.0
    signs = random.choice([-1.0, 1.0], (n, n))
    mixed = mixed * np.triu(signs) + np.swapaxes(mixed * np.triu(signs, 1), -1, -2)
    if lowest > 0:
        spread = np.abs(mixed).sum(axis=-1).max() + lowest
        mixed = mixed + np.eye(n) * spread * np.linspace(1.0, 1.5, n)
    return mixed.astype(array.dtype)


def _pattern(array: Any, shape: tuple[int, ...]) -> Any:
    lower = np.array_equal(array, np.tril(array))
    ones = np.ones(shape, dtype=bool)
    return np.tril(ones) if lower else np.triu(ones)
