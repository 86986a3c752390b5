"""Items of tensors: `t[i]` and `t[i] = v`.

Tensors are values: an assignment gives `t` a new value, and what an earlier operation saw stays as it was. The array itself is
written to only where nobody else holds it (ownership.py).
"""

from __future__ import annotations

import operator
from collections import deque
from typing import Any

import numpy as np

from autograd_core.arrays.duals import without_tangents
from autograd_core.arrays.foreign import array_at_heart, numbers
from autograd_core.arrays.indices import is_basic, may_repeat, settled
from autograd_core.arrays.layers import ArrayLayer, able_to_hold, level_of
from autograd_core.tape.mode import NOT_RECORDING, RECORDING, current_mode
from autograd_core.tape.node import Leaf
from autograd_core.tape.plan import plan_of
from autograd_core.tape.table import operation
from autograd_core.tensor.apply import apply, apply_to_view
from autograd_core.tensor.handles import Handle, raw, untracked
from autograd_core.tensor.ownership import Memory, copied, is_writeable, share_memory_of, shows
from autograd_core.tensor.recording import record
from autograd_core.tensor.views import is_shared, is_whole, write_through

__all__ = ["get_item", "in_place_operator", "set_item", "setitem"]


def setitem(x: Any, index: Any, value: Any) -> Any:
    """A copy of `x` with `x[index] = value` done: item assignment as a function of values."""
    result = np.array(x) if isinstance(x, np.generic) else x.copy()
    if isinstance(value, Handle) and not isinstance(x, Handle):
        result = untracked(result)
    result = able_to_hold(result, (value, index))
    result[index] = value
    return result


_getitem, _setitem = operation(operator.getitem), operation(setitem)


def get_item(self: Any, index: Any) -> Any:
    """`self[index]`: recorded; of basic indices a view, as NumPy has it."""
    parent = self.node
    mode = current_mode()
    kind = type(index)
    if kind is not int and kind is not slice and not is_basic(index):
        if isinstance(index, Handle) and index.node is not None:
            return apply(_getitem, (self, index), {})  # refused there
        index = settled(raw(index))
        if parent is not None or level_of(index):
            return apply(_getitem, (self, index), {})
    elif mode is not RECORDING and mode is not NOT_RECORDING:
        return apply(_getitem, (self, index), {})
    data = self._array[index]
    if parent is None:
        result = untracked(data)
    elif mode is NOT_RECORDING:
        result = untracked(without_tangents(data))
    else:
        if parent.plan.op is _setitem and is_whole(self) and isinstance(data, np.ndarray) and data.flags.c_contiguous:
            # This tensor is being filled: a view would force the next assignment to copy the whole of it.
            result = apply_to_view(_getitem, self, (self._array, index), data.copy())
            share_memory_of(self, result, operator.getitem, (index,))
            return result
        return apply_to_view(_getitem, self, (self._array, index), data)
    if shows(data, self):
        share_memory_of(self, result, operator.getitem, (index,))
    return result


def set_item(self: Any, index: Any, value: Any) -> None:
    """`self[index] = value`: give this tensor a new value that differs at `index`. Recorded; earlier results keep what they saw.

    What shows the same memory (a view, or what this is a view of) changes with it, as NumPy has it (views.py). A leaf that requires
    grad is a place: it can be assigned to only inside `ag.no_grad()`, and stays the same leaf.
    """
    if isinstance(value, list | tuple):
        value = _stacked(value)
    index = settled(raw(index))
    if type(self.handed_out) is Memory and write_through(self, index, value, assign):
        return
    assign(self, index, value)


