"""Parameters that are computed from others each time they are read: `module.weight` becomes a function of what is trained.

The class of a parametrized module is a subclass with a property for each such parameter. The classes are made once for each
set of names and never changed, so copies of a module, and pickled ones, have theirs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import autograd_core as ag
from nn.at_once import done_or_not
from nn.containers import ModuleDict, ModuleList
from nn.module import Module
from nn.parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "type_before_parametrizations",
]

_cache: dict[tuple[int, str], Any] = {}
_caching = 0


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized parameter once within the `with` block, however often it is read.

    >>> import nn
    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
    >>> with cached():
    ...     layer.weight is layer.weight
    True
    >>> layer.weight is layer.weight
    False
    """
    global _caching
    _caching += 1
    try:
        yield
    finally:
        _caching -= 1
        if not _caching:
            _cache.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one parameter, and what they are computed from: `original`, or `original0`, `original1`, ...

    It is `module.parametrizations.weight`; called, it gives the parameter. Made by `register_parametrization`.
    """

    original: Any

    def __init__(self, modules: Sequence[Module], original: ag.Tensor, unsafe: bool = False) -> None:
        super().__init__(modules)
        self.unsafe = unsafe
        found: Any = original.detach()
        for module in reversed(list(self)):
            found = _inverse(module, found, found)
        self.is_tensor = isinstance(found, ag.Tensor | np.ndarray)
        if not self.is_tensor and not isinstance(found, tuple | list):
            raise ValueError(f"register_parametrization: right_inverse must return a tensor or a sequence of them, not {type(found).__name__}")
        self.ntensors = 1 if self.is_tensor else len(found)
        shape, dtype = original.shape, original.dtype
        if self.is_tensor:
            if found.dtype != dtype:
                raise ValueError(f"register_parametrization: right_inverse changed the dtype from {dtype} to {found.dtype}")
            _set_data(original, _array(found))
            _hold(self, "original", original)
        else:
            for i, part in enumerate(found):
                array = np.array(_array(part))
                is_parameter = isinstance(original, Parameter)
                _hold(self, f"original{i}", Parameter(array, original.requires_grad) if is_parameter else ag.tensor(array))
        if not unsafe:
            _check_like("register_parametrization", self(), shape, dtype)

    def right_inverse(self, value: Any) -> None:
        """Set what the parameter is computed from so that it gets this value, as far as it can."""
        value = value.detach() if isinstance(value, ag.Tensor) else np.asarray(value)
        for module in reversed(list(self)):
            if not hasattr(module, "right_inverse"):
                raise RuntimeError(f"parametrization {type(module).__name__} has no right_inverse, so its parameter cannot be assigned to")
            with ag.no_grad():
                value = module.right_inverse(value)
        parts = [value] if self.is_tensor else list(value)
        for part, target in zip(parts, self._originals(), strict=True):
            if part.dtype != target.dtype:
                raise ValueError(f"right_inverse returned dtype {part.dtype} for a parameter of dtype {target.dtype}")
            _set_data(target, _array(part))

    def _originals(self) -> list[Any]:
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self) -> Any:
        first, *others = self
        value = first(*self._originals())
        for module in others:
            value = module(value)
        return value


def _array(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, ag.Tensor) else np.asarray(value)


def _inverse(module: Module, value: Any, otherwise: Any) -> Any:
    """What the parametrization would make `value` of; `otherwise` if it has no inverse."""
    if not hasattr(module, "right_inverse"):
        return otherwise
    try:
        with ag.no_grad():
            return module.right_inverse(value)
    except NotImplementedError:
        return otherwise


def _set_data(target: ag.Tensor, array: Any) -> None:
    """Give a parameter or buffer this value, of whatever shape; it stays the object that an optimizer has."""
    requires_grad = target.requires_grad
    target.requires_grad = False  # a tracked tensor keeps its shape, so it leaves the tape for a moment
    target.data = np.array(array)
    target.requires_grad = requires_grad


def _hold(module: Module, name: str, value: Any) -> None:
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def _check_like(what: str, value: Any, shape: Any, dtype: Any) -> None:
    if not isinstance(value, ag.Tensor | np.ndarray):
        raise ValueError(f"{what}: a parametrization must return a tensor, not {type(value).__name__}")
    if value.dtype != dtype or value.shape != shape:
        raise ValueError(
            f"{what}: the parametrization makes shape {value.shape} and dtype {value.dtype} of a parameter of shape {shape} and dtype {dtype}; "
            "unsafe=True allows it"
        )


# --- classes with properties -------------------------------------------------------------------------------------------------------


_classes: dict[tuple[type[Module], frozenset[str]], type[Module]] = {}


def _parametrized_class(base: type[Module], names: frozenset[str]) -> type[Module]:
    """`base` with a property for each name."""
    if (base, names) in _classes:
        return _classes[base, names]

    def __reduce_ex__(self: Any, protocol: Any) -> Any:  # by its base and names: pickle would look for the class in a module
        return _unpickled, (base, names), self.__dict__

    members: dict[str, Any] = {name: _property(name) for name in names}
    made = type(f"Parametrized{base.__name__}", (base,), members | {"__reduce_ex__": __reduce_ex__, "_base": base})
    return _classes.setdefault((base, names), made)


def _unpickled(base: type[Module], names: frozenset[str]) -> Module:
    cls = _parametrized_class(base, names)
    return cls.__new__(cls)


def _property(name: str) -> property:
    def parametrized(self: Any) -> Any:
        key = (id(self), name)
        if key in _cache:
            return _cache[key]
        value = self.parametrizations[name]()
        if _caching:
            _cache[key] = value
        return value

    def assign(self: Any, value: Any) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(parametrized, assign)


def _set_class(module: Module) -> None:
    """Give the module the class that its parametrizations want."""
    base = type_before_parametrizations(module)
    names = frozenset(_lists(module).keys()) if is_parametrized(module) else frozenset()
    module.__class__ = _parametrized_class(base, names) if names else base


def type_before_parametrizations(module: Module) -> type[Module]:
    """The class of a module without its parametrizations.

    >>> import nn
    >>> type_before_parametrizations(nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))).__name__
    'Linear'
    """
    return getattr(type(module), "_base", type(module))


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a parameter of the module, or the one of that name, is parametrized."""
    found = module.__dict__.get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def _lists(module: Module) -> Any:
    return module.__dict__["parametrizations"]


