"""ndarray's methods: NumPy's functions of a tensor, and what has no derivative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, SupportsIndex

import numpy as np

from autograd_core.arrays.layers import ArrayLayer
from autograd_core.tape.mode import RECORDING, raw_mode
from autograd_core.tape.signatures import check_spelled
from autograd_core.tape.table import TABLE, operation
from autograd_core.tensor.apply import apply, apply_to_view
from autograd_core.tensor.handles import Handle, raw
from autograd_core.tensor.operators import unary_method

__all__ = ["ArrayMethods", "astype"]


def astype(x: Any, dtype: Any) -> Any:
    """`x` in another dtype. An operation of its own because NumPy 2.0's `np.astype` takes only exact ndarrays."""
    return x.astype(dtype)


_astype, _sum = operation(astype), operation(np.sum)
_reshape, _transpose, _swapaxes = operation(np.reshape), operation(np.transpose), operation(np.swapaxes)


def _method(function: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """A NumPy function of an array as a method."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            check_spelled(function.__name__, kwargs)
        op = TABLE.get(function)
        return apply(op, (self, *args), kwargs) if op is not None and op.rules else function(self, *args, **kwargs)

    method.__name__ = name or function.__name__
    method.__doc__ = f"`np.{function.__name__}` of this tensor, with the same arguments."
    return method


def _constant_method(name: str) -> Callable[..., Any]:
    """A method of ndarray whose result has no derivative: it returns plain arrays."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            check_spelled(name, kwargs)
        data = self._array if isinstance(self._array, ArrayLayer) else np.asanyarray(self._array)
        return getattr(data, name)(*raw(args), **raw(kwargs))

    method.__name__ = name
    method.__doc__ = f"`ndarray.{name}`: a plain result, without derivative."
    return method


def _records_plainly(tensor: Any) -> bool:
    """Whether a view is recorded with no instrument looking on. (Of a view only shapes are saved: there is nothing to guard.)"""
    return tensor.node is not None and raw_mode() is RECORDING


class ArrayMethods(Handle):
    """The methods and properties of ndarray that make sense on a tensor."""

    __slots__ = ()

    shape = property(lambda self: self._array.shape, doc="The array's shape.")
    dtype = property(lambda self: self._array.dtype, doc="The array's dtype.")
    ndim = property(lambda self: self._array.ndim, doc="The number of axes.")
    size = property(lambda self: self._array.size, doc="The number of elements.")
    itemsize = property(lambda self: self._array.itemsize, doc="Bytes of one element.")
    nbytes = property(lambda self: self._array.nbytes, doc="Bytes of all elements.")

    exp = unary_method(np.exp)
    log = unary_method(np.log)
    sqrt = unary_method(np.sqrt)
    sin = unary_method(np.sin)
    cos = unary_method(np.cos)
    tanh = unary_method(np.tanh)
    conj = conjugate = unary_method(np.conjugate)

    def sum(self: Any, axis: Any = None, **kwargs: Any) -> Any:
        """`np.sum` of this tensor, with the same arguments."""
        if axis is not None:
            kwargs["axis"] = axis
        return apply(_sum, (self,), kwargs)

    mean = _method(np.mean)
    max = _method(np.max)
    min = _method(np.min)
    prod = _method(np.prod)
    var = _method(np.var)
    std = _method(np.std)
    cumsum = _method(np.cumsum)
    cumprod = _method(np.cumprod)
    dot = _method(np.dot)
    trace = _method(np.trace)
    diagonal = _method(np.diagonal)
    clip = _method(np.clip)
    round = _method(np.round)
    repeat = _method(np.repeat)
    take = _method(np.take)
    choose = _method(np.choose)
    squeeze = _method(np.squeeze)
    ravel = _method(np.ravel)
    ptp = _method(np.ptp)
    copy = _method(np.copy)

    def compress(self: Any, condition: Any, axis: Any = None) -> Any:
        """`np.compress(condition, self, axis)`: the slices for which `condition` holds."""
        return np.compress(condition, self, axis)

    all = _constant_method("all")
    any = _constant_method("any")
    argmax = _constant_method("argmax")
    argmin = _constant_method("argmin")
    argsort = _constant_method("argsort")
    argpartition = _constant_method("argpartition")
    nonzero = _constant_method("nonzero")
    searchsorted = _constant_method("searchsorted")
    tobytes = _constant_method("tobytes")

    def reshape(self: Any, *shape: Any, order: Any = "C") -> Any:
        """The same elements in another shape: `t.reshape(2, 3)` or `t.reshape((2, 3))`."""
        wanted = shape[0] if len(shape) == 1 else shape
        if order == "C" and _records_plainly(self):
            return apply_to_view(_reshape, self, (self._array, wanted, order), self._array.reshape(wanted))
        # Not every array library's reshape has an order.
        return np.reshape(self, wanted) if order == "C" else np.reshape(self, wanted, order=order)

    def transpose(self: Any, *axes: Any) -> Any:
        """The axes in another order, reversed if none is given."""
        if len(axes) == 1 and not isinstance(axes[0], SupportsIndex):
            axes = axes[0]
        wanted = tuple(axes) or None
        if _records_plainly(self):
            return apply_to_view(_transpose, self, (self._array, wanted), self._array.transpose(*wanted or ()))
        return np.transpose(self, wanted)

    def swapaxes(self: Any, axis1: SupportsIndex, axis2: SupportsIndex) -> Any:
        """Two axes in each other's place."""
        if _records_plainly(self):
            return apply_to_view(_swapaxes, self, (self._array, axis1, axis2), self._array.swapaxes(axis1, axis2))
        return np.swapaxes(self, axis1, axis2)

    def flatten(self: Any, order: Any = "C") -> Any:
        """A one-dimensional copy."""
        return np.ravel(self, order)

    def astype(self: Any, dtype: Any, copy: bool = True) -> Any:
        """This tensor in another dtype; to an integer one, without gradient."""
        dtype = np.dtype(dtype)
        if dtype == self.dtype and not copy:
            return self
        return apply(_astype, (self, dtype), {})

    def sort(self: Any, axis: int = -1) -> None:
        """Refused: ndarray's method sorts in place, and tensors are values."""
        raise TypeError("sort() in place is not supported, tensors are values; write t = np.sort(t)")

    @property
    def T(self: Any) -> Any:
        """The axes reversed."""
        return self.transpose()

    @property
    def mT(self: Any) -> Any:
        """The last two axes swapped."""
        if self.ndim < 2:
            raise ValueError("matrix transpose with ndim < 2 is undefined")
        return self.swapaxes(-1, -2)

    @property
    def real(self: Any) -> Any:
        """The real part."""
        return np.real(self)

    @property
    def imag(self: Any) -> Any:
        """The imaginary part."""
        return np.imag(self)
