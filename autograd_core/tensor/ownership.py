"""Whose array is it? All that is asked before an array is written to, handed on, or kept by the tape.

* An array that the user can reach (given as an argument, or handed out by `t.data`) may be changed before the backward pass. A
  node that saves it saves a copy, if it is small, or else a fingerprint too (tape/guard.py).
* An array that only one tensor holds can be written to by item assignment without copying it.
* A gradient that only the sweep holds can become a leaf's `grad` without copying it.

The last two are told by counting references. How many a call itself holds differs between versions of Python: it is asked once,
of an array that is known to be held alone.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.arrays.layers import ArrayLayer, instances_in, memory_of, owns_memory, sequence_like
from autograd_core.tape.guard import fingerprint, full_fingerprint, note_handed_out
from autograd_core.tape.mode import RECORDING, Follower, Instrument, follower
from autograd_core.tape.node import Leaf, next_number
from autograd_core.tape.plan import OUT, Plan
from autograd_core.tensor.handles import Handle, raw

__all__ = [
    "Memory",
    "copied",
    "guarded",
    "hand_out",
    "is_view",
    "is_writeable",
    "note_views",
    "own_array",
    "own_tensor",
    "read_only",
    "share_memory_of",
    "share_memory_with",
    "shows",
]

COPIED = 16_384  # bytes up to which an array is quicker copied than looked at before and after

# --- what the user can reach ----------------------------------------------------------------------------------------------


class Memory(list[bool]):
    """What tensors that share memory know of one another, in each one's `handed_out`: true (not empty) once it was handed out.

    A list, because an empty one is false at the speed of C: operations ask at each call.

    root    the tensor that was there first, and shows all of the memory
    shape   its shape
    places  the others by id: (weak reference, place of what it is a view of or None for the root, function, arguments): see views.py
    """

    __slots__ = ("places", "root", "shape")

    def __init__(self, root: Any, handed_out: bool) -> None:
        super().__init__([True] if handed_out else [])
        self.root: Any = weakref.ref(root)
        self.shape = root._array.shape
        self.places: dict[int, Place] = {}

    def add(self, view: Any, of: Any, function: Any, arguments: tuple[Any, ...]) -> None:
        """Let `view`, which is `function(of, *arguments)`, be one that shares this memory."""
        places = self.places
        if len(places) >= MANY_PLACES and not len(places) & (len(places) - 1):  # at each doubling
            for key, place in list(places.items()):
                if place[0]() is None:
                    places.pop(key, None)
        root = self.root()
        behind = None if of is root else places.get(id(of), UNKNOWN)
        view.handed_out = self
        places[id(view)] = (weakref.ref(view), behind, function, arguments)


Place = tuple[Any, Any, Any, tuple[Any, ...]]
UNKNOWN: Place = (lambda: None, None, None, ())  # of a tensor of which only that is known that it shares the memory
MANY_PLACES = 64


def hand_out(tensor: Any) -> Any:
    """The tensor's array, for the user to do with as he likes.

    If somebody else holds it, who may be a node that saved it, that one keeps it, and the tensor gets a copy. A view stays a view
    of its memory, so what it looks like now is noted instead. From then on, what saves the array looks after itself (`guarded`).
    """
    if isinstance(tensor._array, np.generic):
        # Scalars are kept as NumPy scalars, ten times as quick as 0-d arrays, until somebody wants the array.
        tensor._array = np.asarray(tensor._array)
    elif isinstance(tensor._array, ArrayLayer) and tensor._array.saved_by_copy:
        # It is being recorded (compiling/): whether somebody else holds it cannot be told by counting.
        array, memory = tensor._array, tensor.handed_out
        if array.is_scalar or not (memory or type(memory) is Memory or array.memory.base is not None):
            tensor._array = array.apart()
    shared = tensor.handed_out
    if not shared:
        if type(shared) is Memory or getattr(tensor._array, "base", None) is not None:
            note_handed_out(tensor._array, next_number())
        elif isinstance(tensor._array, np.ndarray) and not _is_held_by(tensor):
            tensor._array = np.array(tensor._array, order="K")
        if type(shared) is Memory:
            shared.append(True)
        else:
            tensor.handed_out = True
    return tensor._array


def is_view(data: Any, tensor: Any) -> bool:
    """Whether `data`, a result of `tensor`, shows its memory; or is its array, as of a function with nothing to do (np.squeeze).

    Of layers their plain arrays tell. One number for each element of a batch is an array there, and to the program a scalar, of which
    NumPy has no views, unless it is a view itself.
    """
    array = tensor._array
    if isinstance(array, ArrayLayer) and not tensor.ndim and memory_of(array).ndim and type(tensor.handed_out) is not Memory:
        return False
    data, array = memory_of(data), memory_of(array)
    return isinstance(data, np.ndarray) and isinstance(array, np.ndarray) and np.may_share_memory(data, array)


def shows(data: Any, tensor: Any) -> bool:
    """The same of what an index or a reshape gives, in less time. A leaf of one number is a place, although it is kept as a scalar."""
    base, array = getattr(data, "base", None), tensor._array
    if base is None:
        return isinstance(data, ArrayLayer) and is_view(data, tensor)
    # A copy may have a base too: reshape makes a view of what it has just copied.
    return base is array or base is getattr(array, "base", None) or (isinstance(tensor.node, Leaf) and isinstance(array, np.generic))


def share_memory_of(tensor: Any, view: Any, function: Any, arguments: tuple[Any, ...]) -> None:
    """Let `view`, which is `function(tensor, *arguments)`, and `tensor` know of one another: what happens to the memory of one happens to both."""
    memory = tensor.handed_out
    if type(memory) is not Memory:
        memory = tensor.handed_out = Memory(tensor, memory)
    memory.add(view, tensor, function, arguments)


def note_views(function: Any, args: Any, kwargs: Any, result: Any) -> None:
    """Let each tensor in `result`, of `function(*args, **kwargs)`, that is a view know of the argument whose memory it shows."""
    for i, part in enumerate(instances_in(result, Handle)):
        array = part._array
        if isinstance(array, ArrayLayer) or getattr(array, "base", None) is not None or any(array is raw(value) for value in args):
            _share_memory(function, args, kwargs, part, i if isinstance(result, tuple | list) else None)


def _share_memory(function: Any, args: Any, kwargs: Any, view: Any, part: int | None) -> None:
    """`share_memory_of` the tensor among the arguments whose memory `view` shows."""
    data = view._array
    for value in instances_in((args, kwargs), Handle):
        if value is not view and is_view(data, value):
            if function is None:
                share_memory_of(value, view, None, ())
            else:
                share_memory_of(value, view, _called_again, (function, _without_arrays(args, value), _without_arrays(kwargs, value), part))
            return
    # Not all arrays with a base are views of an argument: tensordot reshapes what it has just computed.
    data = memory_of(data)
    view.handed_out = any(np.may_share_memory(array, data) for array in instances_in((args, kwargs), np.ndarray))


class _Viewed:
    """Stands in recorded arguments for the tensor of which the result is a view."""


VIEWED = _Viewed()


def _without_arrays(values: Any, viewed: Any) -> Any:
    """Arguments to call a function again with: `VIEWED` in place of a tensor, the arrays of other tensors, all else as it is."""
    if values is viewed:
        return VIEWED
    if isinstance(values, tuple | list):
        return sequence_like(values, [_without_arrays(value, viewed) for value in values])
    if isinstance(values, dict):
        return {key: _without_arrays(value, viewed) for key, value in values.items()}
    return values._array if isinstance(values, Handle) else values


def _with(values: Any, positions: Any) -> Any:
    if values is VIEWED:
        return positions
    if isinstance(values, tuple | list):
        return sequence_like(values, [_with(value, positions) for value in values])
    return {key: _with(value, positions) for key, value in values.items()} if isinstance(values, dict) else values


def _called_again(positions: Any, function: Any, args: Any, kwargs: Any, part: int | None) -> Any:
    """What `function` makes of positions in place of elements."""
    result = (getattr(*function) if isinstance(function, tuple) else function)(*_with(args, positions), **_with(kwargs, positions))
    return result if part is None else result[part]


def share_memory_with(args: Any, result: Any) -> None:
    """The same for all tensors of `result`, views or not: a function that was called may return an argument as it is."""
    for part in instances_in(result, Handle):
        if isinstance(memory_of(part._array), np.ndarray):
            _share_memory(None, args, {}, part, None)


def guarded(plan: Plan, saved: list[Any], reachable: int, mode: Instrument) -> Plan:
    """See to it that what a node saves stays as it is, or that a change is noticed; returns the plan of the node.

    What the user can change is saved as a copy if it is small, and with a fingerprint if it is not.

    reachable : a bit for each argument whose array the user can change (-1 for all)
    """
    if mode is not RECORDING and mode.guards_memory:
        prints = tuple(_fingerprints(full_fingerprint, v) for v in saved)
        saved.append((prints, full_fingerprint, mode.line()))
        return plan.with_guard
    if reachable and plan.keeps:
        prints = tuple(
            _secured(saved, at) if isinstance(save, int) and save != OUT and reachable >> save & 1 else None for at, save in enumerate(plan.saves)
        )
        if any(prints):
            saved.append((prints, fingerprint, None))
            return plan.with_guard
    return plan


def _secured(saved: list[Any], at: int) -> Any:
    """Copy the array at `at`, or the arrays in a sequence there; the fingerprints of those that are too large for it, if any."""
    value = saved[at]
    told = follower()
    if told is not None:
        saved[at] = _told_copies(value, told)
        return None
    if isinstance(value, np.ndarray):
        if value.nbytes > COPIED:
            return fingerprint(value)
        saved[at] = np.array(value, order="K")
    elif isinstance(value, tuple | list):
        saved[at] = sequence_like(value, [np.array(v, order="K") if isinstance(v, np.ndarray) and v.nbytes <= COPIED else v for v in value])
        prints = [fingerprint(v) if isinstance(v, np.ndarray) and v.nbytes > COPIED else None for v in value]
        return prints if any(prints) else None
    return None


def _told_copies(value: Any, told: Follower) -> Any:
    """Copies of the arrays in `value`, of which whoever follows the recording is told."""
    if isinstance(value, tuple | list):
        return sequence_like(value, [_told_copies(v, told) for v in value])
    if isinstance(value, np.ndarray):
        copy = np.array(value, order="K")
        told.note_copy(copy, value)
        return copy
    return value.apart() if isinstance(value, ArrayLayer) and value.saved_by_copy and not value.is_scalar else value


def _fingerprints(take: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, tuple | list):
        prints = [take(v) for v in value]
        return prints if any(prints) else None
    return take(value)


# --- what nobody else holds -----------------------------------------------------------------------------------------------


def _references_to_array(tensor: Any) -> int:
    return sys.getrefcount(tensor._array)


def _references_of_a_tensor() -> int:
    tensor = Handle()
    tensor._array = np.empty(1)
    return _references_to_array(tensor)


_HELD_BY_TENSOR = _references_of_a_tensor()


def _is_held_by(tensor: Any) -> bool:
    """Whether only `tensor` holds its array; its caller must have no name for it."""
    return _references_to_array(tensor) <= _HELD_BY_TENSOR


def is_writeable(tensor: Any) -> bool:
    """Whether the tensor's array can be written to: no node saved it or a view of it, and the user does not hold it.

    Views that are tensors' are counted off: whoever writes sees to them (views.py).
    """
    memory = tensor.handed_out
    if type(memory) is Memory and not memory and memory.root() is tensor and not _is_held_by(tensor):
        showing = 0
        for place in list(memory.places.values()):
            view: Any = place[0]()
            if view is not None and view.handed_out is memory and getattr(view._array, "base", None) is tensor._array:
                showing += _is_held_by(view)
        return _references_to_array(tensor) <= _HELD_BY_TENSOR + showing and owns_memory(tensor._array)
    return _is_held_by(tensor) and owns_memory(tensor._array)


def copied(array: Any) -> Any:
    """A copy in the same layout."""
    return array.copy(order="K") if isinstance(array, np.ndarray) else array.copy()


def _references(g: Any) -> int:
    return sys.getrefcount(g)


def _references_when_alone() -> int:
    g = np.empty(0)
    return _references(g)


_ALONE = _references_when_alone()


def own_array(g: Any) -> Any:
    """`g` as an array that nobody else holds and that can be written to: itself if its caller's name is the only one, else a copy."""
    if isinstance(g, np.ndarray):
        return g if sys.getrefcount(g) <= _ALONE and g.base is None and g.flags.writeable else np.array(g, order="K")
    return g if isinstance(g, np.generic) or (sys.getrefcount(g) <= _ALONE and owns_memory(g)) else g.copy()


def own_tensor(g: Any, taken: set[int]) -> Any:
    """The tracked gradient `g` as a tensor with an array of its own: itself, unless it is `taken` already or a view; then a recorded copy."""
    data = g._array
    if id(g) in taken or (isinstance(data, np.ndarray) and not (data.base is None and data.flags.writeable)):
        g = +g
    taken.add(id(g))
    return g


def read_only(g: Any) -> Any:
    """A view that a hook cannot write to: the same array may be on its way to other nodes."""
    if not isinstance(g, np.ndarray):
        return g
    view = g.view()
    view.flags.writeable = False
    return view