@done_or_not
def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Module:
    """Let `module.<tensor_name>` be parametrization(original), computed when it is read; return the module.

    tensor_name      a parameter or buffer; or one that is parametrized already, which is put through this one then
    parametrization  a module; its method right_inverse(value), if any, gives the original (or several, in a tuple) for a value
    unsafe           do not check that shape and dtype stay
    raises           ValueError for a name that the module does not have, or a parametrization that does not fit

    The original is trained, and saved as `parametrizations.<tensor_name>.original` (`original0`, `original1`, ... if several).

    >>> import numpy as np, nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return (x + x.T) / 2
    >>> layer = register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight.detach().numpy() == layer.weight.detach().numpy().T).all()), list(layer.state_dict())
    (True, ['bias', 'parametrizations.weight.original'])
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            now = getattr(module, tensor_name).detach()
            with ag.no_grad():
                _check_like("register_parametrization", parametrization(now), now.shape, now.dtype)
            inverse = _inverse(parametrization, now, now)
            _check_like("register_parametrization: right_inverse", inverse, now.shape, now.dtype)
        made = _lists(module)[tensor_name]
        made.append(parametrization)
        made.unsafe |= unsafe
        return module
    original = module.__dict__.get(tensor_name)
    if not isinstance(original, Parameter) and (tensor_name not in module._buffers or original is None):
        raise ValueError(f"register_parametrization: {type(module).__name__} has no parameter or buffer {tensor_name!r}")
    made = ParametrizationList([parametrization], original, unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.__dict__["parametrizations"] = ModuleDict()
    _lists(module)[tensor_name] = made
    _set_class(module)
    return module


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make `module.<tensor_name>` an ordinary parameter (or buffer) again, and return the module.

    leave_parametrized  True: it keeps its value; False: it becomes the original again, which must be a single one
    raises              ValueError if it is not parametrized, or was computed from several tensors that shall come back
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: {type(module).__name__} has no parametrization on {tensor_name!r}")
    made = _lists(module)[tensor_name]
    if not made.is_tensor and not leave_parametrized:
        raise ValueError(f"remove_parametrizations: {tensor_name!r} is computed from {made.ntensors} tensors; it can only keep its value")
    value = getattr(module, tensor_name)
    if made.is_tensor:
        restored = made.original
        if leave_parametrized:
            _set_data(restored, _array(value))
    else:
        restored = Parameter(np.array(_array(value))) if value.requires_grad else ag.tensor(np.array(_array(value)))
    del _lists(module)[tensor_name]
    _set_class(module)
    if not is_parametrized(module):
        del module.__dict__["parametrizations"]
    _hold(module, tensor_name, restored)
    return module
