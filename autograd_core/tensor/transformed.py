"""What a transform returns: a function that can be pickled where the one that it was made of can, so that process pools take it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import MethodType
from typing import Any, Concatenate, ParamSpec

from autograd_core.tensor.handles import Handle

__all__ = ["Transformed", "is_named", "name_of", "transform"]

P = ParamSpec("P")
Function = Callable[..., Any]


def transform(make: Callable[Concatenate[Function, P], Function]) -> Callable[Concatenate[Function, P], Function]:
    """Of a function that makes functions of functions: the same, which checks what it is given, and whose results can be pickled."""
    name = make.__name__

    @functools.wraps(make)
    def transforming(function: Function, *args: P.args, **kwargs: P.kwargs) -> Function:
        if isinstance(function, Handle):
            raise TypeError(
                f"{name} takes a function, not a tensor: ag.{name}(f)(x). The gradient of a tensor that was computed is ag.gradient(loss, w), or "
                "loss.backward() and w.grad"
            )
        if not callable(function):
            raise TypeError(f"{name} takes a function, not a {type(function).__name__}: ag.{name}(f)(x)")
        if "argnum" in kwargs:
            raise TypeError(f"{name}: argnum= is called argnums= here: ag.{name}(f, argnums={kwargs['argnum']!r})")
        return Transformed(transforming, function, args, kwargs, make(function, *args, **kwargs))

    return transforming  # type: ignore[return-value]  # the name of its first parameter


class Transformed:
    """`call`, which `transform(function, *args, **kwargs)` has made; it looks like `function`."""

    __slots__ = ("__dict__", "__weakref__", "_call", "_made_by")

    def __init__(self, transform: Function, function: Function, args: Any, kwargs: Any, call: Function) -> None:
        functools.update_wrapper(self, function)
        self._call = call
        self._made_by = (transform, function, args, kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        transform, function, *_ = self._made_by
        return f"<{transform.__name__} of {getattr(function, '__qualname__', None) or repr(function)}>"

    def __reduce__(self) -> Any:
        # A decorated function of a module is found by its name, as other functions are.
        return name_of(self) if is_named(self) else (_made_again, self._made_by)

    def __copy__(self) -> Transformed:
        return self

    def __deepcopy__(self, memo: Any) -> Transformed:
        return self


def name_of(function: Any) -> str:
    """The dotted name in its module."""
    return str(getattr(function, "__qualname__", "<none>"))


def is_named(function: Any) -> bool:
    """Whether a function's module has it under its name."""
    found: Any = sys.modules.get(getattr(function, "__module__", None) or "")
    for part in name_of(function).split("."):
        found = getattr(found, part, None)
    return found is function


def _made_again(transform: Function, function: Function, args: Any, kwargs: Any) -> Any:
    return transform(function, *args, **kwargs)
