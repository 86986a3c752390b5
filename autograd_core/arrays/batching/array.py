"""An array with a hidden axis: many arrays of one shape, on which a program written for one of them works.

`Batched(payload, level)` stands for `payload[0], payload[1], ...`, and shows their common shape. NumPy's functions reach it
by the array protocols (NEP 13 and 18) and are computed for all at once: by a line in `functions.py` where there is one, and
else by a loop over the batch (loop.py), which is slower but never wrong. So the table of derivatives needs no second version:

* `ag.vmap(f)` puts one into a tensor, and f's operations and their rules compute with it as with any other array;
* a Jacobian lets one run backwards, with the rows of an identity matrix in it: all rows in a single pass.

What would need one Python value for the whole batch (`if x > 0`, `float(x)`, `np.asarray(x)`) raises BatchingError.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from autograd_core.arrays.duals import without_tangents
from autograd_core.arrays.layers import INTERPRETERS, SCALARS, ArrayLayer, finite, is_foreign, refused, sequence_like

__all__ = ["Batched", "BatchingError", "stretched", "wrapped"]


class BatchingError(TypeError):
    """Raised where all elements of a batch would have to have one Python value, or one shape, and do not."""


def _operator(ufunc: Any, reflected: bool = False) -> Callable[[Any, Any], Any]:
    """The method behind `self * other`, with a short way for what is aligned as it is."""

    def method(self: Any, other: Any) -> Any:
        payload, kind = self.payload, type(other)
        if kind is Batched and other.level == self.level and other.payload.ndim == payload.ndim:
            other = other.payload
        elif kind not in SCALARS and not (kind is ndarray and other.ndim < payload.ndim):
            if isinstance(other, list | tuple):
                other = np.asarray(other)
            elif is_foreign(other) or (isinstance(other, ArrayLayer) and other.level > self.level and kind is not Batched):
                return NotImplemented
            return self.__array_ufunc__(ufunc, "__call__", *((other, self) if reflected else (self, other)))
        return Batched(ufunc(other, payload) if reflected else ufunc(payload, other), self.level)

    return method


class Batched(ArrayLayer):
    """`payload[0], payload[1], ...` as one array of shape `payload.shape[1:]`; see the module's first paragraph."""

    __slots__ = ("payload",)

    def __init__(self, payload: Any, level: int) -> None:
        self.payload = payload
        self.level = level

    # --- what it is ---------------------------------------------------------------------------------------------------------

    @property
    def primary(self) -> Any:
        return self.payload

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.payload.shape[1:])

    @property
    def ndim(self) -> int:
        return int(self.payload.ndim) - 1

    @property
    def size(self) -> int:
        size = 1
        for n in self.payload.shape[1:]:
            size *= n
        return size

    @property
    def dtype(self) -> Any:
        return self.payload.dtype

    @property
    def itemsize(self) -> int:
        return int(self.payload.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        return int(self.payload.nbytes)

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of unsized object")
        return int(self.payload.shape[1])

    def __repr__(self) -> str:
        return f"<{self.payload.shape[0]} arrays of shape {self.shape}, {self.dtype}>"

    __bool__ = refused("the truth")

    def refusal(self, what: str) -> Exception:
        return BatchingError(
            f"{what} of a batched value of shape {self.shape}: it differs over the batch (vmap, or a Jacobian's rows), and there can be "
            "only one; write a choice with np.where, or loop over the batch instead of using vmap"
        )

    # --- operators ------------------------------------------------------------------------------------------------------------

    __add__, __radd__ = _operator(np.add), _operator(np.add, True)
    __sub__, __rsub__ = _operator(np.subtract), _operator(np.subtract, True)
    __mul__, __rmul__ = _operator(np.multiply), _operator(np.multiply, True)
    __truediv__, __rtruediv__ = _operator(np.divide), _operator(np.divide, True)
    __floordiv__, __rfloordiv__ = _operator(np.floor_divide), _operator(np.floor_divide, True)
    __mod__, __rmod__ = _operator(np.remainder), _operator(np.remainder, True)
    __pow__, __rpow__ = _operator(np.power), _operator(np.power, True)
    __and__, __rand__ = _operator(np.bitwise_and), _operator(np.bitwise_and, True)
    __or__, __ror__ = _operator(np.bitwise_or), _operator(np.bitwise_or, True)
    __xor__, __rxor__ = _operator(np.bitwise_xor), _operator(np.bitwise_xor, True)
    __lt__, __le__, __gt__, __ge__ = _operator(np.less), _operator(np.less_equal), _operator(np.greater), _operator(np.greater_equal)
    __eq__, __ne__ = _operator(np.equal), _operator(np.not_equal)

    def __matmul__(self, other: Any) -> Any:
        return NotImplemented if is_foreign(other) else np.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return NotImplemented if is_foreign(other) else np.matmul(other, self)

    def __neg__(self) -> Batched:
        return Batched(-self.payload, self.level)

    def __pos__(self) -> Batched:
        return Batched(+self.payload, self.level)

    def __abs__(self) -> Batched:
        return Batched(abs(self.payload), self.level)

    def __invert__(self) -> Batched:
        return Batched(~self.payload, self.level)

    # --- elements ---------------------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        return INTERPRETERS[Batched].function(operator.getitem, (self, index), {}, self.level)

    def __setitem__(self, index: Any, value: Any) -> None:
        INTERPRETERS[Batched].function(operator.setitem, (self, index, value), {}, self.level)

    # --- methods of ndarray that rules and tensors use ------------------------------------------------------------------------------

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        return np.reshape(self, shape[0] if len(shape) == 1 else shape, order=order)  # type: ignore[call-overload]

    def transpose(self, *axes: Any) -> Any:
        return np.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    def astype(self, dtype: Any, copy: bool = True) -> Batched:
        return Batched(self.payload.astype(dtype, copy=copy), self.level)

    def rebuilt(self, parts: Sequence[Any]) -> Any:
        return Batched(parts[0], self.level)

    def parts_of(self, value: Any) -> tuple[Any, ...]:
        if isinstance(value, Batched) and value.level == self.level:
            return (value.payload,)
        return (np.broadcast_to(value, (self.payload.shape[0], *np.shape(value))),)

    def holding(self, array: Any) -> Any:
        return Batched(np.copy(np.broadcast_to(array, (self.payload.shape[0], *np.shape(array)))), self.level)

    def is_finite(self) -> Any:
        return Batched(finite(self.payload), self.level)

    def without_tangents(self) -> Any:
        parts = without_tangents(self.payload)
        return self if parts is self.payload else Batched(parts, self.level)

    def copy(self, order: str = "C") -> Batched:
        return Batched(self.payload.copy(), self.level)

    def conjugate(self) -> Batched:
        return Batched(self.payload.conjugate(), self.level)

    conj = conjugate

    @property
    def T(self) -> Any:
        return np.transpose(self)

    @property
    def mT(self) -> Any:
        return np.swapaxes(self, -1, -2)

    @property
    def real(self) -> Batched:
        return Batched(self.payload.real, self.level)

    @property
    def imag(self) -> Batched:
        return Batched(self.payload.imag, self.level)


def wrapped(result: Any, level: int) -> Any:
    """A result of NumPy's on payloads, arrays or a tuple of them, as batches."""
    if isinstance(result, tuple | list):
        parts = [wrapped(part, level) for part in result]
        return sequence_like(result, parts)
    return Batched(result, level)


def stretched(value: Any, level: int, ndim: int) -> Any:
    """`value`'s payload with axes of size 1 after the batch's, so that it broadcasts as an array of `ndim` axes would."""
    if type(value) is not Batched or value.level != level:
        return value
    payload = value.payload
    missing = ndim + 1 - payload.ndim
    return payload if missing <= 0 else payload.reshape(payload.shape[:1] + (1,) * missing + payload.shape[1:])
