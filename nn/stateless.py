"""Calling a module as a pure function of its parameters, as `ag.grad`, `ag.gradcheck` and the like want it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nn.module import Module

__all__ = ["functional_call"]


def functional_call(module: Module, parameters: Mapping[str, Any], args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
    """module(*args, **kwargs) with the given tensors in the place of its own parameters and buffers.

    parameters  dotted names, as in `named_parameters`; those not given are the module's own
    args        a tuple of arguments, or the one argument
    raises      KeyError naming a name that the module does not have

    >>> import numpy as np, nn
    >>> linear = nn.Linear(2, 1)
    >>> nn.functional_call(linear, {"weight": np.array([[1.0, 2.0]]), "bias": np.zeros(1)}, np.ones(2))
    array([3.])
    """
    places = []
    for path in parameters:
        owner_path, _, name = path.rpartition(".")
        owner = module.get_submodule(owner_path)
        if owner.__dict__.get(name) is None:
            raise KeyError(f"functional_call: {type(module).__name__} has no parameter or buffer {path!r}")
        places.append((owner.__dict__, name, owner.__dict__[name]))
    try:
        for (attributes, name, _), value in zip(places, parameters.values(), strict=True):
            attributes[name] = value
        return module(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))
    finally:
        for attributes, name, own in places:
            attributes[name] = own
