"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[ag.Tensor]) -> Any:
    """All elements of the parameters in one tensor, through which gradients flow back to them.

    >>> import nn
    >>> parameters_to_vector(nn.Linear(3, 2).parameters()).shape
    (8,)
    """
    parts = [p.reshape(-1) for p in parameters]
    if not parts:
        raise ValueError("parameters_to_vector: got no parameters; an iterator that was used up already gives none")
    return np.concatenate(parts)


def vector_to_parameters(vec: Any, parameters: Iterable[ag.Tensor]) -> None:
    """Copy a vector's elements into the parameters, in order; ValueError if their number differs."""
    listed = list(parameters)
    array = vec.data if isinstance(vec, ag.Tensor) else np.asarray(vec)
    total = sum(p.size for p in listed)
    if array.shape != (total,):
        raise ValueError(f"vector_to_parameters: a vector of shape {array.shape} for parameters of {total} elements")
    start = 0
    for p in listed:
        p.data[...] = array[start : start + p.size].reshape(p.shape)
        start += p.size
