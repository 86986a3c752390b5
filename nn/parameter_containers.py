"""Lists and dicts of parameters, which `parameters()` finds and `state_dict` names, as those of modules are.

Python's own mixins make the rest of the interface of lists and dicts out of five methods. Tensors and arrays that are put in
become parameters. The items are kept apart from the attributes, so "training" or "values" are names like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any, Self

from nn.module import Module
from nn.parameter import Parameter

__all__ = ["ParameterDict", "ParameterList"]


def _as_parameter(value: Any) -> Parameter:
    return value if isinstance(value, Parameter) else Parameter(value)


class _Parameters(Module):
    """What holds its parameters in a dict of its own."""

    _named: dict[str, Parameter]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        module = super().__new__(cls)
        module.__dict__["_named"] = {}
        return module

    def _places(self) -> tuple[MutableMapping[str, Any], ...]:
        return (self.__dict__, self._named)

    def __len__(self) -> int:
        return len(self._named)

    def __repr__(self) -> str:
        lines = [f"  ({name}): Parameter of shape {value.shape}, {value.dtype}" for name, value in self._named.items()]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"]) if lines else f"{type(self).__name__}()"

    __eq__ = object.__eq__  # not the mixins': modules are compared, and found in sets, by identity
    __hash__ = object.__hash__


class ParameterList(_Parameters, MutableSequence[Any]):
    """A list of parameters; their names are "0", "1", ...

    >>> import numpy as np, nn
    >>> weights = nn.ParameterList([np.ones(2), np.zeros((2, 3))])
    >>> weights.append(np.ones(1))
    >>> [(name, value.shape) for name, value in weights.named_parameters()]
    [('0', (2,)), ('1', (2, 3)), ('2', (1,))]
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        self._hold(values or ())

    def _hold(self, values: Iterable[Any]) -> None:
        self.__dict__["_named"] = {str(i): _as_parameter(value) for i, value in enumerate(values)}

    def __getitem__(self, index: Any) -> Any:
        found = list(self._named.values())[index]
        return type(self)(found) if isinstance(found, list) else found

    def __setitem__(self, index: Any, value: Any) -> None:
        values: list[Any] = list(self._named.values())
        values[index] = value
        self._hold(values)

    def __delitem__(self, index: Any) -> None:
        values = list(self._named.values())
        del values[index]
        self._hold(values)

    def insert(self, index: int, value: Any) -> None:
        """Put a parameter before the one at `index`."""
        values: list[Any] = list(self._named.values())
        values.insert(index, value)
        self._hold(values)


class ParameterDict(_Parameters, MutableMapping[str, Any]):
    """Parameters by name. Any name will do that has no dot.

    >>> import numpy as np, nn
    >>> weights = nn.ParameterDict({"left": np.ones(2)})
    >>> weights["values"] = np.zeros(3)
    >>> [(name, value.shape) for name, value in weights.named_parameters()]
    [('left', (2,)), ('values', (3,))]
    """

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        self.update(parameters or ())

    def __getitem__(self, name: str) -> Parameter:
        return self._named[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"{type(self).__name__}: {name!r} cannot name a parameter; use a non-empty string without dots")
        self._named[name] = _as_parameter(value)

    def __delitem__(self, name: str) -> None:
        del self._named[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __getattr__(self, name: str) -> Parameter:
        found = self.__dict__.get("_named", {}).get(name)
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return found

    def __or__(self, other: Mapping[str, Any]) -> ParameterDict:
        return type(self)({**self, **other})

    def __ior__(self, other: Mapping[str, Any]) -> Self:
        self.update(other)
        return self

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """Another dict, with the same value (nothing, by default) for each name."""
        return type(self)((key, default) for key in keys)

    def copy(self) -> ParameterDict:
        """Another dict of the same parameters."""
        return type(self)(self)
