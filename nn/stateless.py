"""Calling a module as a pure function of its parameters, as `ag.grad`, `ag.gradcheck` and the like want it."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from functools import partial
from operator import setitem
from typing import Any

from nn.at_once import at_once
from nn.module import Module
from nn.parameter import Parameter

__all__ = ["functional_call"]


Replacements = Mapping[str, Any] | Sequence[Mapping[str, Any]]


def functional_call(
    module: Module,
    parameters: Replacements,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """module(*args, **kwargs) with the given tensors in the place of its own parameters and buffers.

    parameters   dotted names, as in `named_parameters`, or several such dicts; those not given are the module's own
    args         a tuple of arguments, or the one argument
    tie_weights  a parameter that the module has under several names is replaced under all of them, whichever is given
    strict       all parameters and buffers have to be given
    raises       KeyError naming a name that the module does not have, or lacks if `strict`; ValueError if two names of one parameter are
                 given different tensors

    >>> import numpy as np, nn
    >>> linear = nn.Linear(2, 1)
    >>> nn.functional_call(linear, {"weight": np.array([[1.0, 2.0]]), "bias": np.zeros(1)}, np.ones(2))
    array([3.])
    """
    given = dict(parameters) if isinstance(parameters, Mapping) else {name: value for part in parameters for name, value in part.items()}
    places = named_places(module)
    if unknown := [path for path in given if path not in places]:
        raise KeyError(f"functional_call: {type(module).__name__} has no parameter or buffer {unknown[0]!r}")
    names: dict[int, list[str]] = {}  # own tensor -> what it is called
    for path, (place, name) in places.items():
        names.setdefault(id(place[name]), []).append(path)
    new: dict[str, Any] = {}
    for path, value in given.items():
        place, name = places[path]
        for same in names[id(place[name])] if tie_weights else [path]:
            if new.setdefault(same, value) is not value:
                raise ValueError(f"functional_call: {path} and {same} are one parameter of {type(module).__name__}; give one of them")
    if strict and (missing := places.keys() - new.keys()):
        raise KeyError(f"functional_call: strict, but {', '.join(sorted(missing))} of {type(module).__name__} were not given")
    swap = [partial(setitem, *places[path], value) for path, value in new.items()]
    swap_back = [partial(setitem, place, name, place[name]) for place, name in map(places.__getitem__, new)]
    try:
        try:
            at_once(swap)
            return module(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))
        finally:
            at_once(swap_back)
    finally:
        at_once(swap_back)  # again: an interrupt may have come when the first time was about to begin


def named_places(module: Module) -> dict[str, tuple[MutableMapping[str, Any], str]]:
    """Dotted name -> (dict that holds it, key) of all parameters and buffers, shared ones under each of their names."""
    found: dict[str, tuple[MutableMapping[str, Any], str]] = {}
    for path, owner in module.named_modules(remove_duplicate=False):
        for place in owner._places():
            for name, value in place.items():
                if isinstance(value, Parameter) or (name in owner._buffers and value is not None):
                    found[f"{path}.{name}" if path else name] = place, name
    return found
