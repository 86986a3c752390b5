"""How a call becomes a node: unwrap the tensors, compute on raw arrays, and record what the rules will need.

`applied` does it for any operation, with all that can happen; users' calls come by shorter ways for what they mostly are (apply.py,
operators.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import BatchingError
from autograd_core.arrays.duals import without_tangents
from autograd_core.arrays.foreign import array_at_heart, is_plain, numbers
from autograd_core.arrays.layers import ArrayLayer, computed_in_layers, in_charge
from autograd_core.tape.mode import NOT_RECORDING, RECORDING, Instrument, current_mode
from autograd_core.tape.node import Node, make_node
from autograd_core.tape.op import Op
from autograd_core.tape.plan import Like, Plan, plan_of
from autograd_core.tensor.handles import Handle, lift, raw, untracked, wrap
from autograd_core.tensor.ownership import guarded, note_views

__all__ = ["applied", "record"]

_SEQUENCES = (list, tuple)  # `list | tuple` would make a new object at each call


def applied(op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Compute `op` on tensors and arrays, with all that can happen, and record it if an argument is tracked.

    raises : TypeError if an argument is tracked and a rule for it is missing, or a keyword is used that no rule knows
    """
    tracked: list[Any] = []
    parents: list[Node] = []
    reachable = 0  # a bit for each argument whose array the user can reach: a raw array, or a tensor's that was handed out
    variadic = op.variadic
    raw_args = list(args)
    for i, value in enumerate(args):
        position = i if variadic is None or i < variadic else variadic
        if isinstance(value, Handle):
            raw_args[i] = value._array
            if value.handed_out:
                reachable |= 1 << position
            if value.node is not None:
                tracked.append(i if variadic is None or i < variadic else (variadic, i - variadic))
                parents.append(value.node)
        elif isinstance(value, _SEQUENCES):
            raw_args[i] = _unwrap_sequence(value, i, tracked, parents)
            if i < len(op.parameters) and i != variadic and op.parameters[i] in op.rules and _is_nested_numbers(value):
                raw_args[i] = np.asarray(value)  # np.kron([1.0, 2.0], t): rules are written for arrays
            reachable |= 1 << position
        elif type(value) is np.ndarray:
            reachable |= 1 << position
            if value.dtype.hasobject:
                numbers(value, op.name)  # which refuses it
        elif not is_plain(value) and (at_heart := array_at_heart(value, op.name)) is not value:
            raw_args[i] = at_heart
            reachable |= 1 << position
    raw_kwargs = kwargs
    if kwargs:
        raw_kwargs = dict(kwargs)
        for name, value in kwargs.items():
            if isinstance(value, Handle):
                raw_kwargs[name] = value._array
                if value.node is not None:
                    tracked.append(op.position(name))
                    parents.append(value.node)
            elif isinstance(value, _SEQUENCES):
                raw_kwargs[name] = _unwrap_sequence(value, name, tracked, parents, op)
            elif not is_plain(value):
                raw_kwargs[name] = array_at_heart(value, op.name)
            elif type(value) is not np.ndarray:
                continue
            if name in op.parameters:
                reachable |= 1 << op.position(name)
        if raw_kwargs.get("out") is not None and (isinstance(kwargs["out"], Handle) or (parents and current_mode() is not NOT_RECORDING)):
            raise TypeError(f"{op.name}: out= is not supported with tensors, which are values; write the result to a name: y = {op.name}(...)")
    mode = current_mode()
    if not parents or mode is NOT_RECORDING:
        value = _computed(op, raw_args, raw_kwargs)
        # What is not recorded is a constant in forward mode too.
        result = wrap(without_tangents(value) if parents else value)
        note_views(op.function, args, kwargs, result)
        return result
    form = (len(args), *kwargs)
    op.check_known(form, args, kwargs)
    if op.real_only and any(node.dtype.kind == "c" for node in parents):
        raise TypeError(f"{op.name} has no derivative for complex arguments; take the real part, or pass x.detach()")
    plan = plan_of(op, tuple(tracked))
    if mode is RECORDING:
        value = _computed(op, raw_args, raw_kwargs)
    else:
        mode.computing(op, parents)
        try:
            if mode.silences_numpy:
                from autograd_core.arrays.quiet import quietly

                value = quietly(_computed, op, raw_args, raw_kwargs)
            else:
                value = _computed(op, raw_args, raw_kwargs)
        except BaseException as error:
            mode.failed(op, tuple(raw_args), raw_kwargs, error)
            raise
    result = record(plan, parents, raw_args, raw_kwargs, value, reachable, mode, form)
    if getattr(value, "base", None) is not None or isinstance(value, tuple | list | ArrayLayer) or (raw_args and value is raw_args[0]):
        note_views(op.function, args, kwargs, result)
    return result


