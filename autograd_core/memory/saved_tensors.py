"""Where the tape keeps the arrays that it saves: hooks that put something else in an array's place, and give it back when it is used.

The hooks are an instrument: they see a node when it has been recorded, and exchange the arrays in it, so they cost nothing when
they are not on. A node with exchanged arrays is of a class of its own, whose `links` give the arrays back.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from autograd_core.arrays.layers import sequence_like
from autograd_core.instruments.observer import Observer
from autograd_core.memory.ledger import arrays_in
from autograd_core.tape.guard import fingerprint
from autograd_core.tape.mode import NOT_RECORDING, Instrument, current_mode, instrumented, observer
from autograd_core.tape.node import Leaf, Node
from autograd_core.tape.plan import OUT, Plan

__all__ = ["PackedNode", "saved_tensors_hooks"]


class saved_tensors_hooks(contextlib.ContextDecorator):
    """`with ag.saved_tensors_hooks(pack, unpack):` what is saved for the backward pass inside is kept as `pack(array)`.

    pack_hook    called with each array that an operation saves, when it is recorded; it may return anything, and must not change
                 the array. A computed array that several operations save is packed once
    unpack_hook  called with what `pack_hook` returned, whenever a backward pass comes to the operation; returns an array of the
                 shape and dtype of the saved one
    leaves       False leaves the arrays of leaves (parameters), which are there with or without the tape, as they are
    raises       RuntimeError that names the operation, for an error in a hook, another shape or dtype, or if an array that
                 `pack_hook` returned was changed in place

    Only arrays are packed, not numbers and shapes. Within other hooks, the innermost are called. What the backward pass needs may
    be approximate or on disk (`ag.save_as`, `ag.save_on_disk`); the forward values are not touched. Names as in PyTorch.

    >>> import numpy as np, autograd_core as ag
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> def pack(array):
    ...     print("pack", array)
    ...     return array.tolist()
    >>> with ag.saved_tensors_hooks(pack, np.array):
    ...     y = np.exp(x).sum()
    pack [2.71828183 7.3890561 ]
    >>> y.backward(); x.grad
    tensor([2.71828183, 7.3890561 ])
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any], *, leaves: bool = True) -> None:
        if not callable(pack_hook) or not callable(unpack_hook):
            raise TypeError("saved_tensors_hooks: give two functions, pack_hook(array) and unpack_hook(packed)")
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook
        self.leaves = leaves
        self._inside: list[Any] = []

    def __enter__(self) -> Self:
        on = current_mode() is not NOT_RECORDING
        switch: Any = instrumented(_Packing(observer(), self)) if on else contextlib.nullcontext()
        switch.__enter__()
        self._inside.append(switch)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._inside.pop().__exit__(*exception)


class _Packed:
    """What stands in a node in place of a saved array."""

    __slots__ = ("__weakref__", "dtype", "hooks", "line", "nbytes", "packed", "prints", "shape", "source", "take")

    def __init__(self, array: Any, value: Any, hooks: saved_tensors_hooks, take: Callable[[Any], Any], line: str | None) -> None:
        self.packed = value
        self.hooks = hooks
        self.shape = array.shape
        self.dtype = array.dtype
        self.source = weakref.ref(array)
        # Hooks may return the user's own array, or show its memory.
        self.take = take
        self.prints = [take(part) for part in arrays_in(value)]
        self.line = line
        self.nbytes = sum(part.nbytes for part in arrays_in(value))

    def unpacked(self, node: Node, name: str) -> Any:
        if self.prints != [self.take(part) for part in arrays_in(self.packed)]:
            where = f" It was saved at {self.line}." if self.line else ""
            raise RuntimeError(
                f"{node.op.name}: what pack_hook returned for its {name} (array of shape {self.shape}, {self.dtype}) was changed in place after "
                "the operation saved it, so the gradient would be wrong; let pack_hook return a copy, or change the array after "
                f"backward().{where}"
            )
        try:
            array = self.hooks.unpack_hook(self.packed)
        except Exception as error:
            raise _failed("unpack_hook", error, node, name, self) from error
        if getattr(array, "shape", None) != self.shape or getattr(array, "dtype", None) != self.dtype:
            found = f"{array.dtype} of shape {array.shape}" if hasattr(array, "dtype") else type(array).__name__
            raise RuntimeError(
                f"{node.op.name}: unpack_hook returned {found} for its {name}, expected the saved array's {self.dtype} of shape {self.shape}"
            )
        return array


