"""Layers that change nothing but the shape, or nothing at all."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

from nn.functional.arguments import as_array
from nn.module import Module

__all__ = ["Flatten", "Identity", "Unflatten"]


class Identity(Module):
    """What it is given; takes and ignores any arguments, so that it can stand in the place of another layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Any) -> Any:
        return input


class Flatten(Module):
    """Join the axes start_dim..end_dim (included) to one: (N, C, H, W) -> (N, C * H * W).

    raises  ValueError naming the shape if it does not have the axes, or if they are in the wrong order

    >>> import numpy as np, nn
    >>> nn.Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Any:
        input = as_array(input)
        shape = input.shape or (1,)
        rank = len(shape)
        if not (-rank <= self.start_dim < rank and -rank <= self.end_dim < rank and self.start_dim % rank <= self.end_dim % rank):
            raise ValueError(f"Flatten: axes {self.start_dim} to {self.end_dim} of an input of shape {input.shape}; it has axes 0 to {rank - 1}")
        first, last = self.start_dim % rank, self.end_dim % rank
        return input.reshape((*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split the axis `dim` into axes of the given sizes, one of which may be -1: the inverse of `Flatten`.

    raises  ValueError naming the shape if the sizes do not fit

    >>> import numpy as np, nn
    >>> nn.Unflatten(1, (3, -1))(np.ones((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        if isinstance(unflattened_size, Mapping | str) or not isinstance(unflattened_size, Sequence):
            raise TypeError(f"Unflatten: unflattened_size must be a tuple of sizes, not {unflattened_size!r}")
        self.dim = dim
        self.unflattened_size = tuple(map(operator.index, unflattened_size))

    def forward(self, input: Any) -> Any:
        input = as_array(input)
        rank = input.ndim
        if not -rank <= self.dim < rank:
            raise ValueError(f"Unflatten: an input of shape {input.shape} has no axis {self.dim}")
        axis = self.dim % rank
        try:
            sizes = _sizes(input.shape[axis], self.unflattened_size)
        except ValueError:
            raise ValueError(f"Unflatten: axis {self.dim} of an input of shape {input.shape} cannot be split into {self.unflattened_size}") from None
        return input.reshape((*input.shape[:axis], *sizes, *input.shape[axis + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


def _sizes(length: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """`sizes` with -1 replaced; ValueError unless their product is `length`."""
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) > 1 or any(size < -1 for size in sizes) or (known == 0 and -1 in sizes):
        raise ValueError
    if length != known and not (-1 in sizes and length % known == 0):
        raise ValueError
    return tuple(length // known if size == -1 else size for size in sizes)
