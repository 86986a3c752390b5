"""Modules made of modules: `Sequential`, lists and dicts of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from functools import partial
from typing import Any, Self

from nn.at_once import at_once
from nn.module import Module, no_module

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


class ModuleList(Module):
    """A list of modules that are found by `parameters()`; the names are "0", "1", ..."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        self.extend(modules or ())

    def append(self, module: Module) -> Self:
        """Add a module at the end, and return this list."""
        return self.insert(len(self), module)

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end, and return this list."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before the one at `index`, and return this list."""
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: what is put in must be a Module, not {no_module(module)}")
        items = _modules_of(self)
        items.insert(index, (str(len(items)), module))
        return self._hold(items)

    def pop(self, key: int | slice = -1) -> Any:
        """Take the module at a place out, and return it."""
        taken = self[key]
        del self[key]
        return taken

    def __delitem__(self, index: int | slice) -> None:
        items = _modules_of(self)
        del items[index]
        self._hold(items)

    def _hold(self, items: list[tuple[str, Module]]) -> Self:
        """Have these modules instead of those that are there; names that are numbers are counted anew."""
        if all(name.isdecimal() for name, _ in items):
            items = [(str(i), module) for i, (_, module) in enumerate(items)]
        old = [name for name, _ in _modules_of(self)]
        at_once([*(partial(self.__dict__.pop, name) for name in old), partial(self.__dict__.update, items)])
        return self

    def _items(self) -> list[Module]:
        return [value for value in self.__dict__.values() if isinstance(value, Module)]

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._items())

    def __getitem__(self, index: int | slice) -> Any:
        items = _modules_of(self)[index]
        return type(self).__new__(type(self))._hold(items) if isinstance(items, list) else items[1]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, _modules_of(self)[index][0], module)

    def __add__(self, other: Iterable[Module]) -> Self:
        return self[:].extend(other)

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)


class _Named(Module):
    """What holds its modules in a dict of its own."""

    _named: dict[str, Module | None]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        module = super().__new__(cls)
        module.__dict__["_named"] = {}
        return module

    def _places(self) -> tuple[MutableMapping[str, Any], ...]:
        return (self.__dict__, self._named)


class ModuleDict(_Named):
    """Modules by name, found by `parameters()`. Any name will do that has no dot: they are kept apart from the attributes."""

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Take modules in by their names."""
        for name, module in modules.items() if isinstance(modules, Mapping) else modules:
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def add_module(self, name: str, module: Module | None) -> None:
        """Take a module in by its name."""
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"{type(self).__name__}: {name!r} cannot name a module; use a non-empty string without dots")
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: {name!r} must be a Module, not {no_module(module)}")
        self._named[name] = module

    def __getitem__(self, name: str) -> Module:
        module = self._named[name]
        assert module is not None
        return module

    def __getattr__(self, name: str) -> Module:
        found = self.__dict__.get("_named", {}).get(name)
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return found

    def __delitem__(self, name: str) -> None:
        del self._named[name]

    def pop(self, key: str) -> Module:
        """Take the module of that name out, and return it."""
        module = self[key]
        del self[key]
        return module

    def clear(self) -> None:
        """Take all modules out."""
        self._named.clear()

    def keys(self) -> list[str]:
        """The names."""
        return list(self._named)

    def values(self) -> list[Module]:
        """The modules."""
        return [self[name] for name in self._named]

    def items(self) -> list[tuple[str, Module]]:
        """(name, module) pairs."""
        return [(name, self[name]) for name in self._named]

    def __len__(self) -> int:
        return len(self._named)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self._named


class Sequential(ModuleList):
    """Modules one after the other: each one's result is the next one's input. A dict gives them names.

    >>> import numpy as np, nn
    >>> nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Tanh()
      (2): Linear(in_features=3, out_features=1, bias=True)
    )
    """

    def __init__(self, *modules: Any) -> None:
        named = modules[0].items() if len(modules) == 1 and isinstance(modules[0], Mapping) else ((str(i), m) for i, m in enumerate(modules))
        for name, module in named:
            self.add_module(name, module)

    def forward(self, input: Any) -> Any:
        for module in self._items():
            input = module(input)
        return input


def _modules_of(module: Module) -> list[tuple[str, Module]]:
    return [(name, value) for name, value in module.__dict__.items() if isinstance(value, Module)]
