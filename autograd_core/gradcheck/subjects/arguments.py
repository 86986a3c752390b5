"""The differentiable arrays in a call: where they stand, what they are called, and the call with others in their place."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from autograd_core.arrays.layers import sequence_like
from autograd_core.tensor.tensor import Tensor

__all__ = ["Place", "differentiable_places", "parameter_names", "replaced"]


class Place(NamedTuple):
    """One differentiable array of a call: its name in messages, and the way to it (position or keyword, then elements)."""

    name: str
    path: tuple[int | str, ...]
    array: Any


def parameter_names(function: Callable[..., Any]) -> tuple[list[str], int | None]:
    """Names of the positional parameters, and where `*args` stands among them; nothing if they cannot be read."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return [], None
    names = [p.name for p in parameters]
    kinds = [p.kind for p in parameters]
    return names, kinds.index(inspect.Parameter.VAR_POSITIONAL) if inspect.Parameter.VAR_POSITIONAL in kinds else None


def differentiable_places(
    args: Sequence[Any], kwargs: Mapping[str, Any], names: Sequence[str], variadic: int | None, allowed: Iterable[str] | None = None
) -> list[Place]:
    """The floating-point and complex arrays among the arguments, at any depth of lists, tuples and dicts.

    names, variadic : of the parameters, as `parameter_names` gives them
    allowed : only arguments of these names; None for all
    """
    accepted = None if allowed is None else set(allowed)
    places: list[Place] = []
    for i, value in enumerate(args):
        if variadic is not None and i >= variadic:
            base, label = names[variadic], f"{names[variadic]}[{i - variadic}]"
        else:
            base = label = names[i] if i < len(names) else f"argument {i}"
        if accepted is None or base in accepted:
            places += [Place(name, (i, *path), array) for name, path, array in _arrays_in(value, label)]
    for keyword, value in kwargs.items():
        if accepted is None or keyword in accepted:
            places += [Place(name, (keyword, *path), array) for name, path, array in _arrays_in(value, keyword)]
    return places


def _arrays_in(value: Any, label: str) -> Iterator[tuple[str, tuple[int | str, ...], Any]]:
    if isinstance(value, Tensor):
        value = value.data
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind in "fc":
            yield label, (), np.asarray(value)
    elif isinstance(value, tuple | list):
        for i, item in enumerate(value):
            for name, path, array in _arrays_in(item, f"{label}[{i}]"):
                yield name, (i, *path), array
    elif isinstance(value, dict):
        for key, item in value.items():
            for name, path, array in _arrays_in(item, f"{label}[{key!r}]"):
                yield name, (key, *path), array


def replaced(args: Sequence[Any], kwargs: Mapping[str, Any], places: Sequence[Place], values: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    """The call with `values` in `places`, and all other arguments as they are."""
    new_args, new_kwargs = list(args), dict(kwargs)
    for place, value in zip(places, values, strict=True):
        path = place.path
        first = path[0]
        if isinstance(first, int):
            new_args[first] = value if len(path) == 1 else _with(new_args[first], path[1:], value)
        else:
            new_kwargs[first] = value if len(path) == 1 else _with(new_kwargs[first], path[1:], value)
    return new_args, new_kwargs


def _with(container: Any, path: tuple[int | str, ...], value: Any) -> Any:
    if not path:
        return value
    if isinstance(container, dict):
        return {**container, path[0]: _with(container[path[0]], path[1:], value)}
    items = [_with(item, path[1:], value) if i == path[0] else item for i, item in enumerate(container)]
    return sequence_like(container, items)