def _failed(hook: str, error: Exception, node: Node, name: str, array: Any) -> RuntimeError:
    return RuntimeError(f"{node.op.name}: {hook} for its {name} (array of shape {array.shape}, {array.dtype}) raised {type(error).__name__}: {error}")


class PackedNode(Node):
    """A node whose saved arrays were exchanged by hooks. `saved` holds what they returned, `links` the arrays as rules need them."""

    __slots__ = ()

    @property
    def links(self) -> tuple[Any, ...]:
        saved = self.saved
        return self.parents + tuple(_unpacked(value, self, _name(self.plan, at)) for at, value in enumerate(saved))


def _unpacked(value: Any, node: Node, name: str) -> Any:
    if isinstance(value, _Packed):
        return value.unpacked(node, name)
    return sequence_like(value, [_unpacked(part, node, name) for part in value]) if isinstance(value, tuple | list) else value


def _rebuilt_if_new(value: Any, parts: list[Any]) -> Any:
    return value if all(new is old for new, old in zip(parts, value, strict=True)) else sequence_like(value, parts)


def _name(plan: Plan, at: int) -> str:
    """What to call a plan's saved value in a message."""
    save = plan.saves[at]
    return "result" if save == OUT else f"argument {plan.name_of(save)}"


class _Packing(Observer):
    """Exchanges the arrays in each node that is recorded."""

    def __init__(self, outer: Instrument | None, hooks: saved_tensors_hooks) -> None:
        super().__init__(outer)
        self._hooks = hooks
        self._plans: dict[Plan, Plan] = {}
        # One packed value for all nodes that save the same array: (number of the node that computed it, its id) -> packed. The
        # node is part of the key because item assignment, which may write in place, gives a tensor another one.
        self._shared: weakref.WeakValueDictionary[tuple[int, int], _Packed] = weakref.WeakValueDictionary()

    def recorded(self, node: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], value: Any) -> None:
        if node.plan.keeps and type(node) is Node:  # else inner hooks were here before
            self._exchange(node)
        super().recorded(node, arguments, keywords, value)

    def _exchange(self, node: Node) -> None:
        plan, parents, saved = node.plan, node.parents, list(node.saved)
        guards, take, line = saved.pop() if plan.is_guarded else ([None] * len(saved), fingerprint, None)
        packed = []
        for at, value in enumerate(saved):
            make = functools.partial(self._packed, node, _name(plan, at), guards[at] is not None, take, line)
            where = plan.lifts[at]
            if isinstance(value, tuple | list):
                origins = [parents[where[i]] if isinstance(where, dict) and i in where else None for i in range(len(value))]
                packed.append(_rebuilt_if_new(value, [make(part, origin) for part, origin in zip(value, origins, strict=True)]))
            else:
                packed.append(make(value, node if where == OUT else None if where is None else parents[where]))
        if all(new is old for new, old in zip(packed, saved, strict=True)):
            return  # nothing to exchange: the node keeps its guard too
        for slot in ("first", "second", "saved_first", "saved_second") if plan.compact else ():
            if hasattr(node, slot):
                delattr(node, slot)
        node.plan = self._plan(plan)
        node.rest = (*parents, *packed)
        node.__class__ = PackedNode

    def _packed(
        self, node: Node, name: str, reachable: bool, take: Callable[[Any], Any], line: str | None, value: Any, origin: Node | None = None
    ) -> Any:
        """What to keep instead of a saved value that `origin` computed: itself, if there is no array in it."""
        if isinstance(value, tuple | list):
            return _rebuilt_if_new(value, [self._packed(node, name, reachable, take, line, part) for part in value])
        of_leaf = isinstance(origin, Leaf)
        if not isinstance(value, np.ndarray) or (of_leaf and not self._hooks.leaves):
            return value
        key = None if origin is None or of_leaf or reachable else (origin.number, id(value))
        known = None if key is None else self._shared.get(key)
        if known is not None and known.source() is value:
            return known
        try:
            kept = self._hooks.pack_hook(value)
        except Exception as error:
            raise _failed("pack_hook", error, node, name, value) from error
        packed = _Packed(value, kept, self._hooks, take, line)
        if key is not None:
            self._shared[key] = packed
        return packed

    def _plan(self, plan: Plan) -> Plan:
        """The plan of a node with exchanged arrays: not compact, so that the sweep takes its links, and with no guard of its own."""
        packed = self._plans.get(plan)
        if packed is None:
            if len(self._plans) > 1000:
                self._plans.clear()
            packed = self._plans[plan] = plan.with_guard.changed(is_guarded=False)
        return packed
