"""Hooks on modules' calls: before and after the forward pass, and around the gradients of a module's inputs and outputs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import autograd_core as ag
from nn.places import say_where

__all__ = ["HookHandle", "HookedCall", "Hooks", "call_hooks"]

_BEFORE_FORWARD, _AFTER_FORWARD, _BEFORE_GRADIENTS, _AROUND_GRADIENTS = "forward_pre", "forward", "full_backward_pre", "full_backward"


_next_key = itertools.count().__next__


class _Hook(NamedTuple):
    """A hook; a forward one may want the keyword arguments too, and to be called whatever happens."""

    function: Callable[..., Any]
    with_kwargs: bool = False
    always: bool = False


# Kind -> the hooks of that kind, in order. A kind without hooks is not there, so a module without any asks one question.
Hooks = dict[str, dict[int, _Hook]]


class HookHandle:
    """A registered hook; `remove()` takes it off again, also as the end of a `with` block."""

    def __init__(self, hooks: Hooks, kind: str, hook: _Hook, prepend: bool = False) -> None:
        self._hooks = hooks
        self._kind = kind
        self._key = _next_key()  # not id(self): a handle that nobody keeps dies, and another one may get its id
        others = hooks.get(kind, {})
        hooks[kind] = {self._key: hook, **others} if prepend else {**others, self._key: hook}

    def remove(self) -> None:
        """Take the hook off; a second call does nothing."""
        of_kind = self._hooks.get(self._kind, {})
        of_kind.pop(self._key, None)
        if not of_kind:
            self._hooks.pop(self._kind, None)

    def __repr__(self) -> str:
        hook = self._hooks.get(self._kind, {}).get(self._key)
        if hook is None:
            return f"HookHandle({self._kind} hook, removed)"
        return f"HookHandle({self._kind} hook {getattr(hook.function, '__qualname__', None) or repr(hook.function)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class HookedCall:
    """What makes a module callable: its forward pass, with hooks around it."""

    _hooks: Hooks

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; each subclass defines it. Call the module itself, which runs the hooks too."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward(self, ...)")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks:
                return _call_with_hooks(self, self._hooks, self._run, args, kwargs)
            return self.forward(*args, **kwargs) if ag.observer() is None else self._run(*args, **kwargs)
        except Exception as error:
            say_where(self, error)
            raise

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        """The forward pass, which who looks on is told of."""
        observer = ag.observer()
        if observer is None:
            return self.forward(*args, **kwargs)
        with observer.scope(self, args):
            return self.forward(*args, **kwargs)

    def register_forward_pre_hook(self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False) -> HookHandle:
        """Call `hook(module, args)` before each forward; what it returns (if anything) takes the place of the arguments.

        prepend      before the hooks that are registered already, instead of after them
        with_kwargs  call `hook(module, args, kwargs)`, which returns (args, kwargs) or None
        """
        return HookHandle(self._hooks, _BEFORE_FORWARD, _Hook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> HookHandle:
        """Call `hook(module, args, result)` after each forward; what it returns (if anything) takes the place of the result.

        prepend      before the hooks that are registered already, instead of after them
        with_kwargs  call `hook(module, args, kwargs, result)`
        always_call  where the forward pass (or a hook) raises, too, with None for the result; the error goes on afterwards
        """
        return HookHandle(self._hooks, _AFTER_FORWARD, _Hook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_input, grad_output)` in the backward pass, when the gradients of the module's inputs are known.

        Both are tuples: of the positional arguments' gradients (None for what needs none), and of the results'. What the hook
        returns (if anything) takes the place of `grad_input`.

        >>> import numpy as np, autograd_core as ag, nn
        >>> layer = nn.Tanh()
        >>> handle = layer.register_full_backward_hook(lambda module, grad_input, grad_output: (10 * grad_input[0],))
        >>> x = ag.tensor([0.0], requires_grad=True)
        >>> layer(x).sum().backward()
        >>> x.grad
        tensor([10.])
        """
        return HookHandle(self._hooks, _AROUND_GRADIENTS, _Hook(hook), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> HookHandle:
        """Call `hook(module, grad_output)` in the backward pass, before it goes into the module.

        What the hook returns (if anything) takes the place of `grad_output`, a tuple of the results' gradients.
        """
        return HookHandle(self._hooks, _BEFORE_GRADIENTS, _Hook(hook), prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, prefix, keep_vars)` before a state is made of the module, alone or as a part."""
        return HookHandle(self._hooks, "state_dict_pre", _Hook(hook))

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)`, which may change the state, when it has been made; the metadata is {}."""
        return HookHandle(self._hooks, "state_dict_post", _Hook(hook))

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)` before a state is checked.

        It may change the dict, a copy of that which was given: rename the entries of an older version, say. Texts that it appends to
        `error_msgs` are raised; the metadata and the two lists are empty.
        """
        return HookHandle(self._hooks, "load_state_dict_pre", _Hook(hook))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> HookHandle:
        """Call `hook(module, incompatible_keys)`, the result of `load_state_dict`, when a state has been loaded."""
        return HookHandle(self._hooks, "load_state_dict_post", _Hook(hook))


def call_hooks(module: HookedCall, kind: str, *args: Any) -> None:
    """Call the module's hooks of a kind, in order."""
    for hook in tuple(module._hooks.get(kind, {}).values()):
        hook.function(*args)


def _call_with_hooks(module: Any, hooks: Hooks, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The module's call, `run(*args, **kwargs)`, with its hooks around it."""
    for hook in tuple(hooks.get(_BEFORE_FORWARD, {}).values()):
        if hook.with_kwargs:
            changed = hook.function(module, args, kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(f"{type(module).__name__}: a forward pre-hook with_kwargs must return None or (args, kwargs)")
                args, kwargs = changed
        else:
            changed = hook.function(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    before = tuple(hook.function for hook in hooks.get(_BEFORE_GRADIENTS, {}).values())
    around = tuple(hook.function for hook in hooks.get(_AROUND_GRADIENTS, {}).values())
    gradients = _Gradients(module, before, around) if (before or around) and ag.is_grad_enabled() else None
    if gradients is not None:
        args = gradients.on_their_way_to(args)
    after = list(hooks.get(_AFTER_FORWARD, {}).values())
    try:
        result = run(*args, **kwargs)
        while after:
            hook = after.pop(0)
            changed = hook.function(module, args, kwargs, result) if hook.with_kwargs else hook.function(module, args, result)
            result = result if changed is None else changed
    except Exception:
        for hook in after:
            if hook.always:
                hook.function(module, args, kwargs, None) if hook.with_kwargs else hook.function(module, args, None)
        raise
    return result if gradients is None else gradients.from_the(result)


class _Gradients:
    """The gradients of one call's outputs and inputs, which meet in two identities: one around all inputs, one around all outputs."""

    def __init__(self, module: Any, before: Sequence[Callable[..., Any]], around: Sequence[Callable[..., Any]]) -> None:
        self.module = module
        self.name = type(module).__name__
        self.before = before
        self.around = around
        self.inputs: list[int] = []  # places of the tracked ones
        self.arguments = 0
        self.of_outputs: tuple[Any, ...] = ()

    def on_their_way_to(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, the gradients of which pass by here last."""
        self.arguments = len(args)
        self.inputs = _tracked(args)
        return tuple(_replaced(args, self.inputs, self._identity(self._last)(*(args[i] for i in self.inputs)))) if self.inputs else args

    def from_the(self, result: Any) -> Any:
        """The result, the gradients of which pass by here first."""
        parts, rebuild = _parts(result, self.name)
        outputs = _tracked(parts)
        if not outputs:
            return result

        def first(_: Any, gs: tuple[Any, ...]) -> tuple[Any, ...]:
            given: Any = tuple(_replaced([None] * len(parts), outputs, gs))
            for hook in self.before:
                given = self._changed(hook(self.module, given), given, "grad_output")
            self.of_outputs = given
            if not self.inputs:
                self._call_around((None,) * self.arguments)
            return tuple(given[i] for i in outputs)

        return rebuild(_replaced(parts, outputs, self._identity(first)(*(parts[i] for i in outputs))))

    def _last(self, _: Any, gs: tuple[Any, ...]) -> tuple[Any, ...]:
        found = self._call_around(tuple(_replaced([None] * self.arguments, self.inputs, gs)))
        return tuple(found[i] for i in self.inputs)

    def _call_around(self, of_inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.around:
            of_inputs = self._changed(hook(self.module, of_inputs, self.of_outputs), of_inputs, "grad_input")
        return of_inputs

    def _changed(self, changed: Any, before: tuple[Any, ...], what: str) -> tuple[Any, ...]:
        if changed is None:
            return before
        changed = changed if isinstance(changed, tuple) else (changed,)
        if len(changed) != len(before):
            raise RuntimeError(f"{self.name}: a backward hook returned {len(changed)} gradients in place of {what}, which has {len(before)}")
        return changed

    def _identity(self, backward: Callable[..., Any]) -> ag.custom_vjp:
        def hooked(*tensors: Any) -> Any:
            return tensors

        hooked.__name__ = f"{self.name} backward hook"
        identity = ag.custom_vjp(hooked)
        identity.defvjp(lambda *tensors: (tensors, None), backward)
        return identity


def _tracked(values: Sequence[Any]) -> list[int]:
    return [i for i, value in enumerate(values) if isinstance(value, ag.Tensor) and value.requires_grad]


def _replaced(values: Sequence[Any], places: Sequence[int], others: Sequence[Any]) -> list[Any]:
    replaced = list(values)
    for place, other in zip(places, others, strict=True):
        replaced[place] = other
    return replaced


def _parts(result: Any, name: str) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The tensors of a module's result, and how to build it from others."""
    if isinstance(result, ag.Tensor):
        return [result], lambda parts: parts[0]
    if isinstance(result, dict):
        return list(result.values()), lambda parts: type(result)(zip(result, parts, strict=True))
    if isinstance(result, tuple | list):
        return list(result), lambda parts: type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)
    raise TypeError(f"{name}: a backward hook needs a module that returns a tensor, or a tuple, list or dict of them, not {type(result).__name__}")
