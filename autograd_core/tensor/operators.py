"""The hot path: elementwise functions of one or two operands, and matrix products, as users write them.

    x * y    2.0 * x    x * array    array * x    x.tanh()    np.tanh(x)    np.maximum(x, 0.0)

The same function serves an operator on either side, a method, and NumPy's ufunc protocol. It does what `apply` does,
with everything left out that cannot happen for plain operands, and hands the rest to it. Each line is counted: on small arrays it
is this code that a user waits for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy import float64, ndarray

from autograd_core.tape.mode import RECORDING, raw_mode
from autograd_core.tape.node import FLOAT64_SCALAR, Node, like_of, look_at, next_number, watch_collector
from autograd_core.tape.op import Op
from autograd_core.tape.plan import (
    SAVES_BOTH,
    SAVES_FIRST,
    SAVES_NOTHING,
    SAVES_OTHERWISE,
    SAVES_OUT,
    SAVES_SECOND,
    plan_both,
    plan_first,
    plan_second,
)
from autograd_core.tape.table import TABLE, operation
from autograd_core.tensor.apply import apply
from autograd_core.tensor.handles import SCALARS, Handle, as_operand, results, untracked
from autograd_core.tensor.ownership import COPIED

__all__ = ["binary_call", "binary_operator", "quick_call", "quick_calls", "reflected_operator", "unary_call", "unary_method"]

new_object = object.__new__


def unary_call(op: Op, forward: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`forward` of one tensor, recorded as `op`."""

    def call(x: Any) -> Any:
        parent = x.node
        if parent is None or raw_mode() is not RECORDING:
            return apply(op, (x,), {})
        plan = op.first or plan_first(op)
        layout = plan.layout
        array = x._array
        if layout == SAVES_OTHERWISE or (x.handed_out and layout == SAVES_FIRST and array.nbytes > COPIED):
            return apply(op, (x,), {})
        data = forward(array)
        node = Node()
        node.plan = plan
        node.first = parent
        if layout == SAVES_OUT:
            node.saved_first = data
        elif layout == SAVES_FIRST:
            node.saved_first = array.copy() if x.handed_out else array
        like = parent.like
        if type(data) is float64:
            node.like = FLOAT64_SCALAR
        else:
            node.like = like if data.dtype is like.dtype else like_of(data)
        number = node.number = next_number()
        node.gradient = None
        if number > look_at[0]:
            watch_collector(number)
        result = new_object(results.kind)
        result._array = data
        result.node = node
        result.grad = None
        result.handed_out = False
        return result

    return call


