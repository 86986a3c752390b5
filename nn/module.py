"""`Module`: a function with parameters.

A module keeps its parameters, buffers and submodules as ordinary attributes. Which of its attributes are which is read from
their types, so there is no second registry that could disagree with them, and reading an attribute costs nothing extra.
All walks over a tree of modules use a stack, not recursion, and visit a module that is used twice once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import partial
from typing import Any, Self

import autograd_core as ag
from nn.at_once import at_once
from nn.casting import convert, dtype_asked_for
from nn.hooks import HookedCall, Hooks, call_hooks
from nn.lost import warn_of_lost
from nn.parameter import Buffer, Parameter
from nn.state import EXTRA_STATE, loading

__all__ = ["Module", "no_module"]


class Module(HookedCall):
    """Base class of everything that holds parameters. A subclass sets attributes in `__init__` and defines `forward`.

    >>> import numpy as np, nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         self.factor = nn.Parameter(np.array([2.0]))
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale()
    >>> scale(np.ones(2))
    tensor([2., 2.], op=multiply)
    >>> [name for name, _ in scale.named_parameters()]
    ['factor']
    """

    training: bool
    _buffers: dict[str, bool]  # name -> whether it belongs to the state_dict
    _hooks: Hooks

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        # Here and not in __init__: a subclass that forgets super().__init__() is complete all the same.
        module = super().__new__(cls)
        module.__dict__.update(training=True, _buffers={}, _hooks={})
        return module

    # --- attributes -------------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        old = self.__dict__.get(name)
        if value is not None and _role(old) and _role(old) != _role(value):
            raise TypeError(
                f"{type(self).__name__}.{name} is a {_role(old)}, and a {type(value).__name__} in its place would no longer be one; "
                f"to change the values write {name}.data[...] = ..., to drop it: del module.{name}"
            )
        if isinstance(value, Buffer):
            self._buffers[name] = value.persistent
        elif name in self._buffers and value is not None and not isinstance(value, ag.Tensor):
            value = ag.tensor(value)
        if not isinstance(value, Parameter | Module):
            warn_of_lost(self, {name: value}, stacklevel=3)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._buffers.pop(name, None)

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Keep an array that is not trained but belongs to the module, such as a running mean.

        persistent  whether it is part of the `state_dict`
        raises      KeyError if the name is empty, has a dot, or is taken
        """
        self._check_free(name)
        self._buffers[name] = persistent
        self.__dict__[name] = None if tensor is None else tensor if isinstance(tensor, ag.Tensor) else ag.tensor(tensor)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set the attribute `name` to a parameter, or to None for a parameter that this module does without."""
        self._check_free(name)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(f"register_parameter: {name!r} must be a Parameter or None, not {type(param).__name__}")
        self.__dict__[name] = param

    def add_module(self, name: str, module: Module | None) -> None:
        """Set the attribute `name`, which may be a number, to a submodule."""
        self._check_free(name)
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}.add_module: {name!r} must be a Module or None, not {no_module(module)}")
        self.__dict__[name] = module

    register_module = add_module

    def _check_free(self, name: str) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"{type(self).__name__}: {name!r} cannot name a parameter, buffer or module; use a non-empty string without dots")
        if self.__dict__.get(name) is not None or hasattr(type(self), name):
            raise KeyError(f"{type(self).__name__} has an attribute {name!r} already")

    # --- walking ----------------------------------------------------------------------------------------------------------

    def _places(self) -> tuple[MutableMapping[str, Any], ...]:
        """Where the module keeps its parameters, buffers and submodules by name: its attributes; a dict of modules has its items too."""
        return (self.__dict__,)

    def _items_of(self) -> Iterator[tuple[str, Any]]:
        return ((name, value) for place in self._places() for name, value in place.items())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct submodules, with their names, each once."""
        seen = set()
        for name, value in self._items_of():
            if isinstance(value, Module) and value not in seen:
                seen.add(value)
                yield name, value

    def children(self) -> Iterator[Module]:
        """The direct submodules."""
        return (module for _, module in self.named_children())

    def named_modules(self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """This module and all below it, parents first, with their dotted names.

        memo              modules that are left out; those that are given are put in
        remove_duplicate  give a module that stands in several places once
        """
        seen: set[Module] = set() if memo is None else memo
        stack: list[tuple[str, Module, tuple[Module, ...]]] = [(prefix, self, ())]
        while stack:
            path, module, above = stack.pop()
            if module in seen or module in above:
                continue
            if remove_duplicate:
                seen.add(module)
            yield path, module
            below = [(f"{path}.{name}" if path else name, child, () if remove_duplicate else (*above, module)) for name, child in _modules_of(module)]
            stack.extend(reversed(below))

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def _named_members(self, prefix: str, recurse: bool, remove_duplicate: bool, role: str) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            if role == "parameter":
                warn_of_lost(module, module.__dict__, stacklevel=4)
            for name, value in module._items_of():
                found = isinstance(value, Parameter) if role == "parameter" else name in module._buffers and value is not None
                if found and not (remove_duplicate and id(value) in seen):
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names, each once unless `remove_duplicate=False`."""
        return self._named_members(prefix, recurse, remove_duplicate, "parameter")

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once: what an optimizer takes."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True) -> Iterator[tuple[str, ag.Tensor]]:
        """All buffers with their dotted names."""
        return self._named_members(prefix, recurse, remove_duplicate, "buffer")

    def buffers(self, recurse: bool = True) -> Iterator[ag.Tensor]:
        """All buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name, as `named_modules` gives it; AttributeError if there is none."""
        module: Any = self
        for name in target.split(".") if target else ():
            module = next((place[name] for place in module._places() if isinstance(place.get(name), Module)), None)
            if module is None:
                raise AttributeError(f"{type(self).__name__} has no submodule {target!r}")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module in the place of a dotted name. AttributeError if there is nothing to put it into; `strict`: and no module there yet."""
        above, _, name = target.rpartition(".")
        owner = self.get_submodule(above)
        if strict:
            self.get_submodule(target)
        if not isinstance(module, Module):
            raise TypeError(f"set_submodule: {target!r} must be a Module, not {type(module).__name__}")
        place = next((place for place in reversed(owner._places()) if name in place), None)
        if place is None:
            owner.add_module(name, module)
        else:
            place[name] = module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name, as `named_parameters` gives it; AttributeError if there is none."""
        return self._member(target, "parameter", lambda owner, name: isinstance(owner.get(name), Parameter))

    def get_buffer(self, target: str) -> ag.Tensor:
        """The buffer of a dotted name, as `named_buffers` gives it; AttributeError if there is none."""
        return self._member(target, "buffer", lambda owner, name: isinstance(owner.get(name), ag.Tensor) and not isinstance(owner[name], Parameter))

    def _member(self, target: str, role: str, fits: Callable[[Mapping[str, Any], str], bool]) -> Any:
        above, _, name = target.rpartition(".")
        for place in self.get_submodule(above)._places():
            if fits(place, name):
                return place[name]
        raise AttributeError(f"{type(self).__name__} has no {role} {target!r}")

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn(module)` for all modules, children in order and before their parents, and return this module."""
        seen: dict[Module, None] = {}  # from the end
        stack: list[Module] = [self]
        while stack:
            module = stack.pop()
            if module not in seen:
                seen[module] = None
                stack.extend(module.children())
        for module in reversed(seen):
            fn(module)
        return self

    # --- modes and gradients ----------------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Set `training` on this module and all below it, and return this module."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: mode must be True or False, not {mode!r}")
        at_once([partial(module.__dict__.__setitem__, "training", mode) for module in self.modules()])
        return self

    def eval(self) -> Self:
        """Set `training` to False on this module and all below it, and return this module."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (False) or thaw all parameters, and return this module."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all parameters' gradients; with `set_to_none=False`, replace them by zeros."""
        for parameter in self.parameters():
            parameter.grad = None if set_to_none or parameter.grad is None else ag.tensor(parameter.grad.data * 0)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Convert floating-point parameters and buffers in place, and return this module. All of them are converted, or none.

        to(dtype), to(other)       the dtype, or that of another tensor or array
        to("cpu"), to("cpu", dtype)  as in torch; there is no other device
        raises  TypeError or ValueError for what is no floating-point dtype, or another device
        """
        dtype = dtype_asked_for(f"{type(self).__name__}.to", args, kwargs)
        if dtype is not None:
            convert([value for value in (*self.parameters(), *self.buffers()) if value.dtype.kind == "f"], dtype)
        return self

    def cpu(self) -> Self:
        """Return this module: it is on the CPU, where all are."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Refuse, as `to("cuda")` does: arrays are NumPy's."""
        return self.to("cuda" if device is None else f"cuda:{device}")

    def half(self) -> Self:
        """Convert to float16; see `to`."""
        return self.to("float16")

    def float(self) -> Self:
        """Convert to float32; see `to`."""
        return self.to("float32")

    def double(self) -> Self:
        """Convert to float64, as gradient checks want it; see `to`."""
        return self.to("float64")

    # --- state ------------------------------------------------------------------------------------------------------------

    def state_dict(self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False) -> dict[str, Any]:
        """Copies of all parameters and persistent buffers, by dotted name. Later training does not change them.

        destination  a dict that they are put into, and that is returned
        prefix       stands before each name
        keep_vars    the parameters and buffers themselves, not copies

        Where a module defines `get_extra_state()`, what it returns is there too, as "<path of the module>._extra_state".
        """
        found: dict[str, Any] = {} if destination is None else destination
        modules = list(self.named_modules(remove_duplicate=False))
        for path, module in modules:
            call_hooks(module, "state_dict_pre", module, prefix + _dotted(path), keep_vars)
        for name, value in self._named_state():
            found[prefix + name] = value if keep_vars or not isinstance(value, ag.Tensor) else ag.tensor(value.detach())
        for path, module in modules:
            call_hooks(module, "state_dict_post", module, found, prefix + _dotted(path), {})
        return found

    def _named_state(self) -> Iterator[tuple[str, Any]]:
        """(dotted name, tensor) of all parameters and persistent buffers, shared ones under each of their names; extra states last."""
        extra: list[tuple[str, Any]] = []
        for path, owner in self.named_modules(remove_duplicate=False):
            warn_of_lost(owner, owner.__dict__, stacklevel=4)
            for name, value in owner._items_of():
                if value is not None and (isinstance(value, Parameter) or owner._buffers.get(name, False)):
                    yield _dotted(path) + name, value
            if type(owner).get_extra_state is not Module.get_extra_state:
                extra.append((_dotted(path) + EXTRA_STATE, owner.get_extra_state()))
        yield from extra

    def get_extra_state(self) -> Any:
        """What belongs to the module's state besides parameters and buffers; a subclass that has such a thing defines this and the next one."""
        raise NotImplementedError(f"{type(self).__name__} has no extra state; define get_extra_state and set_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Take what `get_extra_state` returned; `load_state_dict` calls it."""
        raise NotImplementedError(f"{type(self).__name__} defines get_extra_state, but no set_extra_state(self, state)")

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> LoadResult:
        """Set parameters and buffers from tensors or plain arrays (those of torch included) of the same names and shapes.

        strict   raise for names that are missing or not known; otherwise return them
        assign   let parameters and buffers have the given arrays, with their dtypes, instead of copying the numbers into their own
        returns  (missing_keys, unexpected_keys)
        raises   KeyError naming the keys, ValueError naming a key and both shapes; then nothing has been changed
        """
        calls, missing, unexpected = self._loading(state_dict, strict, assign)
        at_once(calls)
        result = LoadResult(missing, unexpected)
        for module in self.modules():
            call_hooks(module, "load_state_dict_post", module, result)
        return result

    def _loading(self, state_dict: Mapping[str, Any], strict: bool, assign: bool = False) -> tuple[list[Callable[[], Any]], list[str], list[str]]:
        modules = list(self.named_modules(remove_duplicate=False))
        if any("load_state_dict_pre" in module._hooks for _, module in modules):
            state_dict = dict(state_dict)  # which the hooks may change
            missing, unexpected, problems = list[str](), list[str](), list[str]()
            for path, module in modules:
                call_hooks(module, "load_state_dict_pre", module, state_dict, _dotted(path), {}, strict, missing, unexpected, problems)
            if problems:
                raise RuntimeError(f"load_state_dict of {type(self).__name__}: {'; '.join(problems)}")
        setters = {_dotted(path) + EXTRA_STATE: module.set_extra_state for path, module in modules}
        return loading(type(self).__name__, dict(self._named_state()), state_dict, strict, assign, setters)

    def loading(self, state_dict: Mapping[str, Any]) -> list[Callable[[], Any]]:
        """Check a state as `load_state_dict` does, without changing anything: what is left are calls that cannot fail, for `nn.load_checkpoint`."""
        return self._loading(state_dict, True)[0]

    # --- looks ------------------------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What to print between the parentheses; subclasses override it."""
        return ""

    def __repr__(self) -> str:
        lines: list[str] = []
        # (name, module, depth), or text that closes a module
        stack: list[tuple[str, Any, int, tuple[Module, ...]]] = [("", self, 0, ())]
        while stack:
            name, module, depth, above = stack.pop()
            indent = "  " * depth
            if isinstance(module, str):
                lines.append(indent + module)
                continue
            head, extra = f"{indent}{f'({name}): ' if name else ''}{type(module).__name__}(", module.extra_repr()
            children = _modules_of(module)
            if module in above:
                lines.append(f"{indent}({name}): {type(module).__name__}(...)")
            elif not children:
                lines.append(f"{head}{extra})")
            else:
                lines.extend([head, f"{indent}  {extra}"] if extra else [head])
                stack.append(("", ")", depth, ()))
                stack.extend((child_name, child, depth + 1, (*above, module)) for child_name, child in reversed(children))
        return "\n".join(lines)


class LoadResult(tuple[list[str], list[str]]):
    """What `load_state_dict` found: `missing_keys` and `unexpected_keys`."""

    def __new__(cls, missing_keys: list[str], unexpected_keys: list[str]) -> Self:
        return super().__new__(cls, (missing_keys, unexpected_keys))

    missing_keys = property(lambda self: self[0], doc="Names of the module that the state lacks.")
    unexpected_keys = property(lambda self: self[1], doc="Names of the state that the module lacks.")

    def __repr__(self) -> str:
        return f"LoadResult(missing_keys={self[0]}, unexpected_keys={self[1]})"


def _role(value: Any) -> str:
    """What a module registers `value` as; "" for an ordinary attribute."""
    return "parameter" if isinstance(value, Parameter) else "submodule" if isinstance(value, Module) else ""


def no_module(value: Any) -> str:
    """What somebody took for a module, and what to write instead."""
    if isinstance(value, type):
        return f"the class {value.__name__}; write {value.__name__}()"
    return f"{type(value).__name__}{'; put a star before it to give what is in it: *layers' if isinstance(value, list | tuple) else ''}"


def _dotted(path: str) -> str:
    return f"{path}." if path else ""


def _modules_of(module: Module) -> list[tuple[str, Module]]:
    return [(name, value) for name, value in module._items_of() if isinstance(value, Module)]
