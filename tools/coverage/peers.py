"""How many of NumPy's functions other engines differentiate, counted in their own tables where they are installed.

A function under two names (np.abs, np.absolute) counts once. Counted are functions with a derivative, and functions
that the engine itself puts together from such ones; not those for which it registers that there is no derivative.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import numpy as np

__all__ = ["PEERS", "Count", "count_peer"]


class Count(NamedTuple):
    """Functions of numpy itself, ufuncs among them; of numpy.linalg; of numpy.fft."""

    version: str
    main: int
    linalg: int
    fft: int


_NAMESPACES = ("numpy", "numpy.linalg", "numpy.fft")


def _namesakes(names: Iterable[str], namespace: str) -> int:
    module = importlib.import_module(namespace)
    return len({getattr(module, name) for name in names if callable(getattr(module, name, None))})


def _autograd() -> tuple[int, ...]:
    registered = importlib.import_module("autograd.core").primitive_vjps

    def differentiable(function: Any) -> bool:
        ours = getattr(function, "__module__", None) or ""
        composed = ours.startswith("autograd.numpy") and not hasattr(function, "fun")  # what it wraps has the function in `fun`
        return callable(function) and not isinstance(function, type) and (composed or any(function is f for f in registered))

    def names(namespace: str) -> list[str]:
        module = importlib.import_module(f"autograd.{namespace}")
        return [name for name, function in vars(module).items() if differentiable(function)]

    return tuple(_namesakes(names(namespace), namespace) for namespace in _NAMESPACES)


def _mygrad() -> tuple[int, ...]:
    table = importlib.import_module("mygrad.tensor_base")
    without = {np.any, np.argmax, np.argmin, np.empty_like, np.full_like, np.ones_like, np.zeros_like}
    functions = {*table._REGISTERED_UFUNC, *table._REGISTERED_DIFFERENTIABLE_NUMPY_FUNCS} - without
    named = {namespace: [f for f in functions if (getattr(f, "__module__", None) or "numpy") == namespace] for namespace in _NAMESPACES}
    return tuple(len(named[namespace]) for namespace in _NAMESPACES)


PEERS: dict[str, tuple[str, Callable[[], tuple[int, ...]]]] = {"HIPS autograd": ("autograd", _autograd), "MyGrad": ("mygrad", _mygrad)}


def count_peer(name: str) -> Count | None:
    """The counts of the peer called `name`, or None if it is not installed."""
    package, count = PEERS[name]
    try:
        return Count(version(package), *count())
    except PackageNotFoundError:
        return None
