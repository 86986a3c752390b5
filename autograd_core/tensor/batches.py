"""Loops over a batch that are recorded: for rules and compositions of tensors that cannot take all elements at once.

An element is taken out of a batch, and a batch is put together, by operations of their own; each is the other's rule, so
gradients of any order go through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from autograd_core.arrays.batching.array import Batched, BatchingError
from autograd_core.arrays.batching.axes import among_zeros, element_of, has_level, put_together
from autograd_core.arrays.batching.loop import batches_in, joined
from autograd_core.arrays.layers import sequence_like
from autograd_core.tape.op import Op
from autograd_core.tensor.apply import apply
from autograd_core.tensor.handles import Handle

__all__ = ["recorded_loop"]


def recorded_loop(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], error: BatchingError) -> Any:
    """`function` for one element of the innermost batch after the other, where the batches may be in tensors.

    error  : why it is needed; raised if there is no batch
    raises : BatchingError for results that differ in shape
    """
    found = list(_batches((args, kwargs)))
    if not found:
        raise error
    level = max(batch.level for batch in found)
    (size,) = {len(batch.payload) for batch in found if batch.level == level}
    name = str(getattr(function, "__name__", None) or repr(function))
    rows = []
    for i in range(size):
        own_args, own_kwargs = _element((args, kwargs), level, i, size)
        rows.append(function(*own_args, **own_kwargs))
    if not rows:
        raise BatchingError(f"{name}: needs Python values, of which an empty batch has none")
    return joined(rows, name, lambda rows: _stacked(rows, level))


def _stacked(rows: Sequence[Any], level: int) -> Any:
    tracked = any(isinstance(row, Handle) for row in rows)
    return apply(_put_together, (list(rows), level), {}) if tracked else put_together(rows, level)


def _batches(values: Any) -> Iterator[Batched]:
    """The batches in `values`, a nest, also those in tensors."""
    if isinstance(values, Handle):
        yield from batches_in(values._array)
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _batches(value)
    elif isinstance(values, dict):
        yield from _batches(list(values.values()))
    else:
        yield from batches_in(values)


def _element(values: Any, level: int, i: int, size: int) -> Any:
    """`values` with element `i` in place of each batch of `level`, taken from tensors by a recorded operation.

    From a tracked tensor that is the same over the batch too: its gradient then is that of element `i`.
    """
    if isinstance(values, Handle):
        return apply(_take, (values, level, i, size), {}) if values.node is not None or has_level(values._array, level) else values
    if isinstance(values, tuple | list):
        parts = [_element(value, level, i, size) for value in values]
        return sequence_like(values, parts)
    if isinstance(values, dict):
        return {key: _element(value, level, i, size) for key, value in values.items()}
    return element_of(values, level, i)


def _either(op: Op, compute: Callable[..., Any]) -> Callable[..., Any]:
    """`compute` of arrays, recorded as `op` of tensors."""
    return lambda x, *rest: apply(op, (x, *rest), {}) if isinstance(x, Handle) else compute(x, *rest)


def _taken_array(batch: Any, level: int, i: int, size: int) -> Any:
    return element_of(batch, level, i)


# They stand in no table: nobody calls them by name.
_take = Op(_taken_array, name="element of a batch", signature="batch, level, i, size")
_place = Op(among_zeros, name="element among zeros", signature="g, level, i, size")
_put_together = Op(put_together, name="batch", signature="parts, level")

_taken, _placed = _either(_take, _taken_array), _either(_place, among_zeros)
_take.define({"batch": lambda g, level, i, size: _placed(g, level, i, size)})
_place.define({"g": lambda g, level, i, size: _taken(g, level, i, size)})
_put_together.define({"parts": lambda g, like, level: [_taken(g, level, i, len(like)) for i in range(len(like))]})
