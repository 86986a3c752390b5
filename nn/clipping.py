"""Clipping of gradients, in place, between `backward()` and `step()`.

torch's `foreach`, a choice between its ways to compute, is accepted and changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextvars import copy_context
from functools import partial
from types import GeneratorType
from typing import Any

import numpy as np

import autograd_core as ag
from nn.at_once import at_once

__all__ = ["clip_grad_adaptive_", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

Tensors = ag.Tensor | Iterable[ag.Tensor]


def _checked(name: str, tensors: Tensors) -> list[Any]:
    """The tensors in a list. ValueError for an iterator that was used up: nothing would be done, and nobody would know."""
    if isinstance(tensors, ag.Tensor):
        return [tensors]
    used_up = isinstance(tensors, GeneratorType) and tensors.gi_frame is None
    listed = list(tensors)
    if used_up or (not listed and isinstance(tensors, Iterator) and not isinstance(tensors, GeneratorType)):
        raise ValueError(f"{name}: got no parameters; the iterator was used up already, so call model.parameters() anew or make a list of it")
    return listed


def _array(tensor: Any) -> Any:
    return tensor.data if isinstance(tensor, ag.Tensor) else tensor  # a gradient may be an array that a user has put there


def _listed(name: str, parameters: Tensors) -> list[Any]:
    """The parameters that have a gradient."""
    return [p for p in _checked(name, parameters) if p.grad is not None]


def _bound(name: str, what: str, value: float) -> float:
    if not value >= 0:
        raise ValueError(f"{name}: {what} must be a number >= 0, not {value!r}")
    return float(value)


def get_total_norm(tensors: Tensors, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None) -> Any:
    """The norm of all elements of all tensors together: (sum |x|^p)^(1/p), or max |x| for norm_type=inf.

    raises  RuntimeError if it is not finite and `error_if_nonfinite`

    >>> import autograd_core as ag
    >>> get_total_norm([ag.tensor([3.0]), ag.tensor([[4.0]])])
    tensor(5.)
    """
    p = float(norm_type)
    arrays = [array for array in map(_array, _checked("get_total_norm", tensors)) if array.size]
    total = _norm(np.array([_norm(array.reshape(-1), p) for array in arrays]), p) if arrays else 0.0
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(
            f"get_total_norm: the norm of the gradients is {total}; look for the cause with ag.detect_anomaly(), or lower the step size"
        )
    dtype = np.result_type(*[array.real.dtype for array in arrays]) if arrays else np.dtype(np.float64)
    return ag.tensor(total, dtype=dtype if total <= np.finfo(dtype).max else np.float64)


def _norm(line: Any, p: float) -> float:
    """|line|_p, also where the powers of the elements, or sums of many in half precision, are out of the range of the dtype."""
    # In a context of its own, where NumPy can be told what to ignore with nothing to restore.
    value = copy_context().run(_norm_that_may_overflow, line.astype(np.float32) if line.dtype == np.float16 else line, p)
    if math.isfinite(value) and value:
        return value
    largest = float(np.abs(line).max())
    if not math.isfinite(largest) or not largest:
        return largest
    return largest * float(np.linalg.norm(line.astype(np.result_type(line.dtype, np.float64)) / largest, p))


def _norm_that_may_overflow(line: Any, p: float) -> float:
    np.seterr(over="ignore")
    return float(np.linalg.norm(line, p))


def clip_grads_with_norm_(parameters: Tensors, max_norm: float, total_norm: Any, foreach: bool | None = None) -> None:
    """Multiply all gradients by min(1, max_norm / (total_norm + 1e-6))."""
    # 1e-6 as in torch: it keeps the quotient finite where there is no gradient.
    factor = _bound("clip_grads_with_norm_", "max_norm", max_norm) / (float(total_norm) + 1e-6)
    if not factor >= 1:  # nan too: it must not be hidden
        arrays = [_array(p.grad) for p in _listed("clip_grads_with_norm_", parameters)]
        # Half precision has but a few digits for a small factor: the product is taken in single precision.
        scaled = partial(np.multiply, casting="same_kind")
        at_once([partial(scaled, array, factor, out=array, dtype=np.result_type(array.dtype, np.float32)) for array in arrays])


def clip_grad_norm_(
    parameters: Tensors, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """Scale all gradients by one factor, so that the norm of all of them together is at most `max_norm`.

    returns  the norm before
    raises   RuntimeError if it is not finite and `error_if_nonfinite`

    Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", algorithm 1.
    """
    _bound("clip_grad_norm_", "max_norm", max_norm)
    listed = _listed("clip_grad_norm_", parameters)
    total = get_total_norm([p.grad for p in listed], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(listed, max_norm, total)
    return total


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Bring each element of the gradients into [-clip_value, clip_value]."""
    bound = _bound("clip_grad_value_", "clip_value", clip_value)
    arrays = [_array(p.grad) for p in _listed("clip_grad_value_", parameters)]
    at_once([partial(array.__setitem__, ..., np.clip(array, -bound, bound)) for array in arrays])


def clip_grad_adaptive_(parameters: Tensors, clip_factor: float = 0.01, eps: float = 1e-3) -> None:
    """Scale each unit's gradient so that its norm is at most `clip_factor` of its weights' norm, which counts as at least `eps`.

    A unit is a row of a matrix (all axes but the first), and the whole of a vector. Brock et al. 2021, "High-performance
    large-scale image recognition without normalization", eq. 3.
    """
    factor = _bound("clip_grad_adaptive_", "clip_factor", clip_factor)
    changes = []
    for p in _listed("clip_grad_adaptive_", parameters):
        array = _array(p.grad)
        largest = factor * np.maximum(unit_norms(p.data), eps)
        norms = np.maximum(unit_norms(array), 1e-6)
        changes.append(partial(np.multiply, array, np.minimum(largest / norms, 1.0), out=array, casting="same_kind"))
    at_once(changes)


def unit_norms(array: Any) -> Any:
    """Norms over all axes but the first, of a vector over all, with the axes kept."""
    axes = tuple(range(1, array.ndim)) if array.ndim > 1 else None
    wide = array.astype(np.result_type(array.dtype, np.float64), copy=False)  # squares of large elements are finite there
    return np.sqrt(np.sum((wide * wide.conj()).real, axis=axes, keepdims=True)) if array.ndim else np.abs(wide)
