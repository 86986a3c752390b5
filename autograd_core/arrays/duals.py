"""A dual number, of arrays: a value and its derivative in one direction, which every operation carries along.

`Dual(primal, tangent, level)` looks like its primal. On NumPy's functions it computes their values and, by the same table of
operations that the tape uses, their derivatives applied to the tangents (tensor/forward.py). So

* a function called with dual arrays gives its directional derivative in one evaluation: `ag.jvp`;
* a tape recorded on dual arrays and swept back gives the gradient with *its* derivative in the direction: `ag.hvp`, at the cost
  of a forward and a backward pass on pairs (Pearlmutter 1994), with no graph of the gradient;
* a batch as the tangent gives many directions at once: the columns of a Jacobian.

Comparisons, truth and numbers are those of the primal: a program's decisions are constant in a small neighbourhood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy import ndarray

from autograd_core.arrays.layers import SCALARS, ArrayLayer, able_to_hold, finite, is_foreign, sequence_like

__all__ = ["Dual", "ForwardModeError", "carrying_tangents", "dual", "has_tangents", "primal_of", "refuse_tangents", "tangent_of", "without_tangents"]


class ForwardModeError(TypeError):
    """Raised where a value that carries a derivative would lose it. `jvp` and `hvp` then differentiate backwards, twice."""


# Whether a function is being evaluated on duals: what computes a value apart from its derivative must say so.
_carrying: ContextVar[bool] = ContextVar("autograd_core_carrying", default=False)


@contextmanager
def carrying_tangents() -> Iterator[None]:
    """Around an evaluation on duals."""
    token = _carrying.set(True)
    try:
        yield
    finally:
        _carrying.reset(token)


def refuse_tangents(who: str) -> None:
    """Raise ForwardModeError inside of an evaluation on duals: `who` gives its value a derivative in backward passes only."""
    if _carrying.get():
        raise ForwardModeError(f"{who} is differentiated backwards, and carries no derivative forward")


def without_tangents(values: Any) -> Any:
    """`values`, a nest of tuples and lists, as constants: no dual is left in it."""
    if isinstance(values, ArrayLayer):
        return values.without_tangents()
    if isinstance(values, tuple | list):
        parts = [without_tangents(value) for value in values]
        return sequence_like(values, parts)
    return values


def has_tangents(value: Any) -> bool:
    """Whether there is a dual in `value`, at any depth of layers."""
    return isinstance(value, ArrayLayer) and (isinstance(value, Dual) or any(map(has_tangents, value.parts)))


def dual(primal: Any, tangent: Any, level: int) -> Dual:
    """A Dual whose tangent is brought to the primal's shape and dtype."""
    if tangent.shape != primal.shape:
        tangent = np.broadcast_to(tangent, primal.shape)
    if tangent.dtype != primal.dtype:
        tangent = tangent.astype(primal.dtype)
    return Dual(primal, tangent, level)


def _plain(kind: type, other: Any, level: int) -> bool:
    """Whether `other` is a constant for a Dual of `level`."""
    return kind in SCALARS or kind is ndarray or (isinstance(other, ArrayLayer) and other.level < level)


def _arithmetic(
    compute: Any,
    both: Callable[[Any, Any, Any, Any, Any], Any],
    first: Callable[[Any, Any, Any, Any], Any],
    second: Callable[[Any, Any, Any, Any], Any],
    reflected: bool = False,
) -> Callable[[Any, Any], Any]:
    """The method of an operator: its value, and the tangent for two duals, for only the first, and for only the second one."""

    def method(self: Any, other: Any) -> Any:
        kind = type(other)
        level = self.level
        if kind is Dual and other.level == level:
            p, q = self.primal, other.primal
            value = compute(p, q)
            return dual(value, both(value, p, self.tangent, q, other.tangent), level)
        if _plain(kind, other, level):
            p = self.primal
            if reflected:
                value = compute(other, p)
                return dual(value, second(value, other, p, self.tangent), level)
            value = compute(p, other)
            return dual(value, first(value, p, self.tangent, other), level)
        if is_foreign(other) or (isinstance(other, ArrayLayer) and kind is not Dual):
            return NotImplemented
        other = np.asarray(other) if isinstance(other, list | tuple) else other
        return self.__array_ufunc__(compute, "__call__", *((other, self) if reflected else (self, other)))

    return method


