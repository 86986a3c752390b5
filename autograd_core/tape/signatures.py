"""What functions and rules take: the names of their arguments, and which values mean "not given"."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["NO_VALUE", "UFUNC_DEFAULTS", "brief", "check_spelled", "is_default", "rule_parameters", "signature_of"]

NO_VALUE = inspect.Parameter.empty


def rule_parameters(rule: Callable[..., Any], skip: int = 1) -> tuple[str, ...]:
    """Names of a rule's parameters after `g` (after the first `skip`)."""
    code = getattr(rule, "__code__", None)
    if code is not None and not hasattr(rule, "__wrapped__"):
        return tuple(code.co_varnames[skip : code.co_argcount + code.co_kwonlyargcount])
    return tuple(inspect.signature(rule).parameters)[skip:]


# Keywords that every ufunc takes, with values that mean "as if not given".
UFUNC_DEFAULTS: dict[str, Any] = {"out": None, "where": True, "casting": "same_kind", "order": "K", "dtype": None, "subok": True, "signature": None}
_UFUNC_NAMES = {1: ("x",), 2: ("x1", "x2")}


def signature_of(name: str, function: Callable[..., Any], text: str | None) -> dict[str, inspect.Parameter]:
    """The parameters of `function`: as `text` says, or a ufunc's x, x1, x2, or as Python reads them."""
    if text is not None:
        source = eval(f"lambda {text}: None", {"NO_VALUE": NO_VALUE})  # the op's author wrote it, beside the rules
        return dict(inspect.signature(source).parameters)
    if hasattr(function, "nin"):
        names = _UFUNC_NAMES.get(function.nin) or tuple(f"x{i + 1}" for i in range(function.nin))
        return {n: inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names}
    try:
        return dict(inspect.signature(function).parameters)
    except ValueError:
        raise TypeError(f"{name}: its arguments cannot be read; give defvjp its signature as text, e.g. 'x, axis=None'") from None


def is_default(value: Any, default: Any) -> bool:
    """Whether passing `value` is the same as not passing it; `default` may be NumPy's or our "no value"."""
    if value is default or (value is None and default is NO_VALUE):
        return True
    if default is NO_VALUE or type(default).__name__ == "_NoValueType":
        return value is None or (value is True and default is not NO_VALUE)
    return isinstance(value, bool | int | str) and type(value) is type(default) and value == default


def brief(value: Any) -> str:
    """`value` in a message: an array by its shape."""
    shape = getattr(value, "shape", None)
    return f"<array of shape {shape}>" if shape else repr(value)[:60]


_TORCH_KEYWORDS = {"dim": "axis", "keepdim": "keepdims"}


def check_spelled(name: str, keywords: Iterable[str]) -> None:
    """TypeError for torch's keywords in a call of NumPy's function `name`."""
    for keyword in keywords:
        if keyword in _TORCH_KEYWORDS:
            raise TypeError(f"{name}: {keyword}= is called {_TORCH_KEYWORDS[keyword]}= here, as in NumPy")
