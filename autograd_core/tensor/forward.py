"""The derivatives of operations applied to tangents, from the rules that the tape has for gradients.

* An elementwise operation multiplies each element by a slope. Its rule does that to a gradient, and may as well do it to a
  tangent.
* A linear operation (`linear` in the table) is its own derivative: it is computed again, of the tangents.
* For any other, the rule g -> g^T J is linear in g; differentiated once more by the tape, it gives J t.

Each operation stays one row of the table, and forward and reverse mode cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.arrays.duals import Dual, ForwardModeError, dual, primal_of, tangent_of
from autograd_core.arrays.layers import Interpreter, interprets, sequence_like
from autograd_core.tape.loading import load_more
from autograd_core.tape.mode import enable_grad
from autograd_core.tape.op import Op
from autograd_core.tape.plan import Like
from autograd_core.tape.signatures import rule_parameters
from autograd_core.tape.table import COMPOSITIONS, CONSTANTS, TABLE
from autograd_core.tensor.apply import apply
from autograd_core.tensor.backward import gradients_of
from autograd_core.tensor.handles import Handle, untracked
from autograd_core.tensor.protocols import full_name

__all__ = ["DualInterpreter"]


def apply_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any], level: int) -> Any:
    """`ufunc(*inputs, **kwargs)`, or its `reduce`, `at`... by `method`, where an input is a dual of `level`."""
    out = kwargs.pop("out", None)
    if method == "at":
        return _at(ufunc, inputs, level)
    result = apply_function(ufunc if method == "__call__" else (ufunc, method), inputs, kwargs, level)
    if out is None or all(target is None for target in out):
        return result
    (target,) = out
    if not isinstance(target, Dual):
        raise ForwardModeError(
            f"{ufunc.__name__}: a plain array cannot hold a value that carries a derivative (jvp, hvp); write the result to a name"
        )
    target[...] = result
    return target


def _at(ufunc: Any, inputs: tuple[Any, ...], level: int) -> None:
    """`np.add.at(target, index, values)`, which is linear; no other update at an index is."""
    target, index, *values = inputs
    if ufunc is not np.add or not isinstance(target, Dual) or target.level != level:
        raise ForwardModeError(
            f"np.{ufunc.__name__}.at has no derivative in forward mode here; use np.add.at on np.zeros_like of a value, or write it with arrays"
        )
    np.add.at(target.primal, index, primal_of(values[0], level))
    np.add.at(target.tangent, index, tangent_of(values[0], level))


def apply_function(function: Any, args: Any, kwargs: dict[str, Any], level: int) -> Any:
    """NumPy's `function` of duals of `level`: by its row of the table, by its composition, or of the primals if it is constant."""
    special = _SPECIAL.get(function)
    if special is not None:
        return special(level, *args, **kwargs)
    op = TABLE.get(function)
    if op is not None and op.rules:
        return apply_op(op, args, kwargs, level)
    composition = COMPOSITIONS.get(function)
    if composition is not None:
        return _unwrapped(composition.compute(*_wrapped(args), **_wrapped(kwargs)))
    if function not in CONSTANTS and load_more():
        return apply_function(function, args, kwargs, level)
    compute = getattr(*function) if isinstance(function, tuple) else function
    if function in CONSTANTS:
        return compute(*primal_of(args, level), **primal_of(kwargs, level))
    raise ForwardModeError(
        f"{full_name(function)} has no derivative rule, which jvp and hvp need; write it with functions that have one, or register one"
    )


def _wrapped(values: Any) -> Any:
    """Untracked tensors around the duals in `values`: what compositions are written for."""
    if isinstance(values, Dual):
        return untracked(values)
    if isinstance(values, tuple | list):
        return sequence_like(values, [_wrapped(value) for value in values])
    return {key: _wrapped(value) for key, value in values.items()} if isinstance(values, dict) else values


def _unwrapped(values: Any) -> Any:
    if isinstance(values, Handle):
        return values._array
    if isinstance(values, tuple | list):
        parts = [_unwrapped(value) for value in values]
        return sequence_like(values, parts)
    return values


# --- what makes arrays, or changes them --------------------------------------------------------------------------------------------


def _like(function: Any) -> Callable[..., Any]:
    def made(level: int, a: Any, *args: Any, **kwargs: Any) -> Any:
        value = function(primal_of(a, level), *args, **kwargs)
        return Dual(value, np.zeros_like(value), level) if value.dtype.kind in "fc" else value

    return made


def _put_along_axis(level: int, arr: Any, indices: Any, values: Any, axis: Any) -> None:
    if not isinstance(arr, Dual):
        raise ForwardModeError("np.put_along_axis: a plain array cannot hold a value that carries a derivative (jvp, hvp)")
    np.put_along_axis(arr.primal, indices, primal_of(values, level), axis)
    np.put_along_axis(arr.tangent, indices, np.broadcast_to(tangent_of(values, level), np.shape(values)), axis)


_SPECIAL: dict[Any, Callable[..., Any]] = {
    np.zeros_like: _like(np.zeros_like),
    np.ones_like: _like(np.ones_like),
    np.empty_like: _like(np.empty_like),
    np.put_along_axis: _put_along_axis,
    np.result_type: lambda level, *values: np.result_type(*primal_of(values, level)),
    np.may_share_memory: lambda level, a, b, **_: np.may_share_memory(primal_of(a, level), primal_of(b, level)),
}

# --- operations of the table ---------------------------------------------------------------------------------------------------------


