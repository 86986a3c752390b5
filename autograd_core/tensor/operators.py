"""The hot path: the methods behind `x * y` and `x.tanh()`.

They do what `recording.apply` does, with everything left out that cannot happen for one or two plain operands, and hand the
rest to it. Each line is counted: on small arrays it is this code that a user waits for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy import float64

from autograd_core.tape.mode import RECORDING, raw_mode
from autograd_core.tape.node import FLOAT64_SCALAR, OFTEN, Node, like_of, next_number, watch_collector
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
from autograd_core.tape.table import operation
from autograd_core.tensor.handles import SCALARS, Handle, as_operand, results, untracked
from autograd_core.tensor.recording import apply

__all__ = ["binary_operator", "reflected_operator", "unary_method"]

new_object = object.__new__


def unary_method(function: Callable[[Any], Any], forward: Callable[[Any], Any] | None = None) -> Callable[[Any], Any]:
    """The method for an elementwise function of one array, such as `x.tanh()` or `-x`."""
    op = operation(function)
    forward = forward or function

    def method(self: Any) -> Any:
        parent = self.node
        if parent is None or self.handed_out or raw_mode() is not RECORDING:
            return apply(op, (self,), {})
        plan = op.first or plan_first(op)
        layout = plan.layout
        if layout == SAVES_OTHERWISE:
            return apply(op, (self,), {})
        data = forward(self._array)
        node = Node()
        node.plan = plan
        node.first = parent
        if layout == SAVES_OUT:
            node.saved_first = data
        elif layout == SAVES_FIRST:
            node.saved_first = self._array
        like = parent.like
        if type(data) is float64:
            node.like = FLOAT64_SCALAR
        else:
            node.like = like if data.dtype is like.dtype else like_of(data)
        number = node.number = next_number()
        node.gradient = None
        if not number & OFTEN:
            watch_collector(number)
        result = new_object(results.kind)
        result._array = data
        result.node = node
        result.grad = None
        result.handed_out = False
        return result

    method.__name__ = str(op.name)
    method.__doc__ = f"`np.{op.name}(self)`"
    return method


def binary_operator(function: Callable[[Any, Any], Any], forward: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The method for an operator such as `x * other`; `forward` is Python's operator, which is quicker than the ufunc."""
    op = operation(function)
    elementwise = op.elementwise

    def method(self: Any, other: Any) -> Any:
        left = self.node
        a = self._array
        if isinstance(other, Handle):
            right = other.node
            b = other._array
            reachable = self.handed_out or other.handed_out
            if left is None:
                if right is None:
                    return untracked(forward(a, b))
                parent = right
                plan = op.second or plan_second(op)
            else:
                parent = left
                plan = op.first or plan_first(op) if right is None else op.both or plan_both(op)
        elif type(other) in SCALARS:
            if left is None:
                return untracked(forward(a, other))
            right = None
            b = other
            reachable = self.handed_out
            parent = left
            plan = op.first or plan_first(op)
        else:
            return apply(op, (self, as_operand(other)), {}) if _is_operand(other) else NotImplemented
        layout = plan.layout
        if raw_mode() is not RECORDING or (reachable and layout != SAVES_NOTHING):
            return apply(op, (self, other), {})
        data = forward(a, b)
        node = Node()
        node.plan = plan
        like = parent.like
        if left is None or right is None:
            node.first = parent
            if layout == SAVES_SECOND:
                node.saved_first = b
            elif layout != SAVES_NOTHING:
                _save(node, plan.saves, (a, b, data))
            if type(data) is float64:
                like = FLOAT64_SCALAR
            elif data.dtype is not like.dtype or data.shape != like.shape:
                like = like_of(data)
        else:
            node.first = left
            node.second = right
            if layout == SAVES_BOTH:
                node.saved_first = b
                node.saved_second = a
            elif layout != SAVES_NOTHING:
                _save(node, plan.saves, (a, b, data))
            # Equal shapes are one object (node.py) and broadcast to the same: nothing to look up.
            if not elementwise or right.like is not like:
                like = like_of(data)
        node.like = like
        number = node.number = next_number()
        node.gradient = None
        if not number & OFTEN:
            watch_collector(number)
        result = new_object(results.kind)
        result._array = data
        result.node = node
        result.grad = None
        result.handed_out = False
        return result

    method.__name__ = str(op.name)
    method.__doc__ = f"`np.{op.name}(self, other)`"
    return method


def _save(node: Node, saves: tuple[Any, ...], values: tuple[Any, ...]) -> None:
    """Save what a plan saves, of (arguments..., result). Not inlined: a comprehension would make cells of the method's locals."""
    saved = [values[save] for save in saves]
    if not node.plan.compact:
        node.rest = (*([node.first] if node.plan.arity == 1 else [node.first, node.second]), *saved)
        return
    node.saved_first = saved[0]
    if len(saved) == 2:
        node.saved_second = saved[1]


def reflected_operator(function: Callable[[Any, Any], Any], forward: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The method for `other * x` where `other` is no tensor."""
    op = operation(function)

    def method(self: Any, other: Any) -> Any:
        if self.node is None and type(other) in SCALARS:
            return untracked(forward(other, self._array))
        return apply(op, (as_operand(other), self), {}) if type(other) in SCALARS or _is_operand(other) else NotImplemented

    method.__name__ = str(op.name)
    method.__doc__ = f"`np.{op.name}(other, self)`"
    return method


def _is_operand(other: Any) -> bool:
    """Whether NumPy's arithmetic takes `other`: an array of any kind, or a list."""
    protocol = getattr(type(other), "__array_ufunc__", NotImplemented)
    if protocol is not NotImplemented:
        return protocol is not None
    return isinstance(other, list | tuple) or hasattr(other, "__array__") or hasattr(other, "toarray")  # a sparse matrix is refused by name
