"""Which tensors of the outside a function reads and writes while it is recorded.

A function refers to tensors that are no arguments: parameters, running statistics, what stands in a global. They are inputs of its
program too, and those that it changes are outputs. They are seen where a tensor's array is read: while a function is being recorded,
and in its thread only, the slots of the class `Handle` are properties that ask here. At all other times they are what they always
are, so nobody pays for it.

What the function assigns (`t.data = a`, `p.grad = None`, `t[0] = v`) is kept aside until it has come to its end: all of it is done
then, or nothing.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy import ndarray

from autograd_core.compiling.effects import LateRead, array_slot, grad_slot, node_slot, restore
from autograd_core.compiling.tracing import Departure, Trace, Traced, concrete
from autograd_core.tape.mode import recording_in_full
from autograd_core.tape.node import Leaf
from autograd_core.tensor.calls import variable
from autograd_core.tensor.handles import Handle
from autograd_core.tensor.ownership import hand_out

__all__ = ["Outside", "Watch", "current_watch", "is_being_recorded", "watched"]


class Outside:
    """A tensor that was there before the function began, as the function sees it.

    handle     the tensor
    name       what it is, for people
    of         the Outside whose `grad` it is, if it was come by that way: another tensor may be there at the next call
    input      number of the input that its array is; None if it is not read
    number     of the value that it has now, as long as the function has assigned none; None if it has not been read
    array      what it holds: a Traced, or what the function has assigned
    was        its array before
    """

    def __init__(self, handle: Any, name: str, of: Outside | None = None) -> None:
        self.handle = handle
        self.name = name
        self.of = of
        self.was: Any = array_slot.__get__(handle)
        self.had_node: Any = node_slot.__get__(handle)
        self.was_handed_out = handle.handed_out
        self.input: int | None = None
        self.number: int | None = None
        self.array: Any = None
        self.is_assigned = False
        self.grad: Any = None
        self.grad_was_read = False  # before the function assigned one
        self.had_grad = False
        self.grad_is_assigned = False
        self.node: Any = None
        self.proxy: Any = None  # the variable that stands for it, if it was computed outside
        self.node_was_read = False


class Watch:
    """The tensors that are met while `trace` is open.

    generators       id -> (generator that was drawn from, its state before)
    feed             what the effects gave, in their order: for a rehearsal
    has_stepped_out  whether a function was called that nobody looked into: what it did cannot be undone
    is_paused        while such a function runs
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.thread = threading.get_ident()
        self.outside: dict[int, Outside] = {}
        self.made: dict[int, weakref.ref[Any]] = {}
        self.generators: dict[int, tuple[Any, Any]] = {}
        self.feed: list[Any] = []
        self.has_stepped_out = False
        self.is_paused = False
        self._plain: list[tuple[Any, Any]] = []

    # --- who is who -----------------------------------------------------------------------------------------------------------------

    def meet(self, handle: Any, name: str = "", of: Outside | None = None) -> Outside:
        """What is known of a tensor of the outside."""
        found = self.outside.get(id(handle))
        if found is None:
            was = array_slot.__get__(handle)
            if not isinstance(was, ndarray | np.generic) or (type(was) is not ndarray and isinstance(was, ndarray)):
                raise Departure(f"a tensor holds {type(was).__name__}, no array of NumPy's")
            if isinstance(was, ndarray):
                self._hand_out(handle)
            found = self.outside[id(handle)] = Outside(handle, name or f"captured {list(was.shape)}", of)
        return found

    def _hand_out(self, handle: Any) -> None:
        """What a node saves of it is a copy from now on, as of all that the user has: so that all calls are recorded alike."""
        self.is_paused = True
        try:
            hand_out(handle)
        finally:
            self.is_paused = False

    def is_made(self, handle: Any) -> bool:
        """Whether the function has made this tensor."""
        ref = self.made.get(id(handle))
        return ref is not None and ref() is handle

    # --- the slots --------------------------------------------------------------------------------------------------------------------

    def read_array(self, handle: Any) -> Any:
        if self.is_made(handle):
            return array_slot.__get__(handle)
        outside = self.outside.get(id(handle)) or self.meet(handle)
        if outside.number is None and not outside.is_assigned:
            if self.has_stepped_out:
                outside.array = self.trace.call(LateRead(handle), (), {}, is_opaque=True)
                self.feed.append(outside.array.value)
            else:
                outside.array = self.trace.input(outside.was, outside.name)
                outside.input = outside.array.number
            outside.number = outside.array.number
        return outside.array

    def set_array(self, handle: Any, array: Any) -> None:
        outside = self.outside.get(id(handle))
        if outside is None and not self.is_made(handle):
            if _is_new(handle):
                self.made[id(handle)] = weakref.ref(handle)
            else:
                outside = self.meet(handle)
        if outside is None:
            array_slot.__set__(handle, array)
        elif array is not outside.array:
            outside.is_assigned = True
            outside.array = array

    def read_grad(self, handle: Any) -> Any:
        if self.is_made(handle):
            return grad_slot.__get__(handle)
        outside = self.outside.get(id(handle)) or self.meet(handle)
        if outside.grad_is_assigned:
            return outside.grad
        if self.has_stepped_out:
            self.trace.leak("a gradient is read after a function that nobody looked into")
            return grad_slot.__get__(handle)
        if not outside.grad_was_read:
            outside.grad_was_read = True
            outside.grad = grad_slot.__get__(handle)
            outside.had_grad = outside.grad is not None
            if outside.grad is not None:
                if id(outside.grad) in self.outside or node_slot.__get__(outside.grad) is not None:
                    self.trace.leak("a gradient that has a history, or is met under two names")
                self.meet(outside.grad, f"the gradient of {outside.name}", outside)
        return outside.grad

    def set_grad(self, handle: Any, grad: Any) -> None:
        if id(handle) not in self.outside and (self.is_made(handle) or _is_new(handle)):
            grad_slot.__set__(handle, grad)
            return
        outside = self.outside.get(id(handle)) or self.meet(handle)
        outside.grad_is_assigned = True
        outside.grad = grad

    def read_node(self, handle: Any) -> Any:
        if self.is_made(handle):
            return node_slot.__get__(handle)
        outside = self.outside.get(id(handle)) or self.meet(handle)
        if not outside.node_was_read:
            outside.node_was_read = True
            node = outside.had_node
            if node is not None and node.watchers is not None:
                self.trace.leak("a hook on a tensor of the outside")
            if node is not None and not isinstance(node, Leaf):
                outside.proxy = variable(outside.was)  # whose slots are read while it is made, as of any tensor
                node = node_slot.__get__(outside.proxy)
            outside.node = node
        return outside.node

    def set_node(self, handle: Any, node: Any) -> None:
        if id(handle) not in self.outside and (self.is_made(handle) or _is_new(handle)):
            node_slot.__set__(handle, node)
            return
        if node is not self.read_node(handle):
            self.trace.leak("a tensor of the outside gets another history (requires_grad, or an assignment of tracked values)")
            self.outside[id(handle)].node = node

    # --- the end ------------------------------------------------------------------------------------------------------------------------

    def tracked(self) -> list[Outside]:
        """The tensors of the outside with respect to which there may be gradients."""
        return [o for o in self.outside.values() if o.node_was_read and o.node is not None]

    def commit(self) -> None:
        """Do what the function assigned, and put plain arrays into all tensors that it has made."""
        for outside in self.outside.values():
            if outside.is_assigned:
                array_slot.__set__(outside.handle, concrete(outside.array))
            if outside.grad_is_assigned:
                grad_slot.__set__(outside.handle, outside.grad)
            if outside.node_was_read and outside.proxy is None and outside.node is not outside.had_node:
                node_slot.__set__(outside.handle, outside.node)
        self._plain = []
        for handle in self.left():
            array = array_slot.__get__(handle)
            if type(array) is Traced:
                array_slot.__set__(handle, array.value)
                self._plain.append((handle, array))

    def forget(self) -> None:
        """Let go of what was recorded."""
        self._plain.clear()

    def pause(self) -> list[tuple[Any, Any]]:
        """Bring all tensors up to date for a function that nobody looks into; returns what `resume` puts back."""
        self.commit()
        self.is_paused = True
        held, self._plain = self._plain, []
        return held

    def resume(self, held: list[tuple[Any, Any]]) -> None:
        """Go on. What the function may have changed is read anew."""
        self.is_paused = False
        for handle, traced in held:
            if array_slot.__get__(handle) is traced.value:
                array_slot.__set__(handle, traced)
        for outside in self.outside.values():
            outside.was = array_slot.__get__(outside.handle)
            outside.number = outside.array = None
            outside.is_assigned = outside.grad_is_assigned = False

    def roll_back(self) -> None:
        """Undo what was done to the outside: nothing of the function's has happened."""
        for generator, state in self.generators.values():
            restore(generator, state)
        for array, before in self.trace.undo.values():
            array[...] = before
        for outside in self.outside.values():
            outside.handle.handed_out = outside.was_handed_out

    def left(self) -> list[Any]:
        """The tensors that the function has made and that are still there."""
        return [handle for ref in self.made.values() if (handle := ref()) is not None]


