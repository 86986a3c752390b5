"""How a call becomes a node: unwrap the tensors, compute on raw arrays, and record what the rules will need.

`apply` does it for any operation. `binary_operator` and `unary_method` make the methods behind `x * y` and `x.tanh()`, which
are the same thing with everything that cannot happen left out: this is the hot path, and each line of it is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.fingerprint import fingerprint, full_fingerprint
from autograd_core.grad_mode import NOT_RECORDING, RECORDING, Instrument, current_mode
from autograd_core.table import OUT, TABLE, Like, Op, Plan
from autograd_core.tape import Node, next_number

__all__ = ["apply", "binary_operator", "lift", "operation", "raw", "reflected_operator", "unary_method", "untracked", "wrap"]

# The class that results get: set by tensor.py, which is built on this module.
tensor_class: Any = None

# Never shared memory, never worth a fingerprint, and always fine as the other operand.
SCALARS = frozenset({float, int, complex, bool, *np.sctypeDict.values()})

new_object = object.__new__


def operation(function: Callable[..., Any]) -> Op:
    """The table's row for `function`, made (without rules) if there is none yet."""
    op = TABLE.get(function)
    if op is None:
        op = TABLE[function] = Op(function)
    return op


def raw(value: Any) -> Any:
    """The raw array of a tensor; tuples, lists, dicts and slices with the tensors inside them replaced; others as they are."""
    if isinstance(value, tensor_class):
        return value._data
    kind = type(value)
    if kind is tuple or kind is list:
        return kind(raw(v) for v in value)
    if kind is dict:
        return {k: raw(v) for k, v in value.items()}
    return value


def untracked(data: Any) -> Any:
    """A tensor without history around a raw array."""
    result = new_object(tensor_class)
    result._data = data
    result.node = result.grad = None
    result.handed_out = False
    return result


def lift(data: Any, node: Node) -> Any:
    """A tensor that stands where `node` stands in its graph, with the raw value `data`."""
    if isinstance(data, tuple | list):
        return _rebuild(data, [_output(value, node, i) for i, value in enumerate(data)])
    result = new_object(tensor_class)
    result._data = data
    result.node = node
    result.grad = None
    result.handed_out = False
    return result


def wrap(value: Any) -> Any:
    """Untracked tensors around the arrays in `value`; anything else as it is."""
    if isinstance(value, tuple | list):
        return _rebuild(value, [wrap(v) for v in value])
    return untracked(value) if hasattr(value, "dtype") and hasattr(value, "shape") else value


def _rebuild(like: Any, items: list[Any]) -> Any:
    """A list, tuple or named tuple of the kind of `like`."""
    return type(like)(*items) if hasattr(like, "_fields") else type(like)(items)