def _computed(op: Op, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The value of `op`; for one element after the other of a batch that its function cannot take as a whole.

    NumPy's functions differentiate dual arrays by the op's rules; of a function in Python it has to be asked for, as its lines
    might have another derivative (ops that pass gradients straight through, say), or look at the type of what they get. And NumPy
    asks no keyword for its protocol (np.nansum(a, initial=x)).
    """
    unasked = kwargs and any(isinstance(value, ArrayLayer) for value in kwargs.values())
    if (op.in_python or unasked) and (top := in_charge((args, kwargs))) is not None:
        return computed_in_layers(op, args, kwargs, top)
    try:
        return op.function(*args, **kwargs)
    except BatchingError as error:
        from autograd_core.arrays.batching.loop import each_of_innermost

        return each_of_innermost(op.function, args, kwargs, error)


def _is_nested_numbers(value: Any) -> bool:
    """Whether `value` is an array written as a list, such as [[1.0, 2.0], [3.0, 4.0]]."""
    return all(_is_nested_numbers(v) for v in value) if isinstance(value, _SEQUENCES) else type(value) in (float, int, complex, bool)


def _unwrap_sequence(value: Any, where: int | str, tracked: list[Any], parents: list[Node], op: Op | None = None) -> Any:
    if type(value) is not list and type(value) is not tuple:
        value = tuple(value)  # np.concatenate(np.linalg.eigh(t)): a named tuple
    of_interest = (Handle, *_SEQUENCES)
    if not any(isinstance(v, of_interest) for v in value):
        return list(value) if type(value) is list else value  # a list of the user's may change before the backward pass
    for element, v in enumerate(value):
        if isinstance(v, Handle) and v.node is not None:
            position = where if isinstance(where, int) else op.position(where)  # type: ignore[union-attr]
            tracked.append((position, element))
            parents.append(v.node)
        elif isinstance(v, _SEQUENCES) and current_mode() is not NOT_RECORDING and _holds_tracked(v):
            raise TypeError("tracked tensors in a list within a list would lose their gradients; join the inner ones first, with np.stack([...])")
    if any(isinstance(v, Handle) and v.node is not None for v in value):
        # np.concatenate([t, [1.0]]), or [t, series]
        value = type(value)(np.asarray(v) if isinstance(v, _SEQUENCES) and _is_nested_numbers(v) else array_at_heart(v, "join") for v in value)
    return raw(value)


def _holds_tracked(value: Any) -> bool:
    if isinstance(value, Handle):
        return value.node is not None
    return isinstance(value, _SEQUENCES) and any(_holds_tracked(v) for v in value)


def record(
    plan: Plan, parents: list[Node], args: Any, kwargs: Any, value: Any, reachable: int, mode: Instrument, form: tuple[Any, ...] | None = None
) -> Any:
    """Make the node for a computed `value`, and the tensor (or tensors) around it.

    reachable : a bit for each argument whose array the user can change (-1 for all): those are saved with a fingerprint
    """
    several = isinstance(value, tuple | list)
    if not several and value.dtype.kind not in "fc":
        if value.dtype.hasobject:
            raise TypeError(f"{plan.op.name}: a tensor holds numbers, not Python objects; convert the array with a.astype(float)")
        return untracked(value)  # piecewise constant: an integer result has no derivative
    if kwargs and kwargs.get("where", True) is not True:
        plan = plan.with_selection
    saved = plan.saved_values(form or (len(args), *kwargs), args, kwargs, value)
    plan = guarded(plan, saved, reachable, mode)
    if several:
        node = make_node(plan, parents, saved, value[0])
        node.like = Like(tuple(v.shape for v in value), tuple(v.dtype for v in value))
    else:
        node = make_node(plan, parents, saved, value)
    if mode is not RECORDING:
        mode.recorded(node, tuple(args), kwargs, value)
    return lift(value, node)
