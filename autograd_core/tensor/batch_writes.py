"""What is written to while a function is mapped (`ag.vmap`): a value of the outside cannot take a batch, which would outlive the call.

A tensor that the function makes itself may be filled with batches. It is gone when the function returns, or is a result; one that
is still there then, and no result, is of the outside. It gets its value back, and the call raises.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from autograd_core.arrays.batching.array import BatchingError
from autograd_core.arrays.batching.axes import has_level

__all__ = ["noting_writes", "restore_the_outside", "writing"]

Write = tuple[Any, Any, Any]  # weak reference to the tensor, its array and its node as they were before

_writes: ContextVar[list[Write] | None] = ContextVar("autograd_core_batch_writes", default=None)


@contextmanager
def noting_writes() -> Iterator[list[Write]]:
    """Around a map's evaluation of its function: what is written to."""
    noted: list[Write] = []
    token = _writes.set(noted)
    try:
        yield noted
    finally:
        _writes.reset(token)


def writing(tensor: Any) -> None:
    """Note that `tensor` is about to get a value of another kind of array than it had."""
    noted = _writes.get()
    if noted is not None:
        noted.append((weakref.ref(tensor), tensor._array, tensor.node))


def restore_the_outside(noted: list[Write], results: Sequence[Any], level: int) -> None:
    """Give tensors that are no results, and hold a batch of `level`, their values back.

    raises : BatchingError that tells of which shape one was, if there is one
    """
    if not noted:
        return
    if _outside(noted, results, level):
        gc.collect()  # one that the function made itself may be held by garbage
    left = _outside(noted, results, level)
    for tensor, array, node in left:
        tensor._array, tensor.node = array, node
    if left:
        raise BatchingError(
            f"vmap: the function wrote a value that differs over the batch into a tensor of shape {left[0][0].shape} that lives on outside of it, "
            "and can hold only one; return the value instead (and make tensors to be filled inside of the function)"
        )


def _outside(noted: list[Write], results: Sequence[Any], level: int) -> list[Write]:
    found = [(reference(), array, node) for reference, array, node in reversed(noted)]  # the first write comes last: it is what is restored
    return [entry for entry in found if entry[0] is not None and not any(entry[0] is r for r in results) and _holds(entry[0], level)]


def _holds(tensor: Any, level: int) -> bool:
    return has_level(tensor._array, level)
