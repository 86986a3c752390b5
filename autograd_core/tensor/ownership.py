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
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.arrays.layers import instances_in, owns_memory, sequence_like
from autograd_core.tape.guard import fingerprint, full_fingerprint, note_handed_out
from autograd_core.tape.mode import RECORDING, Instrument
from autograd_core.tape.node import next_number
from autograd_core.tape.plan import OUT, Plan
from autograd_core.tensor.handles import Handle

__all__ = [
    "HandedOut",
    "guarded",
    "hand_out",
    "is_writeable",
    "note_views",
    "own_array",
    "own_tensor",
    "read_only",
    "share_memory_of",
    "share_memory_with",
]

COPIED = 16_384  # bytes up to which an array is quicker copied than looked at before and after

# --- what the user can reach ----------------------------------------------------------------------------------------------


class HandedOut:
    """Whether the memory that several tensors share was handed out to the user: in `handed_out` instead of a bool."""

    __slots__ = ("yes",)

    def __init__(self, yes: bool) -> None:
        self.yes = yes

    def __bool__(self) -> bool:
        return self.yes


def hand_out(tensor: Any) -> Any:
    """The tensor's array, for the user to do with as he likes.

    If somebody else holds it, who may be a node that saved it, that one keeps it, and the tensor gets a copy. A view stays a view
    of its memory, so what it looks like now is noted instead. From then on, what saves the array looks after itself (`guarded`).
    """
    if isinstance(tensor._array, np.generic):
        # Scalars are kept as NumPy scalars, ten times as quick as 0-d arrays, until somebody wants the array.
        tensor._array = np.asarray(tensor._array)
    shared = tensor.handed_out
    if not shared:
        if isinstance(shared, HandedOut) or getattr(tensor._array, "base", None) is not None:
            note_handed_out(tensor._array, next_number())
        elif isinstance(tensor._array, np.ndarray) and not _is_held_by(tensor):
            tensor._array = np.array(tensor._array, order="K")
        if isinstance(shared, HandedOut):
            shared.yes = True
        else:
            tensor.handed_out = True
    return tensor._array


def share_memory_of(tensor: Any, view: Any) -> None:
    """Let `view` and `tensor`, whose memory it shows, know of one another: what is handed out of one is handed out of both."""
    if not isinstance(tensor.handed_out, HandedOut):
        tensor.handed_out = HandedOut(tensor.handed_out)
    view.handed_out = tensor.handed_out


def note_views(args: Any, result: Any) -> None:
    """Let each tensor in `result` that is a view know of the arguments whose memory it shows."""
    for part in instances_in(result, Handle):
        if getattr(part._array, "base", None) is not None:
            _share_memory(args, part)


def _share_memory(args: Any, view: Any) -> None:
    """`share_memory_of` the tensor among `args` whose memory `view` shows."""
    data = view._array
    for value in instances_in(args, Handle):
        if isinstance(value._array, np.ndarray) and np.may_share_memory(value._array, data):
            share_memory_of(value, view)
            return
    # Not all arrays with a base are views of an argument: tensordot reshapes what it has just computed.
    view.handed_out = any(np.may_share_memory(array, data) for array in instances_in(args, np.ndarray))


def share_memory_with(args: Any, result: Any) -> None:
    """The same for all tensors of `result`, views or not: a function that was called may return an argument as it is."""
    for part in instances_in(result, Handle):
        if isinstance(part._array, np.ndarray):
            _share_memory(args, part)


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
    if isinstance(value, np.ndarray):
        if value.nbytes > COPIED:
            return fingerprint(value)
        saved[at] = np.array(value, order="K")
    elif isinstance(value, tuple | list):
        saved[at] = sequence_like(value, [np.array(v, order="K") if isinstance(v, np.ndarray) and v.nbytes <= COPIED else v for v in value])
        prints = [fingerprint(v) if isinstance(v, np.ndarray) and v.nbytes > COPIED else None for v in value]
        return prints if any(prints) else None
    return None


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
    """Whether the tensor's array can be written to: no node saved it, no view of it is alive, the user does not hold it."""
    return _is_held_by(tensor) and owns_memory(tensor._array)


def _references(g: Any) -> int:
    return sys.getrefcount(g)


def _references_when_alone() -> int:
    g = np.empty(0)
    return _references(g)


_ALONE = _references_when_alone()


def own_array(g: Any) -> Any:
    """`g` as an array that nobody else holds and that can be written to: itself if its caller's name is the only one, else a copy."""
    if isinstance(g, np.generic):
        return g
    if isinstance(g, np.ndarray):
        return g if sys.getrefcount(g) <= _ALONE and g.base is None and g.flags.writeable else np.array(g, order="K")
    return g if sys.getrefcount(g) <= _ALONE and owns_memory(g) else g.copy()


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
