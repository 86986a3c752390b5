"""What the functions' arguments have in common: plain numbers and lists beside arrays, and `axis` beside torch's `dim`."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["as_array", "axis_or_dim", "one_axis"]


def as_array(input: Any) -> Any:
    """Tensors and arrays as they are; numbers and lists as arrays."""
    return input if hasattr(input, "dtype") else np.asarray(input)


def axis_or_dim(name: str, axis: Any, dim: Any, default: Any) -> Any:
    """The axis where torch has a default for `dim`: `axis` if it is given; TypeError if `dim` is another one than its default then."""
    if axis is None:
        return dim
    if dim != default:
        raise TypeError(f"{name}: axis and dim are two names of one argument; give one of them")
    return axis


def one_axis(name: str, input: Any, axis: int | None, dim: int | None, default: int) -> int:
    """The axis of an array that `axis` or `dim` means; TypeError if both are given, ValueError if `input` does not have it."""
    if axis is not None and dim is not None:
        raise TypeError(f"{name}: axis and dim are two names of one argument; give one of them")
    chosen = default if axis is None and dim is None else dim if axis is None else axis
    rank = input.ndim or 1  # a number counts as a list of one
    if chosen is None or not -rank <= chosen < rank:
        raise ValueError(f"{name}: axis {chosen} is out of bounds for an input of shape {input.shape}")
    return int(chosen)