def apply(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute `op` on tensors and arrays, and record it if an argument is tracked.

    raises : TypeError if an argument is tracked and a rule for it is missing, or a keyword is used that no rule knows
    """
    tracked: list[Any] = []
    parents: list[Node] = []
    reachable = False  # by the user: a raw array, or a tensor's array that was handed out
    variadic = op.variadic
    raw_args = list(args)
    for i, value in enumerate(args):
        if isinstance(value, tensor_class):
            raw_args[i] = value._data
            reachable |= value.handed_out
            if value.node is not None:
                tracked.append(i if variadic is None or i < variadic else (variadic, i - variadic))
                parents.append(value.node)
        elif type(value) in (list, tuple):
            raw_args[i] = _unwrap_sequence(value, i, tracked, parents)
            reachable = True
        elif isinstance(value, np.ndarray):
            reachable = True
    raw_kwargs = kwargs
    if kwargs:
        raw_kwargs = dict(kwargs)
        for name, value in kwargs.items():
            if isinstance(value, tensor_class):
                raw_kwargs[name] = value._data
                if value.node is not None:
                    tracked.append(op.position(name))
                    parents.append(value.node)
            elif type(value) in (list, tuple):
                raw_kwargs[name] = _unwrap_sequence(value, name, tracked, parents, op)
        if raw_kwargs.get("out") is not None:
            raise TypeError(f"{op.name}: out= is not supported with tensors, which are values; write the result to a name: y = {op.name}(...)")
    mode = current_mode()
    if not parents or mode is NOT_RECORDING:
        return wrap(op.function(*raw_args, **raw_kwargs))
    op.check_known(args, kwargs)
    if op.real_only and any(node.dtype.kind == "c" for node in parents):
        raise TypeError(f"{op.name} has no derivative for complex arguments; take the real part, or pass x.detach()")
    plan = op.plan(tuple(tracked))
    if mode is RECORDING:
        value = op.function(*raw_args, **raw_kwargs)
    else:
        try:
            value = op.function(*raw_args, **raw_kwargs)
        except BaseException as error:
            mode.failed(op, tuple(raw_args), raw_kwargs, error)
            raise
    return record(plan, parents, raw_args, raw_kwargs, value, reachable, mode)


def _unwrap_sequence(value: Any, where: int | str, tracked: list[Any], parents: list[Node], op: Op | None = None) -> Any:
    if not any(isinstance(v, tensor_class) or type(v) in (list, tuple) for v in value):
        return value
    for element, v in enumerate(value):
        if isinstance(v, tensor_class) and v.node is not None:
            position = where if isinstance(where, int) else op.position(where)  # type: ignore[union-attr]
            tracked.append((position, element))
            parents.append(v.node)
    return raw(value)


def record(plan: Plan, parents: list[Node], args: Any, kwargs: Any, value: Any, reachable: bool, mode: Instrument) -> Any:
    """Make the node for a computed `value`, and the tensor (or tensors) around it."""
    several = isinstance(value, tuple | list)
    if not several and value.dtype.kind not in "fc":
        return untracked(value)  # piecewise constant: an integer result has no derivative
    op = plan.op
    saved = [
        value
        if save == OUT
        else op.argument(save, args, kwargs)
        if isinstance(save, int)
        else tuple(Like(np.shape(v), getattr(v, "dtype", None)) for v in op.argument(save[1], args, kwargs))
        for save in plan.saves
    ]
    if mode is not RECORDING and mode.guards_memory:
        prints = tuple(_fingerprints(full_fingerprint, v) for v in saved)
        saved.append((prints, full_fingerprint, mode.line()))
        plan = guarded(plan)
    elif reachable and plan.keeps:
        prints = tuple(None if save == OUT else _fingerprints(fingerprint, v) for save, v in zip(plan.saves, saved, strict=True))
        if any(prints):
            saved.append((prints, fingerprint, None))
            plan = guarded(plan)
    node = new_object(Node)
    node.plan = plan
    node.links = (*parents, *saved)
    node.number = next_number()
    node.watchers = None
    if several:
        node.shape = tuple(v.shape for v in value)
        node.dtype = tuple(v.dtype for v in value)
    else:
        shape = value.shape
        node.shape = parents[0].shape if parents[0].shape == shape else shape
        node.dtype = value.dtype
    if mode is not RECORDING:
        mode.recorded(node, tuple(args), kwargs, value)
    result = lift(value, node)
    if not several and reachable and getattr(value, "base", None) is not None:
        result.handed_out = True  # a view of memory that the user can reach
    return result


def _fingerprints(take: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, tuple | list):
        prints = [take(v) for v in value]
        return prints if any(prints) else None
    return take(value)


def guarded(plan: Plan) -> Plan:
    """The same plan for a node whose last link holds fingerprints of its saved values."""
    if plan.guarded is None:
        twin = object.__new__(Plan)
        for slot in Plan.__slots__:
            setattr(twin, slot, getattr(plan, slot))
        twin.guarded = twin
        twin._freed = plan.freed
        twin.keeps = True
        plan.guarded = twin
    return plan.guarded


# --- operations with several results -------------------------------------------------------------------------------------


def _add_output(total: Any, total_owned: bool, g: Any, g_owned: bool, node: Node, index: int) -> Any:
    """The gradient of an operation with several results is the list of theirs, with None for those not used."""
    gradients = [None] * len(node.dtype) if total is None else total
    gradients[index] = g if gradients[index] is None else gradients[index] + g
    return gradients


_pick_plans: dict[int, Plan] = {}


def _pick_plan(index: int) -> Plan:
    plan = _pick_plans.get(index)
    if plan is None:
        plan = _pick_plans[index] = Plan(Op(lambda results: results[index], name=f"output {index}", signature="results"), ())

        def accumulate(total: Any, total_owned: bool, g: Any, g_owned: bool, links: Any) -> Any:
            return _add_output(total, total_owned, g, g_owned, links[0], index)

        plan.arity = 1
        plan.edges = plan.graph_edges = ((0, accumulate, accumulate, "results"),)
    return plan


def _output(value: Any, node: Node, index: int) -> Any:
    """The tensor for one of several results."""
    if not hasattr(value, "dtype") or value.dtype.kind not in "fc":
        return wrap(value)
    pick = new_object(Node)
    pick.plan = _pick_plan(index)
    pick.links = (node,)
    pick.shape = value.shape
    pick.dtype = value.dtype
    pick.number = next_number()
    pick.watchers = None
    return lift(value, pick)


# --- the hot path ----------------------------------------------------------------------------------------------------------


def unary_method(function: Callable[[Any], Any], forward: Callable[[Any], Any] | None = None) -> Callable[[Any], Any]:
    """The method for an elementwise function of one array, such as `x.tanh()` or `-x`."""
    op = operation(function)
    forward = forward or function

    def method(self: Any) -> Any:
        parent = self.node
        if parent is None or current_mode() is not RECORDING or self.handed_out:
            return apply(op, (self,), {})
        data = forward(self._data)
        plan = op.first or op.plan_first()
        node = new_object(Node)
        node.plan = plan
        saves = plan.saves
        if not saves:
            node.links = (parent,)
        elif saves == (OUT,):
            node.links = (parent, data)
        else:
            node.links = (parent, *[data if save == OUT else self._data for save in saves])
        shape = data.shape
        node.shape = parent.shape if shape == parent.shape else shape
        node.dtype = data.dtype
        node.number = next_number()
        node.watchers = None
        result = new_object(tensor_class)
        result._data = data
        result.node = node
        result.grad = None
        result.handed_out = False
        return result

    method.__name__ = op.name
    method.__doc__ = f"`np.{op.name}(self)`"
    return method


def binary_operator(function: Callable[[Any, Any], Any], forward: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The method for an operator such as `x * other`; `forward` is Python's operator, which is quicker than the ufunc."""
    op = operation(function)

    def method(self: Any, other: Any) -> Any:
        left = self.node
        if isinstance(other, tensor_class):
            right = other.node
            a, b = self._data, other._data
            reachable = self.handed_out or other.handed_out
        else:
            if type(other) not in SCALARS:
                if not _is_operand(other):
                    return NotImplemented
                return apply(op, (self, other), {})
            right = None
            a, b = self._data, other
            reachable = self.handed_out
        if left is not None:
            parent = left
            plan = op.first or op.plan_first() if right is None else op.both or op.plan_both()
        elif right is not None:
            parent = right
            plan = op.second or op.plan_second()
        else:
            return untracked(forward(a, b))
        if current_mode() is not RECORDING or (reachable and plan.keeps):
            return apply(op, (self, other), {})
        data = forward(a, b)
        saves = plan.saves
        if not saves:
            saved: tuple[Any, ...] = ()
        elif saves == (1, 0):
            saved = (b, a)
        elif saves == (1,):
            saved = (b,)
        else:
            saved = tuple([(a, b, data)[save] for save in saves])
        node = new_object(Node)
        node.plan = plan
        node.links = (parent, *saved) if plan.arity == 1 else (left, right, *saved)
        shape = data.shape
        node.shape = parent.shape if shape == parent.shape else shape
        node.dtype = data.dtype
        node.number = next_number()
        node.watchers = None
        result = new_object(tensor_class)
        result._data = data
        result.node = node
        result.grad = None
        result.handed_out = False
        return result

    method.__name__ = op.name
    method.__doc__ = f"`np.{op.name}(self, other)`"
    return method


def reflected_operator(function: Callable[[Any, Any], Any], forward: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The method for `other * x` where `other` is no tensor."""
    op = operation(function)

    def method(self: Any, other: Any) -> Any:
        if self.node is None and type(other) in SCALARS:
            return untracked(forward(other, self._data))
        return apply(op, (other, self), {}) if type(other) in SCALARS or _is_operand(other) else NotImplemented

    method.__name__ = op.name
    method.__doc__ = f"`np.{op.name}(other, self)`"
    return method


def _is_operand(other: Any) -> bool:
    """Whether NumPy's arithmetic takes `other`: an array of any kind, or a list."""
    protocol = getattr(type(other), "__array_ufunc__", NotImplemented)
    return protocol is not None if protocol is not NotImplemented else isinstance(other, list | tuple) or hasattr(other, "__array__")
