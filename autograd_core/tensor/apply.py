"""`apply`: a call of any operation. Forms of calls that were met before go a plain way, all others the one that knows everything.

(The operators have a still shorter way for what they mostly meet, operators.py.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.tape.mode import RECORDING, raw_mode
from autograd_core.tape.node import Node, like_of, make_node
from autograd_core.tape.op import Op
from autograd_core.tape.plan import FROM_ARGS, FROM_DEFAULT, FROM_KWARGS, FROM_RESULT, plan_first
from autograd_core.tensor.handles import SCALARS, Handle, handle, results
from autograd_core.tensor.ownership import COPIED, note_views, share_memory_of, shows
from autograd_core.tensor.recording import applied, record

__all__ = ["BARE", "apply", "apply_to_view"]


def apply(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute `op` on tensors and arrays, and record it if an argument is tracked.

    raises : TypeError if an argument is tracked and a rule for it is missing, or a keyword is used that no rule knows
    """
    if raw_mode() is RECORDING:
        result = _applied_plainly(op, args, kwargs)
        if result is not NotImplemented:
            return result
    return applied(op, args, kwargs)


def apply_to_view(op: Op, tensor: Any, arguments: tuple[Any, ...], data: Any) -> Any:
    """`apply` for an operation on `tensor`, which is tracked, whose result `data` is known: a third of its time."""
    plan = op.first or plan_first(op)
    values = (*arguments, data)  # OUT is -1: the result comes last
    result = handle(data, make_node(plan, (tensor.node,), [values[save] for save in plan.saves], data))
    if shows(data, tensor):
        share_memory_of(tensor, result, op.function, arguments[1:])
    return result


# What a call is made of besides tensors and arrays, nearly always; and arrays that say by their class that nothing is behind them.
_CONSTANTS = frozenset({type(None), str, slice, type(Ellipsis), np.dtype, type, *SCALARS})
_INT = frozenset({int})
BARE = frozenset({np.ndarray, np.float64, np.float32})


def _applied_plainly(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`apply` for a call of a form that was met before, on plain arrays: in half of the time. NotImplemented for any other.

    What is left out: instruments, layers, tracked keywords, results of several parts, large arrays that need a guard.
    """
    for value in kwargs.values():
        if type(value) not in _CONSTANTS and not _is_shape(value):
            return NotImplemented
    raw_args: list[Any] = []
    tracked: tuple[Any, ...] = ()
    parents: list[Node] = []
    reachable = 0
    for i, value in enumerate(args):
        kind = type(value)
        if kind is results.kind or isinstance(value, Handle):
            array = value._array
            if type(array) not in BARE:
                return NotImplemented
            raw_args.append(array)
            if value.handed_out:
                reachable |= 1 << i
            if value.node is not None:
                tracked += (i,)
                parents.append(value.node)
        elif kind in _CONSTANTS:
            raw_args.append(value)
        elif kind is np.ndarray and not value.dtype.hasobject:
            raw_args.append(value)
            reachable |= 1 << i
        elif kind is tuple or kind is list:
            if not _is_shape(value):
                if i:
                    return NotImplemented
                elements = []
                for k, v in enumerate(value):
                    if type(v) is not results.kind or type(v._array) not in BARE:
                        return NotImplemented
                    if v.node is not None:
                        elements.append((0, k))
                        parents.append(v.node)
                tracked = tuple(elements)
                value = [v._array for v in value]
            raw_args.append(kind(value))
        else:
            return NotImplemented
    if not parents:
        return NotImplemented
    form = (tracked, len(args), *kwargs)
    known = op.forms.get(form)
    if known is None:
        known = _known_form(op, tracked, form)
        if known is None:
            return NotImplemented
    plan, compute, recipe, saved_args = known
    if op.real_only and any(node.like.dtype.kind == "c" for node in parents):
        return NotImplemented
    at_risk = reachable & saved_args  # what is saved and can be reached by the user: copied, if it is small
    if at_risk and any(raw_args[key].nbytes > COPIED for source, key in recipe if source == FROM_ARGS and at_risk >> key & 1):
        return NotImplemented
    value = compute(*raw_args, **kwargs)
    if type(value) not in BARE or value.dtype.kind not in "fc":
        result = record(plan, parents, raw_args, kwargs, value, reachable, RECORDING, form[1:])
        if isinstance(value, tuple | list) or getattr(value, "base", None) is not None or value is raw_args[0]:
            note_views(op.function, args, kwargs, result)
        return result
    saved = []
    for source, key in recipe:
        if source == FROM_ARGS:
            saved.append(raw_args[key].copy() if at_risk >> key & 1 else raw_args[key])
        elif source == FROM_RESULT:
            saved.append(value)
        elif source == FROM_DEFAULT:
            saved.append(key)
        elif source == FROM_KWARGS:
            saved.append(kwargs[key])
        elif type(raw_args[key]) is list:
            saved.append(tuple([like_of(v) for v in raw_args[key]]))
        else:
            saved = plan.saved_values(form[1:], raw_args, kwargs, value)
            break
    result = handle(value, make_node(plan, parents, saved, value))
    if value.base is not None or value is raw_args[0]:
        note_views(op.function, args, kwargs, result)
    return result


def _known_form(op: Op, tracked: tuple[Any, ...], form: tuple[Any, ...]) -> Any:
    """What `_applied_plainly` needs to know of calls of a form: plan, function, what to save from where, and which arguments that is.

    None for a form that was not met by `applied`, which checks it, and for what is special.
    """
    plan = op.plans.get(tracked)
    recipe = None if plan is None else plan.recipes.get(form[1:])
    if plan is None or recipe is None or form[1:] not in op.accepted or op.variadic is not None:
        return None
    saved_args = sum(1 << key for source, key in recipe if source == FROM_ARGS)
    known = op.forms[form] = (plan, op.quick or op.function, recipe, saved_args)
    return known


def _is_shape(value: Any) -> bool:
    """Whether `value` is a tuple or list of whole numbers: axes or a shape."""
    if type(value) is not tuple and type(value) is not list:
        return False
    return _INT.issuperset(map(type, value))
