"""Whole Jacobians from one evaluation: the passes for all rows, or all columns, made as one on batches.

A row is the backward pass from a unit vector, a column the forward pass. Both are linear, so an identity matrix as a batch of
unit vectors gives all of them in one pass, by the same rules (batching/array.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autograd_core.batching.array import Batched
from autograd_core.evaluation import Call, Linearised
from autograd_core.layers import new_level
from autograd_core.mapping import map_over
from autograd_core.node import program_order
from autograd_core.tensor import Tensor, tensor

__all__ = ["jacobian_blocks"]

LARGEST = 1 << 20  # elements of one batched gradient; passes over larger ones are made in parts


def jacobian_blocks(call: Call) -> list[list[Any]]:
    """The blocks [output][input] of the Jacobian of an evaluation, each of shape output.shape + input.shape."""
    outputs, inputs = sum(t.size for t in call.tensors), sum(v.size for v in call.variables)
    return _by_rows(call) if outputs <= inputs else _by_columns(call)


def _by_rows(call: Call) -> list[list[Any]]:
    rows = _all_passes(call, call.tensors, lambda gs, recorded: call.pull(gs, create_graph=recorded, retain_graph=True))
    return [
        [_joined(parts, t.shape + v.shape, v) for parts, v in zip(found, call.variables, strict=True)]
        for found, t in zip(rows, call.tensors, strict=True)
    ]


def _by_columns(call: Call) -> list[list[Any]]:
    push = Linearised(call)
    columns = _all_passes(call, call.variables, lambda tangents, recorded: push(tangents, create_graph=recorded))
    blocks: list[list[Any]] = [[] for _ in call.tensors]
    for v, found in zip(call.variables, columns, strict=True):
        for block, parts, t in zip(blocks, found, call.tensors, strict=True):
            block.append(np.moveaxis(_joined(parts, (v.size, *t.shape), t), 0, -1).reshape(t.shape + v.shape))
    return blocks


def _all_passes(call: Call, ends: Sequence[Tensor], run: Callable[[Sequence[Any], bool], list[Any]]) -> Iterator[list[list[Any]]]:
    """For each of `ends`: for each result of `run`, the parts of what the passes from its unit vectors gave, unit vectors first."""
    largest = max((node.size for node in _operations(call)), default=1)
    step = max(1, LARGEST // max(largest, 1))
    for end in ends:
        found: list[list[Any]] = []
        for start in range(0, end.size, step):
            units = _units(end, start, min(start + step, end.size))
            results = _one_pass(call, ends, end, units, run)
            found = [[part] for part in results] if not found else [[*parts, part] for parts, part in zip(found, results, strict=True)]
        yield found or [[] for _ in (call.variables if ends is call.tensors else call.tensors)]


def _operations(call: Call) -> Iterator[Any]:
    operations, _ = program_order([t.node for t in call.tensors if t.node is not None])
    return (node for node in operations if not isinstance(node.shape, list) and isinstance(node.dtype, np.dtype))


def _units(like: Tensor, start: int, stop: int) -> Any:
    """Unit vectors number `start` to `stop` in the shape of `like`, stacked."""
    units = np.zeros((stop - start, like.size), dtype=like.dtype)
    units[np.arange(stop - start), np.arange(start, stop)] = 1
    return units.reshape((stop - start, *like.shape))


def _one_pass(call: Call, ends: Sequence[Tensor], end: Tensor, units: Any, run: Callable[[Sequence[Any], bool], list[Any]]) -> list[Any]:
    """The results of a pass from `units` at `end` and zeros at the other ends, with the batch's axis first."""

    def only(unit: Any) -> list[Any]:
        return [unit if other is end else np.zeros_like(other._array) for other in ends]

    size = len(units)
    if call.recorded:
        return map_over(lambda parts: run(only(parts[0]), True), [units], size)
    level = new_level()
    results = [r._array if isinstance(r, Tensor) else r for r in run(only(Batched(units, level)), False)]
    return [r.payload if isinstance(r, Batched) and r.level == level else np.broadcast_to(r, (size, *np.shape(r))) for r in results]


def _joined(parts: list[Any], shape: tuple[int, ...], like: Tensor) -> Any:
    if not parts:
        return tensor(np.zeros(shape, dtype=like.dtype))
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    whole = whole if isinstance(whole, Tensor) else tensor(whole)
    return whole.reshape(shape)
