"""NumPy's calls on tensors (NEP 13 and 18): find the operation in the table, or say why there is none.

Nothing detaches silently: a function without a rule raises if an argument is tracked, whatever NumPy itself would do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from autograd_core.arrays.batching.array import BatchingError
from autograd_core.arrays.foreign import arrays_at_heart
from autograd_core.arrays.layers import instances_in
from autograd_core.tape.loading import load_more
from autograd_core.tape.mode import NOT_RECORDING, current_mode
from autograd_core.tape.signatures import rule_parameters
from autograd_core.tape.table import COMPOSITIONS, CONSTANTS, TABLE, UPDATES
from autograd_core.tensor.apply import apply
from autograd_core.tensor.handles import Handle, as_operand, raw, wrap
from autograd_core.tensor.ownership import note_views

__all__ = ["array_function", "array_ufunc"]


def array_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`ufunc(*inputs, **kwargs)`, or its `reduce`, `accumulate`, `outer`... by `method`, where an input is a tensor."""
    out = kwargs.get("out")
    if out is not None and any(o is not None for o in out):
        return _written(getattr(ufunc, method), ufunc.__name__, inputs, kwargs, out)
    if method == "__call__":
        return array_function(ufunc, tuple(as_operand(value) for value in inputs), kwargs)
    key: Any = (ufunc, method)
    return array_function(key, inputs, {k: v for k, v in kwargs.items() if k != "out"})


def _written(compute: Any, name: str, args: Any, kwargs: dict[str, Any], out: Any) -> Any:
    """`compute(*args, **kwargs)` into the arrays `out`, which take what is not tracked without loss."""
    if any(isinstance(o, Handle) for o in out):
        raise TypeError(f"{name}: out= of a tensor is not supported, tensors are values; write the result to a name: t = {name}(...)")
    if current_mode() is not NOT_RECORDING and any(t.node is not None for t in instances_in((args, kwargs), Handle)):
        raise TypeError(
            f"{name}: out= and in-place operators (a += t) are not supported with tracked tensors, which are values: an array would lose their "
            "gradient; write the result to a name (a = a + t), or pass t.detach()"
        )
    return compute(*raw(tuple(args)), **raw(kwargs))


def array_function(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """`function(*args, **kwargs)` where an argument is, or holds, a tensor."""
    op = TABLE.get(function)
    if op is not None and op.rules:
        return apply(op, tuple(args), kwargs)
    composition = COMPOSITIONS.get(function)
    if composition is not None:
        args, kwargs = arrays_at_heart((tuple(args), kwargs), lambda: full_name(function))
        try:
            return composition.compute(*args, **kwargs)
        except BatchingError as error:
            from autograd_core.tensor.batches import recorded_loop

            return recorded_loop(composition.compute, tuple(args), kwargs, error)
    update = UPDATES.get(function)
    if update is not None:
        changed = args[0] if args else kwargs.get(rule_parameters(update, skip=0)[0])
        if isinstance(changed, Handle):
            return update(*args, **kwargs)
        if current_mode() is not NOT_RECORDING and any(t.node is not None for t in instances_in((args, kwargs), Handle)):
            raise TypeError(
                f"{full_name(function)} changes its first argument, and a plain array cannot hold the value of a tracked tensor; "
                "make it a tensor first: t = ag.tensor(array)"
            )
    compute = getattr(*function) if isinstance(function, tuple) else function
    if function in CONSTANTS:
        return compute(*raw(tuple(args)), **raw(kwargs))
    if load_more():
        return array_function(function, args, kwargs)
    if current_mode() is not NOT_RECORDING and any(t.node is not None for t in instances_in((args, kwargs), Handle)):
        raise TypeError(_no_rule(function))
    result = wrap(compute(*raw(tuple(args)), **raw(kwargs)))
    note_views(function, args, kwargs, result)
    return result


def _module_of_ufunc(ufunc: Any, name: str) -> str:
    """Where a ufunc is found, as it does not say so itself."""
    places = ("numpy", "scipy.special", "scipy.special._ufuncs", "numpy._core.umath")
    return next((module for module in places if getattr(sys.modules.get(module), name, None) is ufunc), "numpy")


def full_name(function: Any) -> str:
    """`np.linalg.inv` for NumPy's function, `np.add.reduce` for a ufunc's method."""
    if isinstance(function, tuple):
        return f"{full_name(function[0])}.{function[1]}"
    name = getattr(function, "__name__", repr(function))
    module = getattr(function, "__module__", None) or _module_of_ufunc(function, name)
    return f"{module.replace('numpy', 'np', 1)}.{name}" if module.startswith("numpy") else f"{module}.{name}"


def _no_rule(function: Any) -> str:
    import difflib  # a tenth of the time of `import autograd_core`, and only errors need it

    name = full_name(function)
    known: dict[str, Callable[..., Any]] = {full_name(f): f for f in [*TABLE, *COMPOSITIONS] if f not in TABLE or TABLE[f].rules}
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"the nearest with a rule is {near[0]}; " if near else ""
    return (
        f"{name} has no derivative rule; {hint}write it with functions that have one, "
        'or register a rule with ag.defvjp (README, "Custom operations"), or detach the tensors if no gradient is wanted'
    )
