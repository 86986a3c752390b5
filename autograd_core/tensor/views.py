"""Writing through views: what shows the same memory changes together, as NumPy's users write it, and is recorded.

    y = x * 1.0;  y[1][0] = 5.0          # y changes
    v = y[1:];    v *= 2                 # so does it here
    u = y[:2];    y[0] = 5.0             # and here u does

Tensors are values: nothing is written into memory that an operation may have saved. The tensor that shows all of the memory (the
root) gets a new value, and so does each other one that is alive: the root's elements at its places. Which places these are is
told by making the view again, of positions. All of that is recorded by ordinary operations, and handed to all tensors at once.
"""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.arrays.indices import is_basic
from autograd_core.arrays.layers import ArrayLayer, memory_of
from autograd_core.tape.mode import NOT_RECORDING, current_mode
from autograd_core.tape.node import Leaf
from autograd_core.tensor.handles import handle
from autograd_core.tensor.ownership import Memory, Place, is_writeable

__all__ = ["is_shared", "is_whole", "write_through"]


def is_whole(tensor: Any) -> bool:
    """Whether `tensor` is no view of another one."""
    memory = tensor.handed_out
    return type(memory) is not Memory or memory.root() is tensor


def is_shared(tensor: Any) -> bool:
    """Whether another tensor that is alive shows the memory of `tensor`."""
    memory = tensor.handed_out
    root = memory.root()
    return (root is not None and root is not tensor) or bool(_sharers(memory, tensor))


def _sharers(memory: Memory, without: Any) -> list[Any]:
    """The tensors that share `memory` and are alive, but for the root; the dead are forgotten."""
    found = []
    for key, place in list(memory.places.items()):
        tensor = place[0]()
        if tensor is None or tensor.handed_out is not memory:
            memory.places.pop(key, None)
        elif tensor is not without:
            found.append(tensor)
    return found


def write_through(tensor: Any, index: Any, value: Any, assign: Callable[[Any, Any, Any], None]) -> bool:
    """`tensor[index] = value` for all that shows this memory; False, with nothing done, if `tensor` is the only one that would change."""
    memory = tensor.handed_out
    root = memory.root()
    sharers = _sharers(memory, tensor)
    if root is None or root.handed_out is not memory:
        if any(_may_overlap(memory, other, tensor) for other in sharers):
            raise RuntimeError(
                f"item assignment to a view (shape {tensor.shape}) while another one of the same memory is alive, but no tensor that shows all "
                "of it: it would be lost for the other; keep the whole (t = ...; v = t[1:]), or assign to a copy (v = v.copy())"
            )
        tensor.handed_out = bool(memory)
        return False
    is_leaf = isinstance(root.node, Leaf)
    if is_leaf and current_mode() is not NOT_RECORDING:
        raise RuntimeError(
            f"item assignment to a view of a leaf that requires grad (shape {root.shape}) would lose the leaf; assign to a copy (t = t.copy()), "
            "or inside ag.no_grad() to change its value"
        )
    if tensor is root and (not sharers or (is_writeable(root) and not _touches(root, index, sharers))):
        return False
    _write(root, tensor, sharers, index, value, assign)
    return True


def _may_overlap(memory: Memory, a: Any, b: Any) -> bool:
    """Whether two views show the same elements. That their arrays are apart says so only where both are in one memory still."""
    one, other = memory_of(a._array), memory_of(b._array)
    if getattr(one, "base", None) is not None and one.base is getattr(other, "base", None) and not np.may_share_memory(one, other):
        return False
    places = [_positions(memory.shape, memory.places[id(view)]) for view in (a, b)]
    return bool(np.intersect1d(*places).size)


def _touches(root: Any, index: Any, sharers: list[Any]) -> bool:
    """Whether an assignment at `index` of the root can change one of the sharers."""
    if not is_basic(index):
        return True
    # An array of the root's shape, which takes no time to make, tells as well as the root does.
    grid = np.empty(root.shape, dtype=bool)
    touched = _part(grid, index)
    places = root.handed_out.places
    for sharer in sharers:
        _, behind, function, arguments = places[id(sharer)]
        direct = behind is None and function is operator.getitem
        if not direct or np.may_share_memory(_part(grid, arguments[0]), touched):
            return True
    return False