def apply_op(op: Op, args: Any, kwargs: dict[str, Any], level: int) -> Any:
    """The value of `op` on duals of `level`, and what its derivative makes of their tangents."""
    result = NotImplemented
    if op.elementwise:
        if not kwargs and len(args) == len(op.parameters):
            result = _elementwise(op, args, level)
    elif op.linear and not any(isinstance(value, Dual) for value in kwargs.values()):
        result = _linear(op, args, kwargs, level)
    return _by_two_vjps(op, args, kwargs, level) if result is NotImplemented else result


OUT, LIKE = -1, -2


def _slopes_of(op: Op) -> dict[int, tuple[Callable[..., Any], tuple[int, ...]]]:
    """For each argument with a rule: the rule, and where in a call it finds what it takes besides the tangent."""
    place = {name: position for position, name in enumerate(op.parameters)} | {"out": OUT, "like": LIKE}
    op.slopes = {place[name]: (rule, tuple(place[p] for p in rule_parameters(rule))) for name, rule in op.rules.items()}
    return op.slopes


def _elementwise(op: Op, args: Any, level: int) -> Any:
    """Each argument's slope times its tangent. Slopes of complex numbers need a complex derivative."""
    primals = [a.primal if type(a) is Dual and a.level == level else a for a in args]
    value = op.function(*primals)
    if isinstance(value, tuple):
        return NotImplemented
    kind = value.dtype.kind
    if kind not in "fc":
        return value
    slopes = op.slopes or _slopes_of(op)
    total: Any = None
    for position, argument in enumerate(args):
        if type(argument) is not Dual or argument.level != level or (position not in slopes and op.parameters[position] in op.inert):
            continue
        if position not in slopes or ((kind == "c" or argument.dtype.kind == "c") and not op.holomorphic):
            return NotImplemented
        rule, takes = slopes[position]
        known = [value if k == OUT else Like(argument.shape, argument.dtype) if k == LIKE else primals[k] for k in takes]
        part = rule(argument.tangent, *known)
        total = part if total is None else total + part
    return value if total is None else dual(value, total, level)


def _linear(op: Op, args: Any, kwargs: dict[str, Any], level: int) -> Any:
    """`op` computed of the tangents, one argument after the other. NotImplemented if it is not linear in one of them."""
    total: Any = None
    for position, argument in enumerate(args):
        is_sequence = isinstance(argument, tuple | list)
        if is_sequence and any(isinstance(part, Dual) and part.level == level for part in argument):
            own: Any = [_tangent_like(part, level) for part in argument]
        elif isinstance(argument, Dual) and argument.level == level:
            own = argument.tangent
        else:
            continue
        if position >= len(op.parameters) or op.parameters[position] not in op.rules or kwargs.get("initial") is not None:
            return NotImplemented
        part = op.function(*(own if i == position else primal_of(other, level) for i, other in enumerate(args)), **kwargs)
        total = part if total is None else total + part
    if total is None:
        return NotImplemented
    return dual(op.function(*primal_of(args, level), **kwargs), total, level)


def _tangent_like(value: Any, level: int) -> Any:
    return value.tangent if isinstance(value, Dual) and value.level == level else np.zeros_like(value)


def _by_two_vjps(op: Op, args: Any, kwargs: dict[str, Any], level: int) -> Any:
    """J t as the gradient of g^T J for g, weighted by t: right for whatever has a rule that can be differentiated."""
    leaves: list[Any] = []
    tangents: list[Any] = []

    def with_leaves(values: Any) -> Any:
        if isinstance(values, Dual) and values.level == level:
            leaf = untracked(values.primal)
            leaf.requires_grad = True
            leaves.append(leaf)
            tangents.append(values.tangent)
            return leaf
        if isinstance(values, tuple | list):
            return sequence_like(values, [with_leaves(value) for value in values])
        return {key: with_leaves(value) for key, value in values.items()} if isinstance(values, dict) else values

    with enable_grad():
        result = apply(op, tuple(with_leaves(value) for value in args), with_leaves(kwargs))
        return _with_tangents(result, leaves, tangents, level)


def _with_tangents(result: Any, leaves: list[Any], tangents: list[Any], level: int) -> Any:
    """The value of `result` as duals: each tracked tensor in it with the derivative along the tangents."""
    if isinstance(result, tuple | list):
        parts = [_with_tangents(part, leaves, tangents, level) for part in result]
        return sequence_like(result, parts)
    if not isinstance(result, Handle):
        return result
    if result.node is None:
        return result._array
    probe = untracked(np.zeros_like(result._array))
    probe.requires_grad = True
    pulled = gradients_of(result, leaves, probe, create_graph=True, retain_graph=True, allow_unused=True)
    pairs = [(g, t) for g, t in zip(pulled, tangents, strict=True) if g is not None and g.requires_grad]
    outputs, given = [g for g, _ in pairs], [t for _, t in pairs]
    found = gradients_of(outputs, probe, given, create_graph=False, allow_unused=True, retain_graph=None) if pairs else None
    tangent = np.zeros_like(result._array) if found is None else found._array
    return Dual(result._array, tangent, level)


@interprets(Dual)
class DualInterpreter(Interpreter):
    """NumPy's functions, and ops, of `Dual`."""

    def ufunc(self, ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any], level: int) -> Any:
        return apply_ufunc(ufunc, method, inputs, kwargs, level)

    def function(self, function: Any, args: Any, kwargs: dict[str, Any], level: int) -> Any:
        return apply_function(function, args, kwargs, level)

    def op(self, op: Any, args: Any, kwargs: dict[str, Any], level: int) -> Any:
        return apply_op(op, args, kwargs, level)