def _both_ways(compute: Any, both: Any, first: Any, second: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    return _arithmetic(compute, both, first, second), _arithmetic(compute, both, first, second, reflected=True)


def _by_ufunc(ufunc: Any, reflected: bool = False) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if is_foreign(other):
            return NotImplemented
        other = np.asarray(other) if isinstance(other, list | tuple) else other
        return ufunc(other, self) if reflected else ufunc(self, other)

    return method


def _compared(ufunc: Any) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if is_foreign(other):
            return NotImplemented
        return ufunc(self.primal, other.primal if isinstance(other, Dual) and other.level == self.level else other)

    return method


class Dual(ArrayLayer):
    """`primal`, and its derivative `tangent` of the same shape and dtype; see the module's first paragraph."""

    __slots__ = ("primal", "tangent")

    def __init__(self, primal: Any, tangent: Any, level: int) -> None:
        self.primal = primal
        self.tangent = tangent
        self.level = level

    @property
    def primary(self) -> Any:
        return self.primal

    @property
    def parts(self) -> tuple[Any, ...]:
        return (self.primal, self.tangent)

    # --- what it is: what its primal is -----------------------------------------------------------------------------------------

    shape = property(lambda self: self.primal.shape)
    dtype = property(lambda self: self.primal.dtype)
    ndim = property(lambda self: self.primal.ndim)
    size = property(lambda self: self.primal.size)
    itemsize = property(lambda self: self.primal.itemsize)
    nbytes = property(lambda self: self.primal.nbytes)

    def __len__(self) -> int:
        return len(self.primal)

    def __repr__(self) -> str:
        return f"<dual of {self.primal!r}, {self.tangent!r}>"

    def __bool__(self) -> bool:
        return bool(self.primal)

    def refusal(self, what: str) -> Exception:
        return ForwardModeError(f"{what} of a value of shape {self.shape} that carries a derivative (jvp, hvp) would lose it")

    # --- operators: written out where it pays, by the table else --------------------------------------------------------------------

    __add__, __radd__ = _both_ways(np.add, lambda v, p, dp, q, dq: dp + dq, lambda v, p, dp, q: dp, lambda v, p, q, dq: dq)
    __sub__, __rsub__ = _both_ways(np.subtract, lambda v, p, dp, q, dq: dp - dq, lambda v, p, dp, q: dp, lambda v, p, q, dq: -dq)
    __mul__, __rmul__ = _both_ways(np.multiply, lambda v, p, dp, q, dq: dp * q + p * dq, lambda v, p, dp, q: dp * q, lambda v, p, q, dq: dq * p)
    __truediv__, __rtruediv__ = _both_ways(
        np.divide, lambda v, p, dp, q, dq: (dp - v * dq) / q, lambda v, p, dp, q: dp / q, lambda v, p, q, dq: -(v * dq) / q
    )
    __matmul__, __rmatmul__ = _both_ways(np.matmul, lambda v, p, dp, q, dq: dp @ q + p @ dq, lambda v, p, dp, q: dp @ q, lambda v, p, q, dq: p @ dq)
    __pow__, __rpow__ = _by_ufunc(np.power), _by_ufunc(np.power, True)
    __mod__, __rmod__ = _by_ufunc(np.remainder), _by_ufunc(np.remainder, True)
    __floordiv__, __rfloordiv__ = _by_ufunc(np.floor_divide), _by_ufunc(np.floor_divide, True)
    __lt__, __le__, __gt__, __ge__ = map(_compared, (np.less, np.less_equal, np.greater, np.greater_equal))
    __eq__, __ne__ = map(_compared, (np.equal, np.not_equal))

    def __neg__(self) -> Dual:
        return Dual(-self.primal, -self.tangent, self.level)

    def __pos__(self) -> Dual:
        return Dual(+self.primal, +self.tangent, self.level)

    def __abs__(self) -> Any:
        return np.absolute(self)

    # --- elements -----------------------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Dual:
        index = primal_of(index, self.level)
        return Dual(self.primal[index], self.tangent[index], self.level)

    def __setitem__(self, index: Any, value: Any) -> None:
        index = primal_of(index, self.level)
        primal, tangent = primal_of(value, self.level), tangent_of(value, self.level)
        self.primal, self.tangent = _assignable(self.primal, primal), _assignable(self.tangent, tangent)
        self.primal[index] = primal
        self.tangent[index] = tangent

    # --- methods of ndarray that rules and tensors use ------------------------------------------------------------------------------

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        return Dual(self.primal.reshape(*shape, order=order), self.tangent.reshape(*shape, order=order), self.level)

    def transpose(self, *axes: Any) -> Any:
        return Dual(self.primal.transpose(*axes), self.tangent.transpose(*axes), self.level)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        return Dual(self.primal.swapaxes(axis1, axis2), self.tangent.swapaxes(axis1, axis2), self.level)

    def sum(self, axis: Any = None, **kwargs: Any) -> Any:
        if kwargs:
            return np.sum(self, axis, **kwargs)
        return Dual(self.primal.sum(axis), self.tangent.sum(axis), self.level)

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        if np.dtype(dtype).kind not in "fc":
            return self.primal.astype(dtype)
        if np.dtype(dtype).kind == "f" and self.dtype.kind == "c":
            return np.real(self).astype(dtype)
        return Dual(self.primal.astype(dtype, copy=copy), self.tangent.astype(dtype, copy=copy), self.level)

    def rebuilt(self, parts: Sequence[Any]) -> Any:
        return Dual(parts[0], parts[1], self.level)

    def parts_of(self, value: Any) -> tuple[Any, ...]:
        return value.parts if isinstance(value, Dual) and value.level == self.level else (value, np.zeros_like(value))

    def holding(self, array: Any) -> Any:
        return Dual(array.copy(), np.zeros_like(array), self.level)

    def is_finite(self) -> Any:
        return finite(self.primal) & finite(self.tangent)

    def without_tangents(self) -> Any:
        return without_tangents(self.primal)

    def copy(self, order: str = "C") -> Dual:
        return Dual(self.primal.copy(), self.tangent.copy(), self.level)

    def conjugate(self) -> Dual:
        return Dual(self.primal.conjugate(), self.tangent.conjugate(), self.level)

    conj = conjugate
    T = property(lambda self: Dual(self.primal.T, self.tangent.T, self.level))
    mT = property(lambda self: self.swapaxes(-1, -2))
    real = property(lambda self: Dual(self.primal.real, self.tangent.real, self.level))
    imag = property(lambda self: Dual(self.primal.imag, self.tangent.imag, self.level))


def _assignable(array: Any, value: Any) -> Any:
    """`array` as something to which elements like `value` can be assigned."""
    return able_to_hold(np.array(array) if isinstance(array, np.generic) else array, value)


def primal_of(values: Any, level: int) -> Any:
    """`values`, a nest of tuples, lists, dicts and slices, with the primals in place of the duals of `level`."""
    if isinstance(values, Dual):
        return values.primal if values.level == level else values
    if isinstance(values, tuple | list):
        parts = [primal_of(value, level) for value in values]
        return sequence_like(values, parts)
    if isinstance(values, dict):
        return {key: primal_of(value, level) for key, value in values.items()}
    if isinstance(values, slice):
        return slice(*(primal_of(part, level) for part in (values.start, values.stop, values.step)))
    return values


def tangent_of(value: Any, level: int) -> Any:
    """The tangent of a dual of `level`; 0 of anything else."""
    return value.tangent if isinstance(value, Dual) and value.level == level else 0
