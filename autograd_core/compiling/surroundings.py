"""What a function refers to besides its arguments: Python's numbers, arrays and objects in its closure, its globals, its modules.

A program holds what they were when it was recorded. So each program knows them, as far as they can be found: the cells of the
closure, the globals that the code names, the attributes of objects among them, the elements of lists and dicts, and the same of
the user's functions that it refers to. Where one is another object, the program does not fit any more and the function is recorded
again. The values of tensors are no part of it: they are read at each run.
"""

from __future__ import annotations

import builtins
import operator
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_core.tensor.handles import Handle

__all__ = ["Surroundings"]

# Packages whose functions keep no state that a user changes, or are known to the room otherwise.
LIBRARIES = frozenset({"numpy", "scipy", "autograd_core", "nn", "optim", "builtins", *sys.stdlib_module_names}) - {"__main__"}
DEEPEST, MOST_OBJECTS, MOST_ELEMENTS = 8, 3000, 1000
_ATOMS = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype, type, types.ModuleType, types.BuiltinFunctionType, np.ufunc)

Look = tuple[str, Callable[[], Any]]


class Surroundings:
    """What `function` refers to, as it is now.

    looks  (what it is, for people; a function that reads it now)
    seen   what was read
    """

    def __init__(self, function: Any) -> None:
        self.looks: list[tuple[str, Callable[[], list[Any]], list[Any]]] = []
        self._visited: set[int] = set()
        self._alive: list[Any] = []  # whose ids were visited
        self._visit(function, "", 0)

    def changed(self) -> str | None:
        """What is not as it was; None if all is."""
        for name, look, seen in self.looks:
            now = look()
            if len(now) != len(seen) or not all(map(operator.is_, now, seen)):
                if len(now) == len(seen) and all(map(_same, now, seen)):
                    continue
                return name
        return None

    def _look(self, name: str, look: Callable[[], list[Any]]) -> list[Any]:
        seen = look()
        self.looks.append((name, look, seen))
        return seen

    def _visit(self, value: Any, name: str, depth: int) -> None:
        kind = type(value)
        if isinstance(value, (*_ATOMS, Handle, np.ndarray)) or depth > DEEPEST or len(self.looks) >= MOST_OBJECTS:
            return
        if id(value) in self._visited:
            return
        self._visited.add(id(value))
        self._alive.append(value)
        if getattr(value, "is_untraced", False):
            return  # called at each run, it sees for itself
        if isinstance(value, types.MethodType):
            self._visit(value.__func__, name, depth)
            self._visit(value.__self__, name or "self", depth + 1)
        elif isinstance(value, types.FunctionType):
            self._visit_function(value, depth)
        elif kind in (list, tuple, set, frozenset):
            if len(value) <= MOST_ELEMENTS:
                inside = self._look(name, lambda: list(value)) if kind in (list, set) else list(value)
                for i, part in enumerate(inside):
                    self._visit(part, f"{name}[{i}]", depth + 1)
            else:
                self._look(f"the length of {name}", lambda: [len(value)])
        elif isinstance(value, dict):
            if len(value) <= MOST_ELEMENTS:
                for key, part in zip(list(value), self._look(name, lambda: list(value.values())), strict=True):
                    self._visit(part, f"{name}[{key!r}]", depth + 1)
        elif kind.__module__.partition(".")[0] in LIBRARIES - {"nn"}:
            inner = getattr(value, "__wrapped__", None)
            if inner is not None:
                self._visit(inner, name, depth + 1)
        elif hasattr(value, "__dict__"):
            self._visit_object(value, name, depth)

    def _visit_object(self, value: Any, name: str, depth: int) -> None:
        attributes = value.__dict__
        names = list(attributes)
        for key, part in zip(names, self._look(f"an attribute of {name or type(value).__name__}", lambda: list(attributes.values())), strict=True):
            self._visit(part, f"{name}.{key}" if name else key, depth + 1)
        for kind in type(value).__mro__:
            if kind.__module__.partition(".")[0] not in LIBRARIES:
                for part in list(vars(kind).values()):
                    inner = getattr(part, "__func__", part)
                    if isinstance(inner, types.FunctionType):
                        self._visit(inner, inner.__name__, depth + 1)

    def _visit_function(self, function: types.FunctionType, depth: int) -> None:
        if (function.__module__ or "").partition(".")[0] in LIBRARIES:
            return
        code = function.__code__
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            (part,) = self._look(name, lambda cell=cell: [_contents(cell)])  # type: ignore[misc]
            self._visit(part, name, depth + 1)
        for part in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._visit(part, f"a default of {function.__name__}", depth + 1)
        space = function.__globals__
        for name in dict.fromkeys(_names(code)):
            if name in space and not hasattr(builtins, name):
                (part,) = self._look(name, lambda name=name: [space.get(name)])  # type: ignore[misc]
                if isinstance(part, types.ModuleType) and part.__name__.partition(".")[0] not in LIBRARIES:
                    self._visit_module(part, code, depth)
                self._visit(part, name, depth + 1)
        inner = getattr(function, "__wrapped__", None)
        if inner is not None:
            self._visit(inner, function.__name__, depth + 1)

    def _visit_module(self, module: types.ModuleType, code: types.CodeType, depth: int) -> None:
        for name in dict.fromkeys(_names(code)):
            if name in vars(module):
                (part,) = self._look(f"{module.__name__}.{name}", lambda name=name: [vars(module).get(name)])  # type: ignore[misc]
                self._visit(part, name, depth + 1)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def _names(code: types.CodeType) -> Iterator[str]:
    """The names that code, and the functions in it, look up."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _same(now: Any, seen: Any) -> bool:
    """Whether two objects stand for the same value: equal numbers and texts do."""
    if now is seen:
        return True
    if type(now) is not type(seen) or not isinstance(now, int | float | complex | str | bytes | np.generic | types.MethodType):
        return False
    return bool(now == seen) and (not isinstance(now, types.MethodType) or now.__self__ is seen.__self__)