def _is_new(handle: Any) -> bool:
    """Whether a tensor has no array yet: it is being made."""
    try:
        array_slot.__get__(handle)
    except AttributeError:
        return True
    return False


# --- while a function is recorded ------------------------------------------------------------------------------------------------------

_watching: list[Watch] = []  # at most one


def is_being_recorded() -> bool:
    """Whether a function is being recorded in this thread."""
    return bool(_watching) and _watching[0].thread == threading.get_ident() and not _watching[0].is_paused


def current_watch() -> Watch | None:
    """What watches this thread, if a function is being recorded in it."""
    return _watching[0] if is_being_recorded() else None


def _property(slot: Any, read: Any, write: Any) -> property:
    def get(handle: Any) -> Any:
        watch = current_watch()
        return slot.__get__(handle) if watch is None else read(watch, handle)

    def put(handle: Any, value: Any) -> None:
        watch = current_watch()
        if watch is None:
            slot.__set__(handle, value)
        else:
            write(watch, handle, value)

    return property(get, put, slot.__delete__)


_properties = {
    "_array": (array_slot, _property(array_slot, Watch.read_array, Watch.set_array)),
    "grad": (grad_slot, _property(grad_slot, Watch.read_grad, Watch.set_grad)),
    "node": (node_slot, _property(node_slot, Watch.read_node, Watch.set_node)),
}


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Around a function that is recorded. There is one at a time."""
    _watching.append(watch)
    try:
        for name, (_, instead) in _properties.items():
            setattr(Handle, name, instead)
        with recording_in_full(watch.trace):
            yield
    finally:
        for name, (slot, _) in _properties.items():
            setattr(Handle, name, slot)
        _watching.clear()
