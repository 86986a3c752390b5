"""Items of tensors: `t[i]` and `t[i] = v`.

Tensors are values: an assignment gives `t` a new value, and what an earlier operation saw stays as it was. The array itself is
written to only where nobody else holds it (ownership.py).
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from autograd_core.arrays.duals import without_tangents
from autograd_core.arrays.indices import is_basic, may_repeat, settled
from autograd_core.arrays.layers import ArrayLayer, able_to_hold, level_of
from autograd_core.tape.mode import NOT_RECORDING, RECORDING, current_mode
from autograd_core.tape.node import Leaf
from autograd_core.tape.plan import plan_of
from autograd_core.tape.table import operation
from autograd_core.tensor.handles import Handle, raw, untracked
from autograd_core.tensor.ownership import is_writeable, share_memory_of
from autograd_core.tensor.recording import apply, apply_to_view, record

__all__ = ["get_item", "set_item", "setitem"]


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
        if parent.plan.op is _setitem:
            # This tensor is being filled: a view would force the next assignment to copy the whole of it.
            data = data.copy()
        return apply_to_view(_getitem, self, (self._array, index), data)
    if getattr(data, "base", None) is not None:
        share_memory_of(self, result)
    return result


def set_item(self: Any, index: Any, value: Any) -> None:
    """`self[index] = value`: give this tensor a new value that differs at `index`. Recorded; earlier results keep what they saw.

    The array is written in place where only this tensor holds it (so a loop of n assignments costs O(n)), else copied.
    """
    mode = current_mode()
    if mode is not NOT_RECORDING and isinstance(self.node, Leaf):
        raise RuntimeError(
            f"item assignment to a leaf that requires grad (shape {self.shape}) would lose the leaf; assign to a copy (t = t.copy()), "
            "or inside ag.no_grad() to change its value"
        )
    if isinstance(value, list | tuple):
        value = _stacked(value)
    source = value.node if isinstance(value, Handle) and mode is not NOT_RECORDING else None
    if source is not None and self.dtype.kind not in "fc":
        raise TypeError(f"item assignment of a tracked tensor into one of {self.dtype} would lose its gradient; assign into t.astype(float)")
    index, raw_value = settled(raw(index)), raw(value)
    if source is None and isinstance(value, Handle) and value.node is not None:
        raw_value = without_tangents(raw_value)
    if may_repeat(index) and not isinstance(raw_value, ArrayLayer):
        raw_value = np.array(raw_value, order="C", copy=None)  # see `settled`
    data = np.array(self._array) if isinstance(self._array, np.generic) else self._array if is_writeable(self) else self._array.copy()
    if isinstance(raw_value, ArrayLayer) or type(index) is tuple or isinstance(index, ArrayLayer):
        data = able_to_hold(data, (raw_value, index))
    data[index] = raw_value
    if data is not self._array:
        self._array = data
        self.handed_out = False
    if mode is NOT_RECORDING:
        if not isinstance(self.node, Leaf):
            self.node = None  # without recording, a computed tensor's changed value has no history
            self._array = without_tangents(self._array)
    elif self.node is not None or source is not None:
        parents = [node for node in (self.node, source) if node is not None]
        plan = plan_of(_setitem, (0,) * (self.node is not None) + (2,) * (source is not None))
        self.node = record(plan, parents, (data, index, raw_value), {}, data, -1, mode).node


def _stacked(values: Any) -> Any:
    """A (nested) list with tensors in it as one tensor; other lists as they are."""
    if not isinstance(values, list | tuple) or not any(isinstance(v, Handle | list | tuple) for v in values):
        return values
    return np.stack([_stacked(v) for v in values])
