"""The door for authors of operations: `defvjp` for an existing function, `op` for a new one. The engine's own rules use it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, overload

from autograd_core.arrays.layers import ArrayLayer, computed_in_layers, in_charge
from autograd_core.define.samples import Arrays, Call, elementwise_calls
from autograd_core.tape.loading import load_more
from autograd_core.tape.op import Op
from autograd_core.tape.table import COMPOSITIONS, CONSTANTS, TABLE, UPDATES, Composition, operation
from autograd_core.tensor.apply import apply
from autograd_core.tensor.handles import Handle

__all__ = ["composed", "constant", "defvjp", "op"]

Rule = Callable[..., Any]


def _is_ours(rule: Any) -> bool:
    return (getattr(rule, "__module__", "") or "").startswith("autograd_core.rules.")


def defvjp(
    function: Callable[..., Any],
    *positional: Rule | None,
    signature: str | None = None,
    inert: Iterable[str] = (),
    accumulate: dict[str, Rule] | None = None,
    selects: bool | None = None,
    structural: bool | None = None,
    real_only: bool | None = None,
    elementwise: bool | None = None,
    holomorphic: bool | None = None,
    hermitian: tuple[str, ...] | None = None,
    linear: bool | None = None,
    batches: bool | None = None,
    name: str | None = None,
    quick: Callable[..., Any] | None = None,
    domain: Any = None,
    samples: Callable[[Arrays], list[Call]] | None = None,
    **rules: Rule,
) -> Op:
    """Give `function` a vector-Jacobian product for each differentiable argument: g -> g^T d(function)/d(argument).

    function    NumPy's function or ufunc, or one made by `ag.op`
    rules       argument's name = rule. A rule's parameters say what it needs: `g` (always first), `out`, `like` (shape and
                dtype of the argument), and arguments of the function under their own names. Broadcasting and dtype are
                undone for it. Rules may also be given by position.
    signature   the function's arguments as text, where Python cannot read them: "condition, x, y"
    inert       arguments that do not change the rules
    domain      (low, high): where an elementwise function's samples may lie, or one such pair per argument
    quick       a quicker equal of the function, for plain arrays: np.add.reduce for np.sum
    samples     sample calls for the tests and the gradient checker: lambda a: [call(a(2, 3), axis=0)]; see samples.py
    accumulate, selects, structural, elementwise, linear, batches, hermitian, real_only : see `Op` (tape/op.py)
    raises      TypeError for a rule on an argument that the function does not have

    A rule is written with operators, NumPy functions that have rules, and Python scalars; then it can itself be
    differentiated, to any order.

    >>> import numpy as np, autograd_core as ag
    >>> @ag.op
    ... def cube(x):
    ...     return x * x * x
    >>> _ = ag.defvjp(cube, x=lambda g, x: g * 3 * x * x)
    >>> x = ag.tensor(2.0, requires_grad=True)
    >>> cube(x).backward(); x.grad
    tensor(12.)
    """
    if function not in TABLE and not all(map(_is_ours, (*positional, *rules.values()))):
        load_more()  # lest the engine's own rule, imported later, takes the place of this one
    table_op: Op = getattr(function, "op", None) or operation(function)
    given = {
        "_signature": signature,
        "accumulate": accumulate,
        "selects": selects,
        "structural": structural,
        "real_only": real_only,
        "elementwise": elementwise,
        "holomorphic": holomorphic,
        "hermitian": hermitian,
        "linear": linear,
        "batches": batches,
        "name": name,
        "quick": quick,
        "samples": samples,
    }
    attributes: dict[str, Any] = {attribute: value for attribute, value in given.items() if value is not None}
    if inert:
        attributes["inert"] = table_op.inert | frozenset(inert)
    if samples is None and table_op.samples is None and hasattr(function, "nin") and table_op.elementwise:
        attributes["samples"] = elementwise_calls(function.nin, domain or (-2.0, 2.0))
    if positional:
        table_op.define({}, **attributes)
        rules |= {p: rule for p, rule in zip(table_op.parameters, positional, strict=False) if rule is not None}
    table_op.define(rules, **attributes)
    # The contribution of an elementwise rule is made of g and the operands, so it has the result's shape and dtype. Of the engine's own, which
    # the tests have seen, that is relied on; a rule that is defined or replaced later (by a user) is looked at again.
    if table_op.elementwise and getattr(function, "nout", 0) == 1:
        table_op.exact = all(map(_is_ours, table_op.rules.values()))
    return table_op


@overload
def op(function: Callable[..., Any], **definition: Any) -> Callable[..., Any]: ...


@overload
def op(function: None = None, **definition: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]: ...


def op(function: Callable[..., Any] | None = None, **definition: Any) -> Any:
    """Make a new operation of `function`, which computes on raw arrays; rules as in `defvjp`, here or there.

    The result is called like the function. On tensors it is recorded as one node; on raw arrays it just computes.

    >>> import numpy as np, autograd_core as ag
    >>> @ag.op(x=lambda g, x, slope: g * np.where(x > 0, 1.0, slope))
    ... def leaky(x, slope=0.1):
    ...     return np.where(x > 0, x, slope * x)
    >>> x = ag.tensor([-1.0, 2.0], requires_grad=True)
    >>> leaky(x, slope=0.5).sum().backward(); x.grad
    tensor([0.5, 1. ])
    """
    if function is None:
        return functools.partial(op, **definition)
    row = Op(function)
    row.in_python = True
    row.batches = (function.__module__ or "").startswith("autograd_core.")

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], Handle):
            return apply(row, args, kwargs)
        layered = False
        for value in (*args, *kwargs.values()):
            if isinstance(value, Handle) or (isinstance(value, list | tuple) and any(isinstance(v, Handle) for v in value)):
                return apply(row, args, kwargs)
            layered = layered or isinstance(value, ArrayLayer)
        return computed_in_layers(row, args, kwargs, in_charge((args, kwargs))) if layered else function(*args, **kwargs)

    called.op = row  # type: ignore[attr-defined]
    TABLE[called] = row
    if definition:
        defvjp(called, **definition)
    return called


def composed(*functions: Any, samples: Callable[[Arrays], list[Call]] | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Say that `functions` are computed, on tensors, by the decorated function, which is written with differentiable ones."""

    def register(compute: Callable[..., Any]) -> Callable[..., Any]:
        COMPOSITIONS.update((function, Composition(function, compute, samples)) for function in functions)
        return compute

    return register


def updating(function: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Say that `function`, which changes its first argument in place, does so on a tensor by the decorated function."""

    def register(update: Callable[..., None]) -> Callable[..., None]:
        UPDATES[function] = update
        return update

    return register


def constant(*functions: Any) -> None:
    """Say that `functions` have no derivative: on tensors they return plain arrays."""
    CONSTANTS.update(functions)
