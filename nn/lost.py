"""What a module holds that nobody finds: modules and parameters in plain containers, and tensors that require grad but are no parameters.

`parameters()` looks at attributes, as in torch. A list of layers is then neither trained nor saved, without a word: so there is one.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any
from weakref import WeakKeyDictionary

import autograd_core as ag
from nn.hooks import HookedCall
from nn.parameter import Parameter

__all__ = ["warn_of_lost"]

CONTAINERS = (list, tuple, set, frozenset, dict, deque)
MANY = 1000  # items: what is longer is data, not layers


_told: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()  # module -> attributes that it was warned of; once is enough


def warn_of_lost(module: Any, attributes: Mapping[str, Any], stacklevel: int) -> None:
    """Warn of attributes that hold something to be trained where `module.parameters()` does not look; once of each."""
    for name, value in attributes.items():
        text = _loss(module, name, value)
        if text and name not in _told.setdefault(module, set()):
            _told[module].add(name)
            warnings.warn(f"{type(module).__name__}.{name} is {text}", stacklevel=stacklevel)


def _loss(module: Any, name: str, value: Any) -> str:
    """What is lost with that attribute, and what to do about it; "" if nothing is."""
    if isinstance(value, CONTAINERS) and not any(value is place for place in module._places()):
        found = list(_trainable(value))
        if found and not _held(module).issuperset(found):
            return (
                f"a plain {type(value).__name__} of modules or parameters: they are not found by parameters(), so they are neither trained nor "
                "saved; use nn.ModuleList, nn.ModuleDict or nn.Sequential"
            )
    if isinstance(value, ag.Tensor) and _is_leaf_to_train(value) and name not in module._buffers:
        return (
            "a tensor that requires grad, but no parameter: it is not found by parameters(), so it is neither trained nor saved; "
            "write nn.Parameter(...), or .detach() if it is not to be trained"
        )
    return ""


def _is_leaf_to_train(value: ag.Tensor) -> bool:
    return not isinstance(value, Parameter) and value.requires_grad and value.is_leaf


def _held(module: Any) -> set[Any]:
    """What is found in the module and below it: a list of these besides does no harm."""
    modules = list(module.modules())
    return {*modules, *(value for inner in modules for _, value in inner._items_of() if isinstance(value, Parameter))}


def _trainable(container: Any) -> Iterator[Any]:
    """The modules, parameters and leaves that require grad in a container, and in those within it."""
    seen: set[int] = set()
    stack: list[Iterable[Any]] = [container]
    while stack:
        inner: Any = stack.pop()
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        for item in islice(inner.values() if isinstance(inner, dict) else inner, MANY):
            if isinstance(item, CONTAINERS):
                stack.append(item)
            elif isinstance(item, HookedCall) or (isinstance(item, ag.Tensor) and (isinstance(item, Parameter) or _is_leaf_to_train(item))):
                yield item