def _part(grid: Any, index: Any) -> Any:
    """`grid[index]`, also of a single element an array that shares its memory."""
    entries = index if type(index) is tuple else (index,)
    return grid[entries if Ellipsis in entries else (*entries, ...)]


def _positions(shape: Any, place: Place | None) -> Any:
    """Where in the flattened root, of this shape, the elements of a view are, as an array of its shape: what made the view, made of positions."""
    if place is None:
        return np.arange(math.prod(shape)).reshape(shape)
    _, behind, function, arguments = place
    if function is None:
        raise RuntimeError(
            f"item assignment to what shows the memory of a tensor of shape {shape} cannot be followed here; assign to the whole "
            "(y[1, 0] = v instead of y[1][0] = v), or to a copy"
        )
    return function(_positions(shape, behind), *arguments)


def _positions_of(root: Any, view: Any) -> Any:
    positions = _positions(root.shape, root.handed_out.places[id(view)])
    if positions.shape != view.shape or view.dtype != root.dtype:
        raise RuntimeError(
            f"item assignment cannot be followed from a view of shape {view.shape}, {view.dtype} to a tensor of shape {root.shape}, {root.dtype}; "
            "assign to the whole (z = np.stack([real, imag]), say), or to a copy"
        )
    return positions


def _write(root: Any, tensor: Any, sharers: list[Any], index: Any, value: Any, assign: Callable[[Any, Any, Any], None]) -> None:
    """The new values of all, computed aside, and handed out at once."""
    views = [view for view in sharers if view is not root]
    places = [_positions_of(root, view) for view in views]
    changed = handle(tensor._array, tensor.node)
    if tensor is root:
        assign(changed, index, value)
        whole = changed
    else:
        own = _positions_of(root, tensor)
        assign(changed, index, value)
        whole = handle(root._array, root.node)
        assign(whole, np.unravel_index(own, root.shape) if root.shape else (), changed if root.shape else changed.reshape(()))
    keeps_history = current_mode() is NOT_RECORDING and isinstance(root.node, Leaf)
    flat = whole.reshape(-1)
    new = {id(root): (root, whole)} | ({} if tensor is root else {id(tensor): (tensor, changed)})
    new |= {id(view): (view, flat[positions]) for view, positions in zip(views, places, strict=True)}
    arrays = {key: _laid_out(made._array, old._array, whole._array, root._array) for key, (old, made) in new.items()}
    memory = root.handed_out
    fresh = Memory(root, bool(memory))
    fresh.places = memory.places
    settings = []
    for key, (old, made) in new.items():
        node = old.node if keeps_history else made.node
        settings += [(old, "_array", arrays[key]), (old, "node", node), (old, "handed_out", fresh)]
    deque(map(setattr, *zip(*settings, strict=True)), maxlen=0)


def _laid_out(values: Any, view: Any, whole: Any, root: Any) -> Any:
    """`values` as a view of `whole`, where `view` was one of `root`: whether a later reshape of it is a view, its strides decide."""
    if isinstance(values, ArrayLayer) and values.memory is not None:  # it is being recorded
        shown = _laid_out(*map(memory_of, (values, view, whole, root)))
        return values if shown is values.memory or values is whole else whole.window(shown)
    if isinstance(values, ArrayLayer):
        layers = (values, view, whole, root)
        if any(type(layer) is not type(values) or layer.level != values.level for layer in layers):
            return values
        return values if whole is values else values.rebuilt([_laid_out(*parts) for parts in zip(*(layer.parts for layer in layers), strict=True)])
    if isinstance(values, np.generic):
        values = np.asarray(values)  # one element, of which there may be views again
    if whole is values or not all(isinstance(a, np.ndarray) for a in (values, view, whole, root)):
        return values
    if whole.strides != root.strides or not np.may_share_memory(view, root):
        return values
    offset = view.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    try:
        return np.ndarray(view.shape, view.dtype, whole.ravel(order="K"), offset, view.strides)
    except (ValueError, TypeError):  # the root is no block of memory by itself
        return values
