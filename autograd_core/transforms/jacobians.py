"""Whole Jacobians from one evaluation: the passes for all rows, or all columns, made as one on batches.

A row is the backward pass from a unit vector, a column the forward pass. Both are linear, so an identity matrix as a batch of
unit vectors gives all of them in one pass, by the same rules (arrays/batching/array.py). With few inputs the columns come out of the
evaluation itself, which then carries a batch of derivatives forward (duals.py), and nothing is recorded for a second pass.

Complex numbers. As maps of real and imaginary parts derivatives have two passes for a complex unit: from 1 and from i. To a
real result belongs df/dRe + i df/dIm, as with `grad`; a complex result of real numbers has a complex derivative; and one of complex
numbers has one number per pair only if the function is complex differentiable there, which is checked.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import Batched, BatchingError
from autograd_core.arrays.batching.table import broadcast_payload
from autograd_core.arrays.duals import ForwardModeError
from autograd_core.arrays.layers import for_all, new_level
from autograd_core.arrays.trees import flatten
from autograd_core.tape.node import program_order
from autograd_core.tensor.handles import plain
from autograd_core.tensor.tensor import Tensor, tensor
from autograd_core.transforms.evaluation import Call, DualCall, Linearised
from autograd_core.transforms.vmap import map_over

__all__ = ["jacobian_blocks"]

LARGEST = 1 << 20  # elements of one batched gradient; passes over larger ones are made in parts
FEW = 8  # inputs, up to which a forward evaluation with all of their tangents costs less than recording it


def jacobian_blocks(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], positions: Sequence[int]) -> tuple[Call, Any]:
    """One evaluation, and the blocks [output][input] of its Jacobian, each of shape output.shape + input.shape."""
    found = _forward(function, args, kwargs, positions)
    if found is not None:
        return found
    call = Call("jacobian", function, args, kwargs, positions)
    _check_floats(call)
    outputs, inputs = sum(t.size for t in call.tensors), sum(v.size for v in call.variables)
    return call, _by_rows(call) if outputs <= inputs else _by_columns(call)


def _check_floats(call: Call) -> None:
    if any(t.dtype.kind not in "fc" for t in call.tensors):
        raise TypeError(f"jacobian: the function must return floats, it returned {', '.join(str(t.dtype) for t in call.tensors)}")


def _forward(function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], positions: Sequence[int]) -> tuple[Call, Any] | None:
    """The Jacobian out of an evaluation that carries all tangents forward; None where there are many, or it cannot be."""
    leaves = flatten([args[i] for i in positions])[0]
    count = sum(math.prod(np.shape(leaf)) for leaf in leaves)
    if not 0 < count <= FEW or any(getattr(leaf, "dtype", np.dtype(float)).kind != "f" for leaf in leaves) or not DualCall.applies(args, ()):
        return None
    try:
        call = _AllTangents(function, args, kwargs, positions, leaves)
    except (ForwardModeError, BatchingError):  # a value that carries no derivative forward, a rule that needs Python values
        return None
    _check_floats(call)
    return call, [call.columns_apart(t) for t in call.tensors]


class _AllTangents(DualCall):
    """An evaluation whose tangent is the batch of all unit vectors of the inputs together."""

    def __init__(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], positions: Sequence[int], leaves: Sequence[Any]
    ) -> None:
        sizes = [math.prod(np.shape(leaf)) for leaf in leaves]
        ends = list(itertools.accumulate(sizes))
        self.count = ends[-1]
        self.batch_level = new_level()
        self.places = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        units = [np.eye(self.count)[:, place].reshape((self.count, *np.shape(leaf))) for place, leaf in zip(self.places, leaves, strict=True)]
        tangents = [Batched(u.astype(getattr(leaf, "dtype", float)), self.batch_level) for u, leaf in zip(units, leaves, strict=True)]
        super().__init__("jacobian", function, args, kwargs, positions, tangents)

    def columns_apart(self, t: Tensor) -> list[Any]:
        """The derivative of a result for all inputs, as a block for each of them."""
        columns = np.moveaxis(broadcast_payload(self.derivative(t), self.batch_level, self.count), 0, -1)
        return [tensor(columns[..., place].reshape(t.shape + v.shape)) for place, v in zip(self.places, self.variables, strict=True)]


def _by_rows(call: Call) -> list[list[Any]]:
    blocks = []
    passes = _all_passes(call, call.tensors, lambda gs, recorded: call.pull(gs, create_graph=recorded, retain_graph=True))
    for t, (of_one, of_i) in zip(call.tensors, passes, strict=True):
        row = []
        for k, v in enumerate(call.variables):
            real = _joined(of_one[k], t.shape + v.shape, v)
            if of_i is None:
                row.append(real)
            else:
                imaginary = _joined(of_i[k], t.shape + v.shape, v)
                row.append(_complex_derivative(real, imaginary).conjugate() if v.dtype.kind == "c" else real + imaginary * 1j)
        blocks.append(row)
    return blocks


def _by_columns(call: Call) -> list[list[Any]]:
    push = Linearised(call)
    blocks: list[list[Any]] = [[] for _ in call.tensors]
    passes = _all_passes(call, call.variables, lambda tangents, recorded: push(tangents, create_graph=recorded))
    for v, (of_one, of_i) in zip(call.variables, passes, strict=True):
        for k, t in enumerate(call.tensors):
            block = _joined(of_one[k], (v.size, *t.shape), t)
            if of_i is not None:
                other = _joined(of_i[k], (v.size, *t.shape), t)
                block = _complex_derivative(block, other) if t.dtype.kind == "c" else block + other * 1j
            blocks[k].append(np.moveaxis(block, 0, -1).reshape(t.shape + v.shape))
    return blocks


def _complex_derivative(of_one: Any, of_i: Any) -> Any:
    """What 1 becomes, if i becomes i times that: then the function has a complex derivative. ValueError if not."""
    one, i = plain(of_one), plain(of_i)
    tolerance = float(np.finfo(one.dtype).eps) ** 0.5
    if not for_all(np.abs(i - 1j * one) <= tolerance * (1 + np.abs(one))):
        raise ValueError(
            "jacobian: the function of complex numbers is not complex differentiable here, so no single number per element is its derivative; "
            "write it as a function of real and imaginary parts, or use vjp or jvp"
        )
    return of_one


_Parts = list[list[Any]]  # for each result of a pass, the parts of it that were computed one after the other


def _all_passes(call: Call, ends: Sequence[Tensor], run: Callable[[Sequence[Any], bool], list[Any]]) -> Iterator[tuple[_Parts, _Parts | None]]:
    """For each of `ends`, what the passes from its unit vectors give, unit vectors first; if it is complex, also those from i."""
    largest = max((node.size for node in _operations(call)), default=1)
    step = max(1, LARGEST // max(largest, 1))
    for end in ends:
        of_one, of_i = (_passes(call, ends, end, factor, step, run) for factor in (1, 1j)) if end.dtype.kind == "c" else (None, None)
        yield of_one or _passes(call, ends, end, 1, step, run), of_i


def _passes(call: Call, ends: Sequence[Tensor], end: Tensor, factor: Any, step: int, run: Callable[[Sequence[Any], bool], list[Any]]) -> _Parts:
    found: _Parts = [[] for _ in (call.variables if ends is call.tensors else call.tensors)]
    for start in range(0, end.size, step):
        units = _units(end, start, min(start + step, end.size)) * factor
        for parts, part in zip(found, _one_pass(call, ends, end, units, run), strict=True):
            parts.append(part)
    return found


def _operations(call: Call) -> Iterator[Any]:
    operations, _ = program_order([t.node for t in call.tensors if t.node is not None])
    return (node for node in operations if isinstance(node.dtype, np.dtype))  # not those with several results, which have none


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
    return [broadcast_payload(r, level, size) for r in results]


def _joined(parts: list[Any], shape: tuple[int, ...], like: Tensor) -> Any:
    if not parts:
        return tensor(np.zeros(shape, dtype=like.dtype))
    whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
    whole = whole if isinstance(whole, Tensor) else tensor(whole)
    return whole.reshape(shape)