def assign(self: Any, index: Any, value: Any) -> None:
    """`set_item` for this tensor alone.

    The array is written in place where only this tensor holds it (so a loop of n assignments costs O(n)), else copied.
    """
    mode = current_mode()
    is_leaf = isinstance(self.node, Leaf)
    if is_leaf and mode is not NOT_RECORDING:
        raise RuntimeError(
            f"item assignment to a leaf that requires grad (shape {self.shape}) would lose the leaf; assign to a copy (t = t.copy()), "
            "or inside ag.no_grad() to change its value"
        )
    source = value.node if isinstance(value, Handle) and mode is not NOT_RECORDING else None
    if source is not None and self.dtype.kind not in "fc":
        raise TypeError(f"item assignment of a tracked tensor into one of {self.dtype} would lose its gradient; assign into t.astype(float)")
    raw_value = array_at_heart(raw(value), "item assignment")
    if isinstance(raw_value, np.ndarray):
        numbers(raw_value, "item assignment")
    if source is None and isinstance(value, Handle) and value.node is not None:
        raw_value = without_tangents(raw_value)
    if may_repeat(index) and not isinstance(raw_value, ArrayLayer):
        raw_value = np.array(raw_value, order="C", copy=None)  # see `settled`
    # A leaf whose array the user was given is written to where it is, as he expects of his array.
    in_place = is_writeable(self) or (is_leaf and bool(self.handed_out) and self._array.flags.writeable)
    data = np.array(self._array) if isinstance(self._array, np.generic) else self._array if in_place else copied(self._array)
    if isinstance(raw_value, ArrayLayer) or type(index) is tuple or isinstance(index, ArrayLayer):
        data = able_to_hold(data, (raw_value, index))
        if type(data) is not type(self._array):
            from autograd_core.tensor.batch_writes import writing

            writing(self)
    if mode is NOT_RECORDING:
        data[index] = raw_value
        # Without recording, a computed tensor's changed value has no history.
        _become(self, data if is_leaf else without_tangents(data), self.node if is_leaf else None)
    elif self.node is None and source is None:
        data[index] = raw_value
        _become(self, data, None)
    else:
        _assign_recorded(self, data, index, raw_value, source)


def _assign_recorded(self: Any, data: Any, index: Any, raw_value: Any, source: Any) -> None:
    """Write to `data` and record it, both or neither: an interrupt, or an instrument that finds fault with the value, may come between."""
    node, array = self.node, self._array
    before = np.array(data[index]) if data is array and isinstance(data, np.ndarray) else None
    try:
        data[index] = raw_value
        parents = [parent for parent in (node, source) if parent is not None]
        plan = plan_of(_setitem, (0,) * (node is not None) + (2,) * (source is not None))
        made = record(plan, parents, (data, index, raw_value), {}, data, -1, current_mode()).node
        _become(self, data, made)
    except BaseException:
        self._array, self.node = array, node
        if before is not None:
            data[index] = before
        raise


def _become(self: Any, data: Any, node: Any) -> None:
    """Give a tensor another value and history, in one call that no signal is handled within."""
    # A tensor with views stays the root of theirs, also with memory of its own: their places are known (views.py).
    handed_out = self.handed_out if data is self._array or type(self.handed_out) is Memory else False
    deque(map(setattr, (self, self, self), ("handed_out", "_array", "node"), (handed_out, data, node)), maxlen=0)


def in_place_operator(function: Any, name: str) -> Any:
    """The method behind `self += other`, which binds a new tensor to the name, but where that would lose the change.

    Where a view of the tensor is alive, or it is one itself, it is written to as by `self[...] = self + other`. So is a leaf that
    requires grad, inside `ag.no_grad()`: the update of a hand-written training loop.
    """

    def method(self: Any, other: Any) -> Any:
        if not isinstance(self.node, Leaf) and (type(self.handed_out) is not Memory or not is_shared(self)):
            return NotImplemented
        if isinstance(self.node, Leaf) and current_mode() is not NOT_RECORDING:
            raise RuntimeError(
                f"{name}= on a leaf that requires grad (shape {self.shape}) would lose the leaf; write a new name (y = x {name} ...), "
                "or update it inside ag.no_grad()"
            )
        result = function(self, other)
        if result is NotImplemented:
            return result
        if result.shape != self.shape or not np.can_cast(result.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"{name}= would give a tensor of shape {result.shape}, {result.dtype} to one of shape {self.shape}, {self.dtype}, "
                f"which is changed in place; write t = t {name} ..."
            )
        set_item(self, ..., result)
        return self

    method.__name__ = f"i{function.__name__}"
    method.__doc__ = f"`self {name}= other`: a new tensor for the name; in place for a leaf inside `ag.no_grad()`, and for views."
    return method


def _stacked(values: Any) -> Any:
    """A (nested) list with tensors in it as one tensor; other lists as they are."""
    if not isinstance(values, list | tuple) or not any(isinstance(v, Handle | list | tuple) for v in values):
        return values
    return np.stack([_stacked(v) for v in values])
