"""Modules made of modules: `Sequential`, lists and dicts of modules, and `MLP`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nn import init
from nn.activations import ReLU
from nn.linear import Linear
from nn.module import Module

__all__ = ["MLP", "ModuleDict", "ModuleList", "Sequential"]


class ModuleList(Module):
    """A list of modules that are found by `parameters()`; the names are "0", "1", ..."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end, and return this list."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end, and return this list."""
        for module in modules:
            self.append(module)
        return self

    def _items(self) -> list[Module]:
        return [value for value in self.__dict__.values() if isinstance(value, Module)]

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._items())

    def __getitem__(self, index: int | slice) -> Any:
        items = self._items()[index]
        if not isinstance(items, list):
            return items
        part = type(self).__new__(type(self))
        for i, module in enumerate(items):
            part.add_module(str(i), module)
        return part

    def __setitem__(self, index: int, module: Module) -> None:
        names = [name for name, value in self.__dict__.items() if isinstance(value, Module)]
        setattr(self, names[index], module)


class ModuleDict(Module):
    """Modules by name, found by `parameters()`."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        for name, module in (modules or {}).items():
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        if isinstance(self.__dict__.get(name), Module):
            setattr(self, name, module)
        else:
            self.add_module(name, module)

    def __getitem__(self, name: str) -> Module:
        module = self.__dict__.get(name)
        if not isinstance(module, Module):
            raise KeyError(name)
        return module

    def keys(self) -> list[str]:
        """The names."""
        return [name for name, value in self.__dict__.items() if isinstance(value, Module)]

    def values(self) -> list[Module]:
        """The modules."""
        return [self[name] for name in self.keys()]

    def items(self) -> list[tuple[str, Module]]:
        """(name, module) pairs."""
        return [(name, self[name]) for name in self.keys()]

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()


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


class MLP(Sequential):
    """A multi-layer perceptron: linear layers of the given sizes with an activation between them.

    sizes       (inputs, hidden, ..., outputs)
    activation  a module class, or a function that makes a module
    generator   where the initial values come from: a generator, a seed, or None

    Weights are drawn by `kaiming_normal_` before relu, by `xavier_normal_` before anything else; biases are 0.

    >>> import numpy as np, nn
    >>> model = nn.MLP(64, 32, 10, generator=0)
    >>> model(np.zeros((5, 64), dtype=np.float32)).shape, sum(p.size for p in model.parameters())
    ((5, 10), 2410)
    """

    def __init__(self, *sizes: int | Sequence[int], activation: Any = ReLU, dtype: Any = np.float32, generator: init.Seed = None) -> None:
        widths: Sequence[Any] = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], Sequence) else sizes
        if len(widths) < 2:
            raise ValueError(f"MLP: needs the sizes of the input and the output at least, as in MLP(64, 32, 10); got {tuple(widths)}")
        random = init.as_generator(generator)
        linears = [Linear(fan_in, fan_out, dtype=dtype, generator=random) for fan_in, fan_out in itertools.pairwise(widths)]
        between = [activation() for _ in linears[1:]]
        for linear, after in itertools.zip_longest(linears, between):
            draw = init.kaiming_normal_ if isinstance(after, ReLU) else init.xavier_normal_
            draw(linear.weight, generator=random)
            init.zeros_(linear.bias)
        pairs = itertools.zip_longest(linears, between)
        super().__init__(*[module for pair in pairs for module in pair if module is not None])
