"""Arrays of other kinds, where they enter: what is NumPy's at heart is taken as its array, what means something else is refused by name.

A pandas Series aligns on labels, a masked array hides elements, `np.matrix` multiplies by `*` as by `@`: inside a rule, which is
written for arrays, each would go on with arithmetic of its own. So it is decided by type, once, before anything is computed.
Arrays that only compute elsewhere (Dask, CuPy) mean what NumPy means, and stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.arrays.layers import ArrayLayer

__all__ = ["array_at_heart", "arrays_at_heart", "is_plain", "numbers"]

# What needs no look: NumPy's own arrays and numbers, Python's, and the engine's.
_PLAIN: set[type] = {np.ndarray, np.memmap, float, int, complex, bool, str, bytes, slice, type(None), type(Ellipsis), *np.sctypeDict.values()}
_PLAIN -= {np.object_}
_LABELLED = ("pandas", "xarray", "polars", "modin")  # libraries whose objects show their array by np.asarray


def is_plain(value: Any) -> bool:
    """Whether nothing has to be asked of `value`: quick, for the hot path."""
    return type(value) in _PLAIN


def array_at_heart(value: Any, where: str) -> Any:
    """`value`, or the plain array that it is at heart; anything that is no array is returned as it is.

    where  : whose argument it is, for the message: "multiply"
    raises : TypeError for what has other semantics than NumPy's: masked arrays, np.matrix, units, objects
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, np.ndarray):
        return _of_subclass(value, where)
    library = (kind.__module__ or "").partition(".")[0]
    if library in _LABELLED and hasattr(kind, "__array__"):
        return numbers(np.asarray(value), f"{where}: {library}'s {kind.__name__}")
    if isinstance(value, ArrayLayer) or not hasattr(kind, "__array__") or hasattr(kind, "__array_function__"):
        if len(_PLAIN) < 1000:
            _PLAIN.add(kind)  # the answer for all of this class
        return value
    return np.asarray(value)  # an array without NumPy's protocols, such as JAX's: as NumPy takes it


def arrays_at_heart(values: Any, where: Callable[[], str]) -> Any:
    """`array_at_heart` of all that is in a nest of tuples, lists and dicts; the nest itself where there is nothing to do."""
    kind = type(values)
    if kind is tuple or kind is list:
        parts = [arrays_at_heart(value, where) for value in values]
        return values if all(new is old for new, old in zip(parts, values, strict=True)) else kind(parts)
    if kind is dict:
        return {key: arrays_at_heart(value, where) for key, value in values.items()}
    if kind is np.ndarray and values.dtype.hasobject:
        return numbers(values, where())
    return values if kind in _PLAIN else array_at_heart(values, where())


def numbers(array: Any, where: str) -> Any:
    """`array`, which must not be one of Python objects."""
    if array.dtype.hasobject:
        raise TypeError(f"{where}: a tensor holds numbers, not Python objects; convert the array with a.astype(float)")
    return array


def _of_subclass(value: Any, where: str) -> Any:
    kind = type(value)
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where}: a masked array hides elements from NumPy's arithmetic; use a.filled(0.0) with np.where(a.mask, ...), or a.data")
    if isinstance(value, np.matrix):
        raise TypeError(f"{where}: np.matrix multiplies matrices by `*`, arrays and tensors elements; use np.asarray(m), and `@` for the product")
    if kind.__array_ufunc__ is not np.ndarray.__array_ufunc__:
        raise TypeError(f"{where}: {kind.__module__}.{kind.__name__} has arithmetic of its own; use np.asarray(a) if a plain array is meant")
    return array_at_heart(value.view(np.ndarray), where)
