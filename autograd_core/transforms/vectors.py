"""Containers of arrays as one vector, and back: what optimizers and solvers of other libraries want."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.arrays.trees import flatten as leaves_of
from autograd_core.arrays.trees import paths
from autograd_core.tensor.tensor import Tensor

__all__ = ["flatten"]


def flatten(tree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """`(vector, unflatten)`: the arrays of a container, one after the other, as (n,), and the function that puts a vector back.

    tree       a tuple, list, dict or dataclass of float arrays, numbers, tensors, or of such containers
    unflatten  (n,) -> the same containers, with the shapes and dtypes of the arrays; both ways can be differentiated
    raises     TypeError naming an array that is not of floats, ValueError for a vector of another size

    >>> import numpy as np, autograd_core as ag
    >>> vector, unflatten = ag.flatten({"w": np.ones((2, 2)), "b": 3.0})
    >>> vector, unflatten(2 * vector)["b"]
    (array([1., 1., 1., 1., 3.]), np.float64(6.0))
    >>> loss = lambda p: np.sum(p["w"] ** 2) * p["b"]
    >>> ag.grad(lambda v: loss(unflatten(v)))(vector)
    array([6., 6., 6., 6., 4.])
    """
    leaves, rebuild = leaves_of(tree)
    leaves = [leaf if isinstance(leaf, Tensor) else np.asarray(leaf) for leaf in leaves]
    for leaf, name in zip(leaves, paths(tree, "tree"), strict=True):
        if leaf.dtype.kind not in "fc":
            raise TypeError(f"flatten: {name} is of dtype {leaf.dtype}, which a vector of floats does not give back; convert it to float")
    places = [(leaf.shape, leaf.dtype) for leaf in leaves]
    # Without the leaves that it refers to.
    rebuild = leaves_of(rebuild([0.0] * len(leaves)))[1]

    def unflatten(vector: Any) -> Any:
        size = sum(math.prod(shape) for shape, _ in places)
        if np.shape(vector) != (size,):
            raise ValueError(f"unflatten: a vector of shape {np.shape(vector)} for {size} numbers")
        parts, at = [], 0
        for shape, dtype in places:
            part = vector[at : at + math.prod(shape)].reshape(shape)
            parts.append((part if part.dtype == dtype else _converted(part, dtype))[()])
            at += math.prod(shape)
        return rebuild(parts)

    if not leaves:
        return np.zeros(0), unflatten
    return np.concatenate([np.reshape(leaf, -1) for leaf in leaves]), unflatten


def _converted(part: Any, dtype: Any) -> Any:
    return (np.real(part) if part.dtype.kind == "c" and dtype.kind == "f" else part).astype(dtype)