def binary_call(op: Op, forward: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """`forward` of two operands, at least one of them a tensor, recorded as `op`; NotImplemented for what is no operand."""
    elementwise = op.elementwise

    def call(x1: Any, x2: Any) -> Any:
        kind = type(x1)
        if kind is results.kind or isinstance(x1, Handle):
            a, left, reach1 = x1._array, x1.node, x1.handed_out
        elif kind in SCALARS and kind is not complex:  # Python's complex times np.float64 would be Python's
            a, left, reach1 = x1, None, False
        elif kind is ndarray and not x1.dtype.hasobject:
            a, left, reach1 = x1, None, True
        else:
            return apply(op, (as_operand(x1), x2), {}) if kind is complex or _is_operand(x1) else NotImplemented
        kind = type(x2)
        if kind is results.kind or isinstance(x2, Handle):
            b, right, reach2 = x2._array, x2.node, x2.handed_out
        elif kind in SCALARS:
            b, right, reach2 = x2, None, False
        elif kind is ndarray and not x2.dtype.hasobject:
            b, right, reach2 = x2, None, True
        else:
            return apply(op, (x1, as_operand(x2)), {}) if _is_operand(x2) else NotImplemented
        if left is not None:
            parent = left
            plan = op.first or plan_first(op) if right is None else op.both or plan_both(op)
        elif right is not None:
            parent = right
            plan = op.second or plan_second(op)
        else:
            return untracked(forward(a, b))
        layout = plan.layout
        if raw_mode() is not RECORDING:
            return apply(op, (x1, x2), {})
        if layout != SAVES_NOTHING and (reach1 or reach2) and ((reach1 and a.nbytes > COPIED) or (reach2 and b.nbytes > COPIED)):
            return apply(op, (x1, x2), {})
        data = forward(a, b)
        node = Node()
        node.plan = plan
        like = parent.like
        if left is None or right is None:
            node.first = parent
            if layout == SAVES_SECOND:
                node.saved_first = b.copy() if reach2 else b
            elif layout == SAVES_FIRST:
                node.saved_first = a.copy() if reach1 else a
            elif layout != SAVES_NOTHING:
                _save(node, plan.saves, (a.copy() if reach1 else a, b.copy() if reach2 else b, data))
            if type(data) is float64:
                like = FLOAT64_SCALAR
            elif data.dtype is not like.dtype or data.shape != like.shape:
                like = like_of(data)
        else:
            node.first = left
            node.second = right
            if layout == SAVES_BOTH:
                node.saved_first = b.copy() if reach2 else b
                node.saved_second = a.copy() if reach1 else a
            elif layout != SAVES_NOTHING:
                _save(node, plan.saves, (a.copy() if reach1 else a, b.copy() if reach2 else b, data))
            # Equal shapes are one object (node.py) and broadcast to the same: nothing to look up.
            if not elementwise or right.like is not like:
                like = like_of(data)
        node.like = like
        number = node.number = next_number()
        node.gradient = None
        if number > look_at[0]:
            watch_collector(number)
        result = new_object(results.kind)
        result._array = data
        result.node = node
        result.grad = None
        result.handed_out = False
        return result

    return call


def _save(node: Node, saves: tuple[Any, ...], values: tuple[Any, ...]) -> None:
    """Save what a plan saves, of (arguments..., result). Not inlined: a comprehension would make cells of the caller's locals."""
    saved = [values[save] for save in saves]
    if not node.plan.compact:
        node.rest = (*([node.first] if node.plan.arity == 1 else [node.first, node.second]), *saved)
        return
    node.saved_first = saved[0]
    if len(saved) == 2:
        node.saved_second = saved[1]


def _is_operand(other: Any) -> bool:
    """Whether NumPy's arithmetic takes `other`: an array of any kind, or a list."""
    protocol = getattr(type(other), "__array_ufunc__", NotImplemented)
    if protocol is not NotImplemented:
        return protocol is not None
    if hasattr(other, "toarray") and not hasattr(other, "__array__"):
        raise TypeError("a sparse matrix cannot be an operand of a tensor; use a.toarray(), or ag.linalg.sparse_matmul(a, t) for the product")
    return isinstance(other, list | tuple) or hasattr(other, "__array__")


# --- the calls as methods, and behind the ufunc protocol ----------------------------------------------------------------------


def unary_method(function: Callable[[Any], Any], forward: Callable[[Any], Any] | None = None) -> Callable[[Any], Any]:
    """The method for an elementwise function of one array, such as `x.tanh()` or `-x`."""
    method = unary_call(operation(function), forward or function)
    method.__name__ = function.__name__
    method.__doc__ = f"`np.{function.__name__}(self)`"
    return method


def binary_operator(function: Callable[[Any, Any], Any], forward: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The method for an operator such as `x * other`; `forward` is Python's operator, which is quicker than the ufunc.

    `x * y` of two tracked tensors whose arrays nobody else knows, and `x * 2`, are written out; all else is `binary_call`'s.
    """
    op = operation(function)
    call = binary_call(op, forward)
    elementwise = op.elementwise

    def method(self: Any, other: Any) -> Any:
        left = self.node
        if left is None or self.handed_out or raw_mode() is not RECORDING:
            return call(self, other)
        kind = results.kind
        if type(other) is kind:
            right = other.node
            if right is None or other.handed_out:
                return call(self, other)
            a = self._array
            b = other._array
            data = forward(a, b)
            node = Node()
            plan = node.plan = op.both or plan_both(op)
            node.first = left
            node.second = right
            layout = plan.layout
            if layout == SAVES_BOTH:
                node.saved_first = b
                node.saved_second = a
            elif layout != SAVES_NOTHING:
                _save(node, plan.saves, (a, b, data))
            like = left.like
            # Equal shapes are one object (node.py) and broadcast to the same: nothing to look up.
            node.like = like if elementwise and right.like is like else like_of(data)
        elif type(other) in SCALARS:
            data = forward(self._array, other)
            node = Node()
            plan = node.plan = op.first or plan_first(op)
            node.first = left
            layout = plan.layout
            if layout == SAVES_SECOND:
                node.saved_first = other
            elif layout != SAVES_NOTHING:
                _save(node, plan.saves, (self._array, other, data))
            like = left.like
            if type(data) is float64:
                node.like = FLOAT64_SCALAR
            else:
                node.like = like if data.dtype is like.dtype and data.shape == like.shape else like_of(data)
        else:
            return call(self, other)
        number = node.number = next_number()
        node.gradient = None
        if number > look_at[0]:
            watch_collector(number)
        result = new_object(kind)
        result._array = data
        result.node = node
        result.grad = None
        result.handed_out = False
        return result

    method.__name__ = function.__name__
    method.__doc__ = f"`np.{function.__name__}(self, other)`"
    quick_calls[function] = call
    return method


def reflected_operator(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The method for `other * x` where `other` is no tensor."""
    call: Any = quick_calls[function]

    def method(self: Any, other: Any) -> Any:
        return call(other, self)

    method.__name__ = function.__name__
    method.__doc__ = f"`np.{function.__name__}(other, self)`"
    return method


# What `np.tanh(x)` and `np.maximum(x, y)` come down to, by ufunc; None for what only `apply` can do.
quick_calls: dict[Any, Callable[..., Any] | None] = {}


def quick_call(ufunc: Any) -> Callable[..., Any] | None:
    """The quick way for calls of `ufunc` with operands alone, if there is one."""
    try:
        return quick_calls[ufunc]
    except KeyError:
        op = TABLE.get(ufunc)
        if op is None or not op.rules:
            return None  # perhaps its rules are not imported yet
        plain = ufunc.nout == 1 and op.elementwise and not op.real_only and op.variadic is None
        made: Any = None
        if plain and ufunc.nin == 1:
            made = unary_call(op, ufunc)
        elif plain and ufunc.nin == 2 and {"x1", "x2"} <= set(op.rules):
            made = binary_call(op, ufunc)
        quick_calls[ufunc] = made
        return made
